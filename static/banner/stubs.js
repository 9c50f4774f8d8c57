// Stands in for the globals of vendors that are closed, so that the site's own calls to them
// neither fail nor do anything. Whatever is called, read or constructed gives the same nothing.
(() => {
  const data = document.currentScript.dataset;
  // Code that waits for a tag before it goes on (to follow a link, to send a form) must not wait.
  const goOn = (values) => {
    for (const value of values) {
      for (const name of ["event_callback", "eventCallback", "hitCallback"]) {
        if (value && typeof value[name] === "function") setTimeout(value[name], 0);
      }
    }
  };
  const nothing = new Proxy(function () {}, {
    get: (target, key) =>
      key === Symbol.toPrimitive ? () => "" :
      key === "length" ? 0 :
      // As a promise or an iterable it would keep its caller waiting for ever.
      key === "then" || key === Symbol.iterator ? undefined :
      key in Function.prototype ? Function.prototype[key] : nothing,
    set: () => true,
    apply: (target, self, values) => (goOn(values), nothing),
    construct: () => nothing,
  });
  const define = (names, make) => {
    for (const name of names ? names.split(" ") : []) {
      if (!(name in window)) window[name] = make();
    }
  };
  define(data.queues, () => Object.assign([], { push: (...values) => (goOn(values), 0) }));
  define(data.calls, () => nothing);
})();
