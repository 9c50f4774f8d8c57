const purposes = (name) => {
  const config = window.klaroConfig || {};
  const known = [...config.services || [], ...config.apps || []].find((one) => one.name === name);
  return known ? [].concat(known.purposes || []) : [name];
};
const agreed = (name) => purposes(name).length > 0 && purposes(name).every(allows);
const manager = rest({
  get confirmed() { return decided(); },
  get consents() { return new Proxy({}, { get: (_, name) => agreed(name) }); },
  getConsent: agreed,
  watch: (watcher) => changed(() => watcher.update?.(manager, "consents", manager.consents)),
});
define("klaro", rest({ getManager: () => manager, show }));
