import { index, route } from "@react-router/dev/routes";

export default [
  index("routes/home.jsx"),
  route("about", "routes/about.jsx"),
  route("form", "routes/form.jsx"),
  route("patients/pay", "routes/pay.jsx"),
];
