// An origin on Express with its defaults: JSON with a weak ETag, files with Last-Modified.
// Usage: node express.cjs PORT FOLDER
const path = require("node:path");
const express = require("../node/node_modules/express");

const [port, folder] = process.argv.slice(2);
const app = express();

const visitor = (request) => /(?:^|; )sid=([a-z]+)/.exec(request.headers.cookie || "")?.[1] || "nobody";

app.get("/me", (request, response) => response.json({ owner: visitor(request) }));
app.get("/send.pdf", (request, response) =>
  response.sendFile(path.join(folder, visitor(request), "statement.pdf")));
app.get("/bare.pdf", (request, response) =>
  response.sendFile(path.join(folder, visitor(request), "statement.pdf"), { cacheControl: false }));
app.get("/page", (request, response) =>
  response.send(`<!doctype html><title>${visitor(request)}</title><p>owner ${visitor(request)}`));
app.use("/static", express.static(path.join(folder, "static"), { maxAge: "1h" }));
app.listen(Number(port), "127.0.0.1");
