import { createElement as h, Fragment, useState } from "react";
import { parts } from "./pages.mjs";

export function Content() {
  const [count, setCount] = useState(0);
  const found = parts("dangerouslySetInnerHTML", VERSION > 18).map(([tag, { dangerouslySetInnerHTML: html, ...rest }, text], key) =>
    h(tag, { key, ...rest, ...(html ? { dangerouslySetInnerHTML: { __html: html } } : {}) }, text));
  return h("main", null, h("h1", null, "Hydrated"), ...found,
    h("button", { id: "count", onClick: () => setCount(count + 1) }, "Clicked ", count));
}

export function Whole() {
  return h("html", { lang: "en" },
    h("head", null,
      h("meta", { charSet: "utf-8" }), h("title", null, "Whole"),
      h("meta", { name: "referrer", content: "unsafe-url" }),
      h("link", { rel: "preconnect", href: "https://nobody-knows.example" }),
      h("style", { dangerouslySetInnerHTML: { __html: "main{color:rgb(1,2,3)}" } }),
      ...(VERSION > 18 ? [h("style", null, "h1{color:rgb(4,5,6)}")] : []),
      h("script", { dangerouslySetInnerHTML: { __html: "window.ga=window.ga||function(){};ga('create','UA-1-1');" } })),
    h("body", null, h(Content), h("script", { dangerouslySetInnerHTML: { __html: "window.__reactRouterContext={}" } }), h("script", { src: "./client.js", defer: true })));
}
export { h, Fragment };
