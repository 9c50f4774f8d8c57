// A button that nobody sees must not choose: a page may lay a closed embed, invisible, over something
// of its own, or lay that over it. So the buttons lead to the preferences page, which asks again,
// until they were in sight for half a second, with nothing that hides, covers or distorts them.
// Chromium tells that (Intersection Observer, version 2), but does not look at masks. Elsewhere the
// styles are read and what lies there is asked for when a button is pressed.
(() => {
const doc = document;
const buttons = ".yc-h [name]";
const tells = "isVisible" in IntersectionObserverEntry.prototype;
const waits = new WeakMap();
const eye = new IntersectionObserver((seen) => {
for (const { target, isVisible, isIntersecting } of seen) {
clearInterval(waits.get(target));
target.formMethod = "get";
let before = tells;
if (tells ? isVisible : isIntersecting) waits.set(target, setInterval(() => {
const now = tells || isShown(target);
target.formMethod = now && before ? "post" : "get";
before = now;
}, 500));
}
}, tells ? { delay: 100, threshold: 1, trackVisibility: true } : { threshold: 1 });
const isPlain = (node) => {
const style = getComputedStyle(node);
const are = (names, value) => names.every((name) => (style[name] || value) == value);
return are(["maskImage", "webkitMaskImage", "webkitMaskBoxImageSource"], "none") && (tells || (style.opacity == 1 && are(["filter", "clipPath", "transform", "scale", "rotate"], "none") && are(["mixBlendMode"], "normal") && are(["clip"], "auto") && are(["zoom"], "1")));
};
const covers = (one, node, x, y) => {
const box = one.getBoundingClientRect();
const style = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom && !one.contains(node) && getComputedStyle(one);
return style && style.pointerEvents == "none" && style.visibility == "visible" && style.opacity != 0;
};
const isOnTop = (node, x, y, closely) => {
const page = node.ownerDocument;
const top = page.elementFromPoint(x, y);
return !!top && (node.contains(top) || top == node.getRootNode().host) && !(closely && [...page.body.querySelectorAll("*")].some((one) => !node.contains(one) && covers(one, node, x, y)));
};
const isShown = (button, closely) => {
try {
let box = button.getBoundingClientRect();
let x = (box.left + box.right) / 2;
let y = (box.top + box.bottom) / 2;
for (let node = button; node; ) {
if (!isPlain(node)) return false;
const frame = node == node.ownerDocument.documentElement && node.ownerDocument.defaultView.frameElement;
if ((node == button || node.localName == "iframe") && !tells && !isOnTop(node, x, y, closely)) return false;
if (frame) {
box = frame.getBoundingClientRect();
x += box.left + frame.clientLeft;
y += box.top + frame.clientTop;
}
node = node.assignedSlot || node.parentElement || node.getRootNode().host || frame;
}
return true;
} catch {}
};
const pressed = ({ target }) => {
const button = target.closest?.(buttons);
if (button && !isShown(button, true)) button.formMethod = "get";
};
const watch = (found) => { for (const button of found) eye.observe(button); };
const all = doc.querySelectorAll.bind(doc);
// A frame's placeholder is as dark as the page around it: when it is there, when the page's own style
// sheets are, and when the visitor prefers another.
const shade = (frame) => {
try {
const page = frame.contentDocument;
if (page.querySelector(".yc-h")) page.documentElement.style.colorScheme = getComputedStyle(all("#yc-o")[0]).color.includes("255") ? "dark" : "light";
} catch {}
};
const shadeAll = () => all("iframe").forEach(shade);
addEventListener("load", shadeAll);
matchMedia("(prefers-color-scheme:dark)").addEventListener("change", shadeAll);
addEventListener("DOMContentLoaded", () => {
watch(all(buttons));
shadeAll();
});
// Before the script that keeps such events from everybody else.
addEventListener("click", pressed, true);
// A closed frame shows a page of its own, of this very origin.
doc.addEventListener("load", (event) => {
try {
const page = event.target.contentDocument;
page.addEventListener("click", pressed, true);
watch(page.querySelectorAll(buttons));
shade(event.target);
} catch {}
}, true);
// Firefox would show it again in its frame when the page is loaded anew, opened or not.
addEventListener("pagehide", ({ persisted }) => {
if (!persisted) for (const frame of all("iframe[srcdoc]")) frame.remove();
});
})();
