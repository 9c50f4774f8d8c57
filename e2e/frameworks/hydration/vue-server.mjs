import { renderToString } from "@vue/server-renderer";
import { app } from "./vue.mjs";

export const page = async () => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Vue</title></head><body>`
  + `<div id="app">${await renderToString(app())}</div><script src="./client.js" defer></script></body></html>`;
