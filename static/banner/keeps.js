// A closed embed's buttons send a form, after which the page starts at its top. Heard on the way
// down, before the script that keeps such events from everybody else.
(() => {
const doc = document;
//@keep
addEventListener("submit", (event) => { if (event.target.matches("#yc-o") && event.submitter.name) keep(true); }, true);
})();
