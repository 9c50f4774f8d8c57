// A button that nobody sees must not choose: a page may lay a closed embed, invisible, over something
// of its own, or lay that over it. So the buttons lead to the preferences page, which asks again,
// until a browser that can tell such things (Intersection Observer, version 2) has seen for half a
// second that nothing hides, covers or distorts them.
(() => {
const doc = document;
const buttons = ".yc-h [name]";
const waits = new WeakMap();
const eye = new IntersectionObserver((seen) => {
for (const { target, isVisible } of seen) {
clearTimeout(waits.get(target));
target.formMethod = "get";
if (isVisible) waits.set(target, setTimeout(() => { target.formMethod = "post"; }, 500));
}
}, { delay: 100, threshold: 1, trackVisibility: true });
// It does not look at masks.
const pressed = ({ target }) => {
if (!target.matches?.(buttons)) return;
for (let node = target; node; node = node.assignedSlot || node.parentElement || node.getRootNode().host || node.ownerDocument.defaultView.frameElement) {
const style = getComputedStyle(node);
if (style.maskImage + style.webkitMaskBoxImageSource != "nonenone") target.formMethod = "get";
}
};
const watch = (found) => { for (const button of found) eye.observe(button); };
const all = doc.querySelectorAll.bind(doc);
addEventListener("DOMContentLoaded", () => watch(all(buttons)));
// Before the script that keeps such events from everybody else.
addEventListener("click", pressed, true);
// A closed frame shows a page of its own, of this very origin.
doc.addEventListener("load", (event) => {
try {
const page = event.target.contentDocument;
page.addEventListener("click", pressed, true);
watch(page.querySelectorAll(buttons));
} catch {}
}, true);
})();
