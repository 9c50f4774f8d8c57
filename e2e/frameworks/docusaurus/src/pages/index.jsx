import { Site } from "../site";

export default function Home() {
  return (
    <Site name="Home">
      <p>Welcome.</p>
      <iframe src="https://www.youtube.com/embed/abc" width="560" height="315" title="A video" />
      <img src="https://www.facebook.com/tr?id=1" width="1" height="1" alt="" />
    </Site>
  );
}
