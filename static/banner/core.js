// The page's own API. State comes from attributes of this very script element, so that its text
// (and with it its hash in the CSP) is the same for every visitor.
(() => {
const doc = document;
const data = doc.currentScript.dataset;
const words = (text) => text ? text.split(" ") : [];
const state = { decided: !!data.decided, gpc: !!data.gpc, categories: { necessary: true } };
words(data.on).forEach((name) => { state.categories[name] = true; });
words(data.off).forEach((name) => { state.categories[name] = false; });
const get = () => structuredClone(state);
let open = () => { location = data.page + "?return_to=" + encodeURIComponent(location.pathname + location.search); };
// A choice made in another tab holds here too: what runs here and was refused there stops by a
// reload. A page that browsers keep to go back to is thrown away by the message, and loads anew.
let link;
const channel = () => link ||= new BroadcastChannel("consent");
const runs = words(data.on).concat(words(data.extra));
if (runs[0]) channel().onmessage = (event) => runs.every((name) => event.data[name]) || location.reload();
//@banner
window.consent = {
get,
open: () => open(),
on: (type, tell) => {
const hear = (event) => tell(event.detail);
doc.addEventListener("consent:" + type, hear);
return () => doc.removeEventListener("consent:" + type, hear);
}
};
})();
