// The parts of a page that a gate closes, as plain data: each framework makes elements of its own of
// it, on the server and in the browser.
const TAG = "https://www.google-analytics.com/analytics.js";
const CODE = "window.ga=window.ga||function(){};ga('create','UA-1-1');";
// `texts`: whether it writes the text of a script as it is (React 18 escapes it).
export const parts = (nested, texts = true) => [
  ["img", { src: "https://www.facebook.com/tr?id=1", width: "1", height: "1" }],
  ["iframe", { src: "https://www.youtube.com/embed/abc", width: "560", height: "315" }],
  ["iframe", { src: "https://www.googletagmanager.com/ns.html?id=GTM-X", width: "0", height: "0" }],
  ["img", { src: "https://nobody-knows.example/photo.jpg", alt: "A photo" }],
  ["script", { src: TAG, defer: true }],
  ["script", { [nested]: CODE }],
  ...(texts ? [["script", {}, CODE]] : []),
  ["link", { rel: "stylesheet", href: "https://nobody-knows.example/a.css" }],
  ["video", { src: "https://nobody-knows.example/v.mp4", poster: "https://nobody-knows.example/p.jpg" }],
  ["form", { action: "https://nobody-knows.example/send", method: "post" }],
  ["noscript", { [nested]: '<img height="1" width="1" src="https://www.facebook.com/tr?id=1">' }],
  ["embed", { src: "https://nobody-knows.example/e" }],
  ["object", { data: "https://nobody-knows.example/o" }],
  ["div", { style: { backgroundImage: "url(https://nobody-knows.example/bg.png)" } }],
];
