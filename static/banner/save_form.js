// What the visitor has typed waits in the tab's own store while a choice loads the page anew: only
// fields that were touched and that hold nothing secret, and never on patient pages, which have no
// such script. The cookie asks the proxy for the script that puts it all back.
const all = doc.querySelectorAll.bind(doc);
const save = (scrolls) => {
try {
const fields = [...all(":user-valid,:user-invalid")].filter((field) => !field.closest("#yc") &&
!/pass|hidden|file|cc-|card|cv[cv]|iban|secret|token|csrf|ssn|social|birth|dob|member|one-time/i.test([field.type, field.name, field.id, field.autocomplete]));
if (!fields[0] && !scrolls) return;
sessionStorage.consent = JSON.stringify([location.href.split("#")[0], scrolls && scrollY, fields.map((field) => [field.name || field.id, field.value, field.checked])]);
// An element of the name `cookie` hides the document's own.
Reflect.set(Document.prototype, "cookie", "consent-kept=1;path=/;max-age=30", doc);
} catch {}
};
