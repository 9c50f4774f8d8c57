define("Cookiebot", rest({
  consent: {
    necessary: true,
    get preferences() { return on("functional"); },
    get statistics() { return on("analytics"); },
    get marketing() { return on("advertising"); },
    get method() { return decided() ? "explicit" : null; },
  },
  get consented() { return decided() && any(); },
  get declined() { return decided() && !any(); },
  get hasResponse() { return decided(); },
  show, renew: show, withdraw: show,
}));
loaded(() => {
  tell("CookiebotOnLoad");
  if (!decided()) return;
  tell("CookiebotOnConsentReady", any() ? "CookiebotOnAccept" : "CookiebotOnDecline");
  window[any() ? "CookiebotCallback_OnAccept" : "CookiebotCallback_OnDecline"]?.();
});
