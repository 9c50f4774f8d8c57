export default {
  title: "A site",
  url: "https://www.example.com",
  baseUrl: "/",
  onBrokenLinks: "ignore",
  // Docusaurus' own way to name styles of another host.
  stylesheets: ["https://fonts.googleapis.com/css2?family=Inter"],
  presets: [
    ["classic", {
      docs: false,
      blog: false,
      gtag: { trackingID: "G-TEST" },
      googleTagManager: { containerId: "GTM-TEST" },
    }],
  ],
};
