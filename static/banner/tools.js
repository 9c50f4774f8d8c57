// Stands in for another consent tool that is closed: what it is asked is answered by the visitor's
// choice here, and what opened its preferences opens ours.
(() => {
  const own = window.consent;
  const { named, opening } = document.currentScript.dataset;
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
  // Whatever else is called does nothing, or opens our preferences where its name says so.
  const rest = (target, opens) => new Proxy(target, {
    get: (_, key) =>
      key in target || typeof key === "symbol" || key === "then" ? target[key] :
      rest(() => {}, /show|open|renew|toggle|display|prefer|setting|manage/i.test(key)),
    apply: (_, self, values) => {
      if (opens || /show|open|prefer/i.test(values[0])) show();
      return rest(() => {});
    },
  });
  //@cookiebot
  //@onetrust
  //@usercentrics
  //@osano
  //@klaro
  //@cookieconsent
  //@tarteaucitron
  if (named) for (const name of named.split(" ")) define(name, rest(() => {}));
  addEventListener("click", (event) => {
    if (!event.target.closest?.(opening)) return;
    event.preventDefault();
    own.open();
  }, true);
})();
