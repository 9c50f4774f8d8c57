//@keep
const id = (name) => doc.getElementById("yc" + name);
const visit = open;
let back, busy, plain;
// Something on the way may have taken the header off.
if (navigator.globalPrivacyControl) state.gpc = true;

// "Choose" opens the switches in place; focus goes to the first one.
const expand = (yes) => {
id("-p").hidden = id("-v").hidden = !yes;
id("-c").hidden = yes;
(yes ? id("-p").querySelector("input") : id("-c")).focus();
};
open = () => {
if (!id("")) return visit();
back = doc.activeElement;
expand(true);
};

const done = (action, chosen) => {
const names = Object.keys(state.categories);
const yes = (name) => name == "necessary" || (action == "save" ? chosen.includes(name) : action == "accept_all");
names.forEach((name) => { state.categories[name] = yes(name); });
state.decided = true;
channel().postMessage(state.categories);
doc.dispatchEvent(new CustomEvent("consent:change", { detail: get() }));
// What runs and was refused stops, and what was closed and is allowed loads, only by a reload.
if (words(data.runs).some((name) => !yes(name)) || words(data.waits).some(yes)) {
keep();
return location.reload();
}
id("").remove();
const status = id("-s");
if (status) status.textContent = status.dataset.text;
if (back && back.isConnected) back.focus({ preventScroll: true });
};

doc.addEventListener("submit", (event) => {
const form = event.target;
const button = event.submitter;
if (form.id != "yc-f" || !button || plain) return;
event.preventDefault();
if (busy) return;
busy = true;
const body = new URLSearchParams(new FormData(form));
const action = button.value;
body.set("action", action);
fetch(form.getAttribute("action"), { method: "POST", body, keepalive: true, headers: { Accept: "application/json" } })
.then((reply) => reply.status == 204)
.catch(() => false)
.then((fine) => {
busy = false;
if (fine) return done(action, body.getAll("category"));
// Let the browser send the form itself, and show what the server says.
plain = true;
setTimeout(() => button.click());
});
});
doc.addEventListener("click", (event) => {
if (!event.target.closest || !event.target.closest("#yc-c") || event.ctrlKey || event.metaKey || event.shiftKey) return;
event.preventDefault();
expand(true);
});
doc.addEventListener("keydown", (event) => {
const choose = id("-c");
if (!choose) return;
if (event.key == " " && event.target == choose) {
event.preventDefault();
expand(true);
}
if (event.key == "Escape" && id("-p").contains(event.target)) expand(false);
});
doc.addEventListener("focusin", (event) => {
const root = id("");
if (root && root.contains(event.target) && event.relatedTarget && !root.contains(event.relatedTarget)) back = event.relatedTarget;
});
doc.addEventListener("DOMContentLoaded", () => {
const root = id("");
if (!root) return;
id("-c").setAttribute("role", "button");
// The page keeps as much room at its end as the banner covers.
if (window.ResizeObserver) new ResizeObserver(() => doc.documentElement.style.setProperty("--yc-h", root.offsetHeight + "px")).observe(root);
});
