// On a page that a framework hydrates. Where it takes over the whole document it throws all of the
// server's markup away over one element that it does not know, so ours stay out of its sight until
// it is done: those of the head for good, since scripts have run and a style holds without one. And
// whatever it makes of the body later, what stands at the end of the page stays there.
(() => {
const doc = document;
const self = doc.currentScript;
const wholly = self.dataset.wholly;
const byId = doc.getElementById.bind(doc);
// An element of the page may be called `body`, and then hides the document's own.
const own = (name) => Object.getOwnPropertyDescriptor(Document.prototype, name).get.bind(doc);
const bodyOf = own("body");
const rootOf = own("documentElement");
const names = ["yc-l", "yc-o"];
const parts = {};
let banner;
let moves = 99;
let out = wholly;
let node;
while ((node = self.previousSibling) && /^(script|style)$/.test(node.localName)) {
if (node.localName == "style") {
const sheet = new CSSStyleSheet();
sheet.replaceSync(node.textContent);
doc.adoptedStyleSheets.push(sheet);
}
node.remove();
}
self.remove();
const found = () => {
for (const name of names) {
const part = parts[name] ||= byId(name);
if (out) part?.remove();
}
banner ||= byId("yc");
if (out) banner?.remove();
};
const parsed = new MutationObserver(found);
parsed.observe(doc, { childList: true, subtree: true });
const dropped = new MutationObserver(() => keep());
const keep = () => {
const body = bodyOf();
dropped.disconnect();
// A client's router may bring a page with a link of its own: that one counts.
for (const name of names) if (parts[name]) parts[name] = byId(name) || parts[name];
if (banner && !banner.isConnected) body?.append(banner);
const mine = names.map((name) => parts[name]).filter(Boolean);
if (body) {
const last = [...body.children].filter((one) => !/^(script|style|link|template|noscript|next-.*)$/i.test(one.localName)).slice(-mine.length);
// The visitor is in it: where it stands matters less.
const used = mine.some((part) => part.contains(doc.activeElement));
if (!used && mine.some((part, at) => part != last[at]) && moves-- > 0) body.append(...mine);
}
for (const root of [doc, rootOf(), body]) if (root) dropped.observe(root, { childList: true });
};
// React leaves its mark on an element when all within it is hydrated.
let waits = 99;
const wait = () => {
if (waits-- > 0 && !Object.keys(bodyOf()).some((key) => key.startsWith("__reactFiber"))) return setTimeout(wait, 50);
requestAnimationFrame(() => setTimeout(() => {
out = 0;
keep();
}));
};
// With a choice the banner goes for good.
addEventListener("consent:change", () => { banner = 0; }, true);
addEventListener("DOMContentLoaded", () => {
found();
parsed.disconnect();
if (wholly) wait();
else keep();
});
})();
