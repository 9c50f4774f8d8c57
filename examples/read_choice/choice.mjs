// Read a visitor's choice at the site's own server. Needs Node.js 18, and no package.
//
//   const keys = new Keys("https://www.example.com/.consent/jwks.json");
//   const choice = await readChoice(request.headers.cookie ?? "", keys, "www", "2026-01-01");
//   if (allows(choice, "advertising", "meta-pixel", request.headers["sec-gpc"] === "1")) { /* send the event */ }
//
// `choice` is null where there is none in force: no cookie, a damaged or forged one, one of a key
// that is unknown or revoked, of another site, of another policy version, or one that has ended.
// Then nothing is allowed. A copy of this file is all that a server needs.

import { createPublicKey, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const CLOCK_SKEW = 300;
const MAX_LENGTH = 3500;
const SHAPE = /^[\w-]{2,200}\.[\w-]{2,}\.[\w-]{85}[AQgw]$/;

// The proxy's public keys: fetched when first needed, again after `maxAge` seconds, and at once for
// a key that is not known, at most every `again` seconds. While they cannot be fetched those known
// hold, for a day.
export class Keys {
  #url; #maxAge; #again; #timeout; #keys = new Map(); #fetched = -Infinity; #tried = -Infinity;

  constructor(url, { maxAge = 60, again = 10, timeout = 5 } = {}) {
    this.#url = url; this.#maxAge = maxAge; this.#again = again; this.#timeout = timeout;
  }

  async find(kid) {
    const now = performance.now() / 1000;
    const old = now - this.#fetched >= this.#maxAge;
    if ((old || !this.#keys.has(kid)) && now - this.#tried >= Math.min(this.#again, this.#maxAge)) {
      this.#tried = now;
      try {
        this.#keys = readJwks(await this.#load());
        this.#fetched = now;
      } catch {
        if (now - this.#fetched > 86_400) this.#keys = new Map();
      }
    }
    return this.#keys.get(kid);
  }

  async #load() {
    if (!this.#url.includes("://")) return readFile(this.#url, "utf8");
    const reply = await fetch(this.#url, { signal: AbortSignal.timeout(this.#timeout * 1000) });
    if (!reply.ok) throw new Error(`the keys cannot be fetched: ${reply.status}`);
    return reply.text();
  }
}

// The Ed25519 keys of a JWK Set by their id.
export function readJwks(text) {
  const found = new Map();
  for (const { kty, crv, kid, x } of JSON.parse(text).keys)
    if (kty === "OKP" && crv === "Ed25519")
      found.set(kid, createPublicKey({ key: { kty, crv, x }, format: "jwk" }));
  return found;
}

// The choice in force, or null. `name` is "__Secure-consent" where the config has a cookie_domain,
// and "consent" without TLS.
export async function readChoice(
  cookieHeader, keys, site, policyVersion, { name = "__Host-consent", now = Date.now() / 1000 } = {},
) {
  const tokens = new Set();
  for (const pair of cookieHeader.split(";")) {
    const [key, ...rest] = pair.split("=");
    if (key.trim() === name) tokens.add(rest.join("=").trim());
  }
  if (tokens.size !== 1) return null; // of several none is certain
  const [token] = tokens;
  if (token.length > MAX_LENGTH || !SHAPE.test(token)) return null;
  try {
    const [head, body, signature] = token.split(".");
    const { alg, crit, kid } = decoded(head);
    if (alg !== "EdDSA" || crit !== undefined || typeof kid !== "string") return null;
    const key = await keys.find(kid);
    const signed = Buffer.from(`${head}.${body}`);
    if (!key || !verify(null, signed, key, Buffer.from(signature, "base64url"))) return null;
    return choiceOf(decoded(body), site, policyVersion, now);
  } catch {
    return null;
  }
}

function choiceOf(claims, site, policyVersion, now) {
  const { iss, iat, exp, pv, c, v = {}, gpc, rid, once } = claims;
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp) || once !== undefined) return null;
  if (iss !== site || pv !== policyVersion || typeof rid !== "string") return null;
  if (!(iat - CLOCK_SKEW <= now && now < exp)) return null;
  if (!Array.isArray(c) || !c.every((one) => typeof one === "string")) return null;
  if (v === null || typeof v !== "object" || Array.isArray(v)) return null;
  const vendors = Object.fromEntries(Object.entries(v).map(([one, yes]) => [one, yes === 1]));
  return { categories: [...c].sort(), vendors, gpc: gpc === 1, receipt: rid };
}

// Whether a choice allows a vendor of a category. `gpc`: the request says `Sec-GPC: 1`.
export function allows(choice, category, vendor = "", gpc = false) {
  if (!choice) return false;
  if (gpc && (category === "advertising" || category === "social") && !choice.gpc) return false;
  if (Object.hasOwn(choice.vendors, vendor)) return choice.vendors[vendor];
  return choice.categories.includes(category);
}

const decoded = (text) => JSON.parse(Buffer.from(text, "base64url").toString("utf8"));

// `node choice.mjs JWKS SITE POLICY_VERSION [MAX_AGE]`: JSON lines in ({"cookie", "name", "now"}),
// each answered by the choice or null.
if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  if (process.argv.length < 5 || process.argv.length > 6) {
    console.error("usage: node choice.mjs JWKS SITE POLICY_VERSION [MAX_AGE]");
    process.exit(2);
  }
  const [jwks, site, version, maxAge] = process.argv.slice(2);
  const keys = new Keys(jwks, { maxAge: maxAge === undefined ? 60 : Number(maxAge) });
  for await (const line of createInterface({ input: process.stdin })) {
    const { cookie, ...options } = JSON.parse(line);
    console.log(JSON.stringify(await readChoice(cookie, keys, site, version, options)));
  }
}
