// Its names of services: what each is for, where the name tells.
const service = (name) =>
  /pixel|ads|adsense|criteo|doubleclick|linkedin|tiktok|twitteruwt|bing/i.test(name) ? "advertising" :
  /gtag|gajs|analytic|matomo|piwik|hotjar|clarity|plausible|xiti/i.test(name) ? "analytics" :
  /facebook|twitter|instagram|pinterest|addthis|share/i.test(name) ? "social" :
  /youtube|vimeo|dailymotion|map|calendly|captcha|typekit|disqus|chat|spotify/i.test(name) ? "functional" :
  meant(name);
define("tarteaucitron", rest({
  state: new Proxy({}, { get: (_, name) => typeof name === "string" && on(service(name)) }),
  services: {}, user: {}, job: [], parameters: {},
  userInterface: rest({ openPanel: show }),
}));
