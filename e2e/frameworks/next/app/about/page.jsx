import Counter from "../counter";

export default function About() {
  return <main><h1>About</h1><p>{"A long text. ".repeat(400)}</p><Counter /></main>;
}
