import { renderToString } from "react-dom/server";
import { Content, Whole, h } from "./react.mjs";

export const page = () => WHOLE ? "<!DOCTYPE html>" + renderToString(h(Whole))
  : `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Part</title></head><body>`
    + `<div id="app">${renderToString(h(Content))}</div><script src="./client.js" defer></script></body></html>`;
