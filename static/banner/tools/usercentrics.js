define("UC_UI", rest({
  isInitialized: () => true,
  isConsentRequired: () => !decided(),
  areAllConsentsAccepted: () => decided() && Object.values(state().categories).every(Boolean),
  getServicesBaseInfo: () => [],
  getServicesFullInfo: async () => [],
  showFirstLayer: show, showSecondLayer: show,
}));
loaded(() => tell("UC_UI_INITIALIZED"));
