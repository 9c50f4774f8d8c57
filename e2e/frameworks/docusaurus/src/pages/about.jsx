import { Site } from "../site";

export default function About() {
  return <Site name="About"><p>{"A long text. ".repeat(400)}</p></Site>;
}
