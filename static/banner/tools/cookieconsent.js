let settings = {};
const words = () => Object.keys(settings.categories || {});
const cookie = () => ({ categories: words().filter(allows) });
const run = async (given) => {
  settings = given || {};
  if (decided()) loaded(() => settings.onConsent?.({ cookie: cookie() }));
  changed(() => settings.onChange?.({ cookie: cookie(), changedCategories: [] }));
};
define("CookieConsent", rest({
  run,
  acceptedCategory: allows,
  acceptedService: (name, word) => allows(word),
  validConsent: decided,
  validCookie: () => false,
  getCookie: () => cookie(),
  getConfig: (name) => settings[name],
  getUserPreferences: () => ({
    acceptType: !decided() ? "" : !any() ? "necessary" : "custom",
    acceptedCategories: words().filter(allows),
    rejectedCategories: words().filter((word) => !allows(word)),
    acceptedServices: {},
    rejectedServices: {},
  }),
  show, showPreferences: show,
}));
define("initCookieConsent", () => rest({
  run: (given) => { if (decided()) loaded(() => given?.onAccept?.({ categories: [] })); },
  allowedCategory: allows,
  validCookie: () => false,
}));
