// The page's own API. State comes from attributes of this very script element, so that its text
// (and with it its hash in the CSP) is the same for every visitor.
(() => {
const doc = document;
const data = doc.currentScript.dataset;
const state = JSON.parse(data.state);
const get = () => structuredClone(state);
let open = () => { location = data.page + "?return_to=" + encodeURIComponent(location.pathname + location.search); };
let heard = (names) => data.runs.split(" ").every((name) => names[name]) || location.reload();
let act, link;
//@banner
// A choice made in another tab holds here too: what runs here and was refused there stops by a
// reload. A page that browsers keep to go back to is thrown away by the message, and loads anew.
if (data.runs || !state.decided) (link = new BroadcastChannel("consent")).onmessage = (event) => heard(event.data);
// One that was not may be older than the choice all the same: it was made elsewhere, say.
addEventListener("pageshow", (event) => event.persisted && data.key && fetch(data.page.slice(0, -11) + "state").then((reply) => reply.text()).then((text) => text.includes(data.key) || location.reload(), () => {}));
// What is ours always navigates in full: no library for partial loads gets to see it.
for (const type of ["click", "submit"]) addEventListener(type, (event) => {
if (!event.target.closest?.("#yc,#yc-l,#yc-o,.yc-h")) return;
event.stopImmediatePropagation();
act?.(event);
}, true);
window.consent = {
get,
open: () => open(),
on: (type, call) => {
const hear = (event) => call(event.detail);
doc.addEventListener("consent:" + type, hear);
return () => doc.removeEventListener("consent:" + type, hear);
}
};
})();
