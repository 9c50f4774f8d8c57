// Stands in for another consent tool that is closed: what it is asked is answered by the visitor's
// choice here, and what opened its preferences opens ours.
(() => {
  const own = window.consent;
  const { named, opening, links, calls } = document.currentScript.dataset;
  const state = () => own.get();
  const on = (category) => category === "necessary" || state().categories[category] === true;
  const decided = () => state().decided;
  const any = () => ["functional", "analytics", "advertising", "social"].some(on);
  // Only where the visitor has just pressed something: a page also calls these on its own.
  const show = () => { if (navigator.userActivation.isActive) own.open(); };
  const nothing = () => {};
  // A category of ours, by the word that the site or the tool has for it.
  const meant = (word) =>
    /necess|essent|strict|requir|mandat|c0001/i.test(word) ? "necessary" :
    /advert|market|target|\bads?\b|c0004/i.test(word) ? "advertising" :
    /statist|analy|perform|measur|c0002/i.test(word) ? "analytics" :
    /social|c0005/i.test(word) ? "social" :
    /func|prefer|personal|comfort|c0003/i.test(word) ? "functional" : "";
  const allows = (word) => on(meant(word));
  const changed = (call) => own.on("change", call);
  const loaded = (call) => addEventListener("load", call);
  const tell = (...names) => names.forEach((name) => dispatchEvent(new Event(name)));
  const define = (name, value) => { if (!(name in window)) window[name] = value; };
  // Whatever else is called does nothing, or opens our preferences where its name says so. What the
  // page stores in it is found there again.
  const opens = (name) =>
    /show|open|re(new|visit|voke|consent|surface)|toggle|display|prefer|setting|manage|clickListener/i.test(name);
  const other = (name) => {
    const target = (...values) => {
      if (opens(name) || /show|open|prefer|display/i.test(values[0])) show();
      return other("");
    };
    delete target.length;
    delete target.name;
    return rest(target);
  };
  const rest = (target) => {
    const made = {};
    return new Proxy(target, {
      get: (_, key) =>
        key in target || typeof key === "symbol" || key === "then" ? target[key] :
        made[key] ||= other(key),
      // What answers by the visitor's choice is not for the page to say.
      set: (_, key, value) =>
        !!Object.getOwnPropertyDescriptor(target, key)?.get ||
        Reflect.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: true }),
    });
  };
  //@cookiebot
  //@onetrust
  //@usercentrics
  //@osano
  //@klaro
  //@cookieconsent
  //@tarteaucitron
  if (named) for (const name of named.split(" ")) define(name, other(name));
  // A tool that a closed tag manager would have brought has no stand-in, only links (`links` are its
  // names). One that is there after all opens its own.
  const absent = (name) => !(name in window);
  addEventListener("click", (event) => {
    const link = event.target.closest?.(`${opening},[onclick],a[href^="javascript:" i]`);
    if (!link) return;
    if (!link.matches(opening)) {
      const code = `${link.getAttribute("onclick")} ${link.getAttribute("href")}`;
      if (!code.match(new RegExp(`\\b(${calls})\\b`, "g"))?.some(absent)) return;
      event.stopPropagation();
    } else if (links && !links.split(" ").every(absent)) return;
    event.preventDefault();
    own.open();
  }, true);
})();
