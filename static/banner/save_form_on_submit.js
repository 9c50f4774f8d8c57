// A closed embed's buttons send a form, after which the page starts at its top. Heard on the way
// down, before the script that keeps such events from everybody else.
(() => {
const doc = document;
//@save_form
const sent = (event) => { if (event.target.matches("#yc-o") && event.submitter.name) save(true); };
addEventListener("submit", sent, true);
// A closed frame shows a page of its own, of this very origin.
doc.addEventListener("load", (event) => {
try { event.target.contentDocument.addEventListener("submit", sent, true); } catch {}
}, true);
})();
