// The page's own API. State comes from attributes of this very script element, so that its text
// (and with it its hash in the CSP) is the same for every visitor.
(() => {
const data = document.currentScript.dataset;
const state = JSON.parse(data.state);
let open = () => { location = data.at + "preferences?" + new URLSearchParams({ return_to: location.pathname + location.search, lang: data.lang }); };
const link = new BroadcastChannel("consent");
//@decided
//@banner
// A choice made in another tab holds here too: what runs here and was refused there stops by a
// reload. A page that browsers keep to go back to is thrown away by the message, and loads anew.
link.onmessage = (event) => heard(event.data);
// One that was not may be older than the choice all the same: it was made elsewhere, say.
addEventListener("pageshow", (event) => event.persisted && fetch(data.at + "state").then((reply) => reply.text()).then((text) => text.includes(data.key) || location.reload(), () => {}));
// What is ours always navigates in full: no library for partial loads gets to see it, be it one that
// follows a link before the button is up again. A closed embed that such a library has put into a
// page without its form gets it by a full load.
const ours = (event) => event.target.closest?.("[id|=yc],.yc-h,[data-consent-link]") && event.stopImmediatePropagation(event.target.form === null ? event.type == "click" && location.reload() : act(event));
addEventListener("click", ours, true);
addEventListener("submit", ours, true);
addEventListener("mousedown", ours, true);
consent = {
get: () => structuredClone(state),
open: () => open(),
on: (type, call) => {
const hear = (event) => call(event.detail);
addEventListener("consent:" + type, hear);
return () => removeEventListener("consent:" + type, hear);
}
};
})();
