import Counter from "../counter";

export default function Home() {
  return (
    <main>
      <h1>Home</h1>
      <p>Welcome.</p>
      <iframe src="https://www.youtube.com/embed/abc" width="560" height="315" title="A video" />
      <img src="https://www.facebook.com/tr?id=1" width="1" height="1" alt="" />
      <Counter />
    </main>
  );
}
