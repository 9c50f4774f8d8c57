const groups = () => ["C0001", "C0002", "C0003", "C0004", "C0005"].filter(allows);
const oneTrust = rest({
  IsAlertBoxClosed: decided,
  IsAlertBoxClosedAndValid: decided,
  ToggleInfoDisplay: show,
  OnConsentChanged: (call) => changed(() => call({ detail: groups() })),
  GetDomainData: () => ({ Groups: [], ConsentModel: {} }),
  InsertScript: (src, place, call, options, group) => {
    if (!allows(group)) return;
    const script = document.createElement("script");
    script.onload = call;
    script.src = src;
    document.head.append(script);
  },
});
define("OneTrust", oneTrust);
define("Optanon", oneTrust);
for (const name of ["OnetrustActiveGroups", "OptanonActiveGroups"]) define(name, `,${groups()},`);
loaded(() => window.OptanonWrapper?.());
