// A closed embed's buttons send a form, after which the page starts at its top.
(() => {
const doc = document;
//@keep
doc.addEventListener("submit", (event) => { if (event.target.id == "yc-o" && event.submitter.name) keep(true); });
})();
