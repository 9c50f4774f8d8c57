// Puts back what the visitor had typed before a choice loaded the page anew. It is read and wiped
// before any other script of the page runs.
(() => {
const doc = document;
const all = doc.querySelectorAll.bind(doc);
let kept;
doc.cookie = "consent-kept=;path=/;max-age=0";
try {
kept = JSON.parse(sessionStorage.consent);
sessionStorage.removeItem("consent");
} catch {}
if (!kept || kept[0] != location.href.split("#")[0]) return;
addEventListener("DOMContentLoaded", () => {
const fields = [...all("input,textarea,select")];
for (const [name, value, checked] of kept[2]) {
const boxed = (field) => field.type == "checkbox" || field.type == "radio";
const at = fields.findIndex((field) => (field.name || field.id) == name && (!boxed(field) || field.value == value));
if (at < 0) continue;
const [field] = fields.splice(at, 1);
if (boxed(field)) field.checked = checked;
else field.value = value;
for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
}
if (kept[1]) scrollTo({ top: kept[1], behavior: "instant" });
});
})();
