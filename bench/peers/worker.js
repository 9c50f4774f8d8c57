// The same gating as consent-proxy's, as far as HTMLRewriter goes: what belongs to a vendor that may
// not act is taken out, the banner put in, the policy header set, the preference cookie verified.
import table from "table";

const HOSTS = new Map(Object.entries(table.hosts)); // host or ".suffix" -> vendor
const CATEGORY = table.categories; // approved vendors only
const INLINE = Object.entries(table.inline).flatMap(([vendor, texts]) =>
  texts.map((text) => [text, vendor]),
);
const OWN = table.own;
const known = new Map(); // cookie text -> open vendors
let key;

function owner(url) {
  if (!url || !/^[a-z+.-]*:?[\\/]{2}/i.test(url)) return null; // most are the site's own
  let host;
  try {
    const parsed = new URL(url, "http://" + OWN);
    if (!parsed.protocol.startsWith("http")) return null;
    host = parsed.hostname;
  } catch {
    return null;
  }
  if (host === OWN) return null;
  const exact = HOSTS.get(host);
  if (exact !== undefined) return exact;
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
    const found = HOSTS.get(host.slice(dot));
    if (found !== undefined) return found;
  }
  return "?";
}

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

async function openVendors(request) {
  const found = /(?:^|; )consent=([^;]+)/.exec(request.headers.get("Cookie") ?? "");
  if (!found) return new Set();
  const remembered = known.get(found[1]);
  if (remembered) return remembered;
  const [head, claims, signature] = found[1].split(".");
  key ??= await crypto.subtle.importKey("jwk", table.jwk, { name: "Ed25519" }, false, ["verify"]);
  const signed = new TextEncoder().encode(`${head}.${claims}`);
  const good = await crypto.subtle.verify("Ed25519", key, bytes(signature), signed);
  const allowed = good ? JSON.parse(new TextDecoder().decode(bytes(claims))).c : [];
  const open = new Set(Object.keys(CATEGORY).filter((v) => allowed.includes(CATEGORY[v])));
  if (known.size > 4096) known.clear();
  known.set(found[1], open);
  return open;
}

class Gate {
  constructor(open, attribute) {
    this.open = open;
    this.attribute = attribute;
  }
  element(element) {
    const who = owner(element.getAttribute(this.attribute));
    if (who !== null && !this.open.has(who)) element.remove();
  }
}

class Inline {
  constructor(open) {
    this.open = open;
  }
  text(chunk) {
    this.held += chunk.text;
    chunk.remove();
    if (!chunk.lastInTextNode) return;
    const text = this.held;
    this.held = "";
    const closed = INLINE.some(([sign, who]) => !this.open.has(who) && text.includes(sign));
    if (!closed) chunk.replace(text, { html: true });
  }
}
Inline.prototype.held = "";

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const asked = new Headers(request.headers);
    asked.set("Accept-Encoding", "identity");
    const upstream = await env.origin.fetch(
      new Request("http://" + OWN + url.pathname + url.search, { headers: asked }),
    );
    if (!(upstream.headers.get("Content-Type") ?? "").startsWith("text/html")) return upstream;
    const open = await openVendors(request);
    const headers = new Headers(upstream.headers);
    for (const name of ["Content-Length", "ETag", "Last-Modified"]) headers.delete(name);
    headers.set("Cache-Control", "private, no-cache");
    headers.set("Content-Security-Policy", table.policy);
    if (/\bgzip\b/.test(request.headers.get("Accept-Encoding") ?? "")) {
      headers.set("Content-Encoding", "gzip"); // workerd then compresses what we return
    }
    const rewriter = new HTMLRewriter()
      .on("script[src], iframe[src], img[src], embed[src]", new Gate(open, "src"))
      .on("link[href]", new Gate(open, "href"))
      .on("script:not([src])", new Inline(open))
      .on("head", { element: (head) => void head.prepend(table.head, { html: true }) })
      .on("body", { element: (body) => void body.append(table.foot, { html: true }) });
    const rewritten = rewriter.transform(new Response(upstream.body));
    return new Response(rewritten.body, { status: upstream.status, headers });
  },
};
