const doc = document;
//@keep
// Elements may bear such names as `querySelector`, and then hide the document's own: what is needed
// of it later is taken before there are any.
const find = doc.querySelector.bind(doc);
const html = doc.documentElement;
// Ours is the one whose form leads to our endpoint: the proxy lets no form of the site's do that.
const form = () => find(`#yc>form[action="${data.at}choice"]`);
const part = (name) => form()?.querySelector("#yc-" + name);
const visit = open;
let back, busy, plain, opened;
// Something on the way may have taken the header off.
state.gpc ||= !!navigator.globalPrivacyControl;

// "Choose" opens the switches in place; focus goes to the first one.
const expand = (yes) => {
part("p").hidden = part("v").hidden = !yes;
part("c").hidden = yes;
opened = performance.now();
(yes ? part("p").querySelector("input") : part("c")).focus();
};
open = () => {
if (state.decided || !form()) return visit();
back = doc.activeElement;
expand(true);
};

// What may run on this document is its policy's business, which stays as it was sent: a choice that
// says otherwise takes a new document, whatever the page shows or its scripts have asked for.
heard = (names, key) => {
let same = !data.extra && names.necessary;
for (const name in state.categories) {
same &&= names[name] == state.categories[name];
state.categories[name] = names[name];
}
state.decided = true;
data.key = key || "";
html.dispatchEvent(new CustomEvent("consent:change", { bubbles: true, detail: structuredClone(state) }));
if (!same) {
keep();
return location.reload();
}
// A library that loads pages in part may have brought that of another one beside it.
while (form()) form().parentNode.remove();
for (const status of all("#yc-s")) status.textContent = status.dataset.text;
back?.focus({ preventScroll: true });
// Libraries that load pages in part bring back what they remember of this one.
html.style.setProperty("--yc-d", "none");
};

const choose = (event) => {
event.preventDefault();
expand(true);
};
act = (event) => {
const { target, submitter } = event;
if (event.type == "click") return target.closest("#yc-c") && !(event.ctrlKey || event.metaKey || event.shiftKey) && choose(event);
if (target != form() || !submitter || plain) return;
event.preventDefault();
// Whoever pressed twice did not press what came under the pointer in between.
if (busy || performance.now() - opened < 500) return;
busy = true;
const body = new URLSearchParams(new FormData(target, submitter));
fetch(data.at + "choice", { method: "POST", body, keepalive: true, headers: { Accept: "application/json" } })
.catch(() => {})
.then((reply) => {
if (reply?.status == 204) {
const names = {};
for (const name in state.categories) names[name] = name == "necessary" || (submitter.value == "save" ? body.getAll("category").includes(name) : submitter.value == "accept_all");
link.postMessage(names);
return heard(names, reply.headers.get("Consent-Key"));
}
// Let the browser send the form itself, and show what the server says.
plain = true;
setTimeout(() => submitter.click());
});
};
addEventListener("keydown", (event) => {
const { key, target } = event;
if (key == " " && target.closest("#yc-c")) choose(event);
if (key == "Escape" && target.closest("#yc-p")) expand(false);
});
addEventListener("focusin", (event) => {
const { target, relatedTarget } = event;
if (relatedTarget?.closest("#yc") === null && target.closest("#yc")) back = relatedTarget;
});
const rise = () => {
const link = part("c");
if (!link) return performance.now() < 6e4 && requestAnimationFrame(rise);
const root = form().parentNode;
link.role = "button";
// The page keeps as much room at its end as the banner covers.
new ResizeObserver(() => html.style.setProperty("--yc-h", root.offsetHeight + "px")).observe(root);
};
rise();
