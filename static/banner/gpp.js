// The __gpp API of the IAB's Global Privacy Platform, 1.1. What it tells comes from attributes of
// this very script element, so that its text is the same for every visitor. It is whole from the
// start: no call waits for anything.
(() => {
const { ids, has_banner, strings, sections, sold } = JSON.parse(document.currentScript.dataset.gpp);
const names = Object.keys(ids);
const list = Object.values(ids);
const listeners = new Map();
let [string, other] = strings;
let display = has_banner ? "visible" : "disabled";
let last = 0;
const ping = () => ({
gppVersion: "1.1", cmpStatus: "loaded", cmpDisplayStatus: display, signalStatus: "ready",
supportedAPIs: names.map((name) => ids[name] + ":" + name), cmpId: 0, sectionList: list,
applicableSections: list, gppString: string, parsedSections: sections
});
const event = (eventName, listenerId, data) => ({ eventName, listenerId, data, pingData: ping() });
const tell = (name, data) => listeners.forEach((hear, id) => hear(event(name, id, data), true));
const commands = {
ping: () => ping(),
addEventListener: (parameter, hear) => {
listeners.set(++last, hear);
return event("listenerRegistered", last, true);
},
removeEventListener: (id) => event("listenerRemoved", id, listeners.delete(id)),
hasSection: (name) => names.includes(name),
getSection: (name) => names.includes(name) ? sections[name] : null,
getField: (path) => {
const [name, field] = String(path).split(".");
const section = commands.getSection(name) || {};
return Object.hasOwn(section, field) ? section[field] : null;
}
};
const earlier = window.__gpp && window.__gpp.queue || [];
window.__gpp = (command, hear, parameter) => {
const answer = Object.hasOwn(commands, command) && commands[command];
if (typeof hear != "function") return;
if (answer) hear(answer(parameter, hear), true);
else hear(null, false);
};
earlier.forEach((call) => window.__gpp(...call));

// Frames of other sites ask by message, of the window that has a frame of this name in it.
window.addEventListener("message", ({ data, source }) => {
const text = typeof data == "string";
let asked = data;
if (text) {
if (!data.includes("__gppCall")) return;
try { asked = JSON.parse(data); } catch { return; }
}
const call = asked && asked.__gppCall;
if (!call || !source) return;
window.__gpp(call.command, (returnValue, success) => {
const reply = { __gppReturn: { returnValue, success, callId: call.callId } };
source.postMessage(text ? JSON.stringify(reply) : reply, "*");
}, call.parameter);
});
// Elements of such names hide the document's own `body` and methods, and pass for the frame.
const create = document.createElement.bind(document);
const locate = () => {
const body = Reflect.get(Document.prototype, "body", document);
if (!body) return setTimeout(locate, 5);
if (window.frames.__gppLocator?.window) return;
const frame = create("iframe");
frame.name = "__gppLocator";
frame.style.display = "none";
body.append(frame);
};
locate();

document.addEventListener("consent:change", ({ detail }) => {
const out = sold.some((name) => !detail.categories[name]);
if (sold[0] && out != (sections[names[0]].SaleOptOut == 1)) {
[string, other] = [other, string];
for (const name of names) {
for (const field of ["SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut"]) {
if (field in sections[name]) sections[name][field] = out ? 1 : 2;
}
}
names.forEach((name) => tell("sectionChange", name));
}
if (display == "visible") tell("cmpDisplayStatus", display = "hidden");
tell("signalStatus", "ready");
});
})();
