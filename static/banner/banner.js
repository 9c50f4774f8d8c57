const doc = document;
//@save_form
const html = doc.documentElement;
// Ours is the one whose form leads to our endpoint: the proxy lets no form of the site's do that.
const form = () => all(`#yc>form[action="${data.at}choice"]`)[0];
const part = (name) => form()?.querySelector("#yc-" + name);
const visit = open;
let back, busy, plain, opened;
// Something on the way may have taken the header off.
state.gpc ||= !!navigator.globalPrivacyControl;

// "Choose" opens the switches in place; focus goes to the first one. `yes` is the event, or a number.
const expand = (yes) => {
yes.preventDefault?.();
part("p").hidden = part("v").hidden = !yes;
part("c").hidden = !!yes;
opened = performance.now();
form().querySelector(yes ? "input" : "#yc-c").focus();
};
open = () => {
if (state.decided || !form()) return visit();
back = doc.activeElement;
expand(1);
};

// What may run on this document is its policy's business, which stays as it was sent: a choice that
// says otherwise takes a new document, whatever the page shows or its scripts have asked for.
const heard = (names, key) => {
let same = !data.extra && names.necessary;
for (const name in state.categories) {
same &&= names[name] == state.categories[name];
state.categories[name] = names[name];
}
state.decided = true;
data.key = key || "";
html.dispatchEvent(new CustomEvent("consent:change", { bubbles: true, detail: structuredClone(state) }));
if (!same) {
save();
return location.reload();
}
// A library that loads pages in part may have brought that of another one beside it.
while (form()) form().parentNode.remove();
for (const status of all("#yc-s")) status.textContent = status.dataset.text;
back?.focus({ preventScroll: true });
// Libraries that load pages in part bring back what they remember of this one.
html.style.setProperty("--yc-d", "none");
};

const act = (event) => {
const { target, submitter } = event;
// Whoever pressed twice did not press what came under the pointer in between.
const soon = performance.now() - opened < 500;
if (event.type == "click") return target.closest("#yc-c") ? event.ctrlKey || event.metaKey || event.shiftKey || expand(event) : soon && target.closest("a") && event.preventDefault();
if (target != form() || !submitter || plain) return;
event.preventDefault();
if (busy || soon) return;
busy = true;
const body = new URLSearchParams(new FormData(target, submitter));
fetch(data.at + "choice", { method: "POST", body, keepalive: true, headers: { Accept: "application/json" } })
.catch(() => {})
.then((reply) => {
if (reply?.status == 204) {
const names = {};
const how = submitter.value[0];
for (const name in state.categories) names[name] = name == "necessary" || (how == "s" ? body.getAll("category").includes(name) : how == "a");
link.postMessage(names);
return heard(names, reply.headers.get("Consent-Key"));
}
// Let the browser send the form itself, and show what the server says.
plain = true;
setTimeout(() => submitter.click());
});
};
// The banner stands at the end of the page, where no script takes its form or links for the page's
// own, and comes first for Tab. The markup says so where no script runs. Here the order is left to
// the page until somebody uses keys, or the browser's own controls, from which Tab enters unseen.
const rank = (event) => { for (const one of all("#yc :is(a,input,button)")) one.tabIndex = !!event; };
addEventListener("blur", rank);
addEventListener("keydown", (event) => {
rank(event);
if (event.key == " " && event.target.closest("#yc-c")) expand(event);
if (event.key == "Escape" && event.target.closest("#yc-p")) expand(0);
}, true);
addEventListener("focusin", (event) => {
if (event.relatedTarget?.closest("#yc") === null && event.target.closest("#yc")) back = event.relatedTarget;
});
const rise = () => {
const link = part("c");
if (!link) return performance.now() < 6e4 && requestAnimationFrame(rise);
const root = form().parentNode;
link.role = "button";
rank();
// The page keeps as much room at its end as the banner covers.
new ResizeObserver(() => html.style.setProperty("--yc-h", root.offsetHeight + "px")).observe(root);
};
rise();
