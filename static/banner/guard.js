// A client-side navigation into a patient page becomes a full load: what runs on this page must
// not come along. Covers the History API and the Navigation API.
(() => {
  const globs = JSON.parse(document.currentScript.dataset.paths);
  const escape = (text) => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  const rules = globs.map((glob) =>
    new RegExp("^" + escape(glob).replace(/\/\*$/, "(?:/.*)?").replace(/\*/g, ".*") + "$", "is"));
  const clean = (path) => {
    try { path = decodeURIComponent(path); } catch { /* as it is */ }
    return path.replace(/\\/g, "/").replace(/\/{2,}/g, "/").replace(/;.*/, "");
  };
  // An element of the name `baseURI` hides the document's own.
  const base = Reflect.getOwnPropertyDescriptor(Node.prototype, "baseURI").get.bind(document);
  const isPatient = (url) => {
    try {
      const to = new URL(url, base());
      return to.origin === location.origin &&
        rules.some((rule) => rule.test(to.pathname) || rule.test(clean(to.pathname)));
    } catch { return false; }
  };
  for (const name of ["pushState", "replaceState"]) {
    const original = History.prototype[name];
    History.prototype[name] = function (state, title, url) {
      if (url !== undefined && url !== null && isPatient(url)) {
        location[name === "pushState" ? "assign" : "replace"](url);
        return undefined;
      }
      return original.apply(this, arguments);
    };
  }
  // First to listen, and while the event comes down: nobody else gets to turn the navigation into
  // one without a load. What was none from the start (the History API of a frame) becomes one.
  if (window.navigation) {
    navigation.addEventListener("navigate", (event) => {
      const { url, sameDocument } = event.destination;
      if (event.hashChange || !isPatient(url)) return;
      event.stopImmediatePropagation();
      if (!sameDocument || !event.cancelable) return;
      event.preventDefault();
      setTimeout(() => location.assign(url));
    }, true);
  }
})();
