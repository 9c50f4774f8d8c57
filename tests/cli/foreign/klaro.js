// A shop's configuration, made up for the tests.
var klaroConfig = {
    version: 1,
    elementID: 'klaro',
    cookieExpiresAfterDays: 365,
    default: false,
    translations: {
        en: { privacyPolicyUrl: '/privacy', purposes: { analytics: 'Analytics', fun: "Let's \u0022play\u0022" } },
    },
    privacyPolicy: { en: '/privacy', de: '/datenschutz' },
    services: [
        {
            name: 'googleAnalytics',
            title: 'Google Analytics',
            purposes: ['analytics'],
            cookies: [[/^_ga.*$/, '/', 'example.com'], [/^_ga_.*/, '/'], '_gid', [/[a-z]+x/]],
            callback: function (consent, service) { if (consent) { alert(1); } },
            required: false,
        },
        { name: 'matomo', purposes: ['analytics'], default: true, onAccept: `go()` },
        { name: 'our-chat', title: 'Our Chat', purposes: ['livechat'], cookies: ['chat_id'], required: true },
    ],
};
