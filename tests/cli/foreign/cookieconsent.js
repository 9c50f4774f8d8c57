import * as CookieConsent from 'cookieconsent';
CookieConsent.run({
  revision: 3,
  cookie: { name: 'cc_cookie', expiresAfterDays: 182 },
  guiOptions: { consentModal: { layout: 'cloud inline' } },
  categories: {
    necessary: { enabled: true, readOnly: true },
    analytics: {
      autoClear: { cookies: [{ name: /^_ga/ }, { name: '_gid' }, { name: 'mystery' }] },
    },
    ads: {
      enabled: true,
      services: {
        facebookPixel: { label: '<b>Facebook</b> Pixel', onAccept: () => load(), cookies: [{ name: '_fbp' }] },
      },
    },
    weather: {},
  },
  language: { default: 'en', translations: {} },
});
