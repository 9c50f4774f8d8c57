// Stands in for the globals of vendors that are closed, so that the site's own calls to them
// neither fail nor do anything. What the page stores in one is found there again; whatever else is
// called, read or constructed is an empty one, too.
(() => {
  const data = document.currentScript.dataset;
  // Code that waits for a tag before it goes on (to follow a link, to send a form) must not wait.
  const later = (call, ...values) => typeof call === "function" && setTimeout(call, 0, ...values);
  const callbacks = ["event_callback", "eventCallback", "hitCallback", "callback"];
  const goOn = (values, method) => {
    values.forEach((value, at) => {
      if (callbacks.includes(value)) later(values[at + 1]);
      if (Array.isArray(value)) goOn(value, "push");
      else if (value && typeof value === "object") for (const name of callbacks) later(value[name]);
    });
    const last = values[values.length - 1];
    // `ga(ready)`, `gtag("get", id, field, call)`, `ym(1, "hit", url, call)`, `x.track("a", call)`.
    if (!method && values.length === 1) later(last, make());
    else if (!method ? values[0] === "get" || typeof values[0] === "number" :
      /^(track|page|identify|alias|group|screen|ready|capture|logEvent)$/.test(String(method))) later(last, "");
  };
  // Native promises and polyfills give both functions: `await x` goes on, with one that is no
  // promise. A page's own `x.load().then(call)` is not called: what it waits for has not come.
  const then = (done, failed) => {
    if (typeof failed === "function") later(done, make("", true));
    return make();
  };
  const make = (method, settled) => {
    // A sloppy function has properties of its own that nothing can be stored in.
    const target = function () { "use strict"; };
    delete target.length;
    delete target.name;
    const made = {};
    let prototype;
    const self = new Proxy(target, {
      get: (_, key) =>
        // What a class of the page's own inherits from is one, too.
        key === "prototype" && !prototype ? prototype = target.prototype = make() :
        Object.prototype.hasOwnProperty.call(target, key) ? target[key] :
        key === Symbol.toPrimitive ? () => "" :
        key === "length" ? 0 :
        key === "then" && !settled ? then :
        key === Symbol.iterator ? () => [][key]() :
        // As a promise it would keep its caller waiting for ever.
        key === "then" ? undefined :
        key in target ? target[key] : made[key] ||= make(key),
      set: (_, key, value, on) =>
        key === "prototype" ? Reflect.set(target, key, prototype = value) :
        Reflect.defineProperty(on, key, { value, writable: true, configurable: true, enumerable: true }),
      apply: (_, on, values) => (
        method === "finally" ? later(values[0]) : goOn(values, method), make()),
      construct: (_, values, of) => of === self ? make() : Reflect.construct(Object, [], of),
    });
    return self;
  };
  const define = (names, value) => {
    for (const name of names ? names.split(" ") : []) {
      if (!(name in window)) window[name] = value();
    }
  };
  define(data.queues, () => {
    const queue = [];
    queue.push = (...values) => (goOn(values, "push"), Array.prototype.push.apply(queue, values));
    return queue;
  });
  define(data.calls, () => make());
})();
