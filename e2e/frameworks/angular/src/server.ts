import { AngularNodeAppEngine, createNodeRequestHandler, isMainModule, writeResponseToNodeResponse } from "@angular/ssr/node";
// @ts-ignore: its types are not installed.
import express from "express";

declare const process: { env: Record<string, string | undefined> };
const app = express();
const engine = new AngularNodeAppEngine();
const folder = decodeURIComponent(new URL("../browser", import.meta.url).pathname);

app.use(express.static(folder, { index: false }));
app.use((request: any, response: any, next: any) => {
  engine
    .handle(request)
    .then((found) => (found ? writeResponseToNodeResponse(found, response) : next()))
    .catch(next);
});
// The build itself loads this file, to learn of the routes.
if (isMainModule(import.meta.url)) app.listen(Number(process.env["PORT"]), process.env["HOST"]);

export const reqHandler = createNodeRequestHandler(app);
