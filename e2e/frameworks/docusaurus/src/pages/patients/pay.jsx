import { Site } from "../../site";

export default function Pay() {
  return <Site name="Pay" />;
}
