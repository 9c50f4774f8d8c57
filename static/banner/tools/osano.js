const answer = (category) => on(category) ? "ACCEPT" : "DENY";
const osano = () => ({
  ESSENTIAL: "ACCEPT",
  ANALYTICS: answer("analytics"),
  MARKETING: answer("advertising"),
  PERSONALIZATION: answer("functional"),
  STORAGE: answer("functional"),
  "OPT-OUT": on("advertising") ? "DENY" : "ACCEPT",
});
const hears = (type, call) => {
  if (/initialized$/i.test(type)) loaded(() => call(osano()));
  else if (/consent-?saved$/i.test(type)) {
    if (decided()) loaded(() => call(osano()));
    changed(() => call(osano()));
  }
};
define("Osano", Object.assign((type, call) => hears(type, call), {
  cm: rest({
    getConsent: osano,
    get analytics() { return on("analytics"); },
    get marketing() { return on("advertising"); },
    get personalization() { return on("functional"); },
    essential: true,
    addEventListener: hears,
    showDrawer: show,
  }),
}));
