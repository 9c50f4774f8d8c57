// The pixel: drains the queue that the page's snippet filled, then answers each call.
(function () {
  var via = /via=gtm/.test(document.currentScript.src) ? '&via=gtm' : '';
  if (!/(?:^|; )_fbp=/.test(document.cookie)) {
    document.cookie = '_fbp=fb.1.' + Date.now() + '.' + Math.floor(Math.random() * 1e10) + '; path=/; max-age=7776000; samesite=lax';
  }
  function track(event) {
    new Image().src = '%facebook%/tr?id=410000000000041&ev=' + encodeURIComponent(event) + via + '&dl=' + encodeURIComponent(location.href);
  }
  if (via) {
    track('PageView');
    return;
  }
  function call() {
    if (arguments[0] === 'track') track(arguments[1]);
  }
  if (!window.fbq) return;
  var waiting = window.fbq.queue || [];
  window.fbq.callMethod = call;
  while (waiting.length) call.apply(null, waiting.shift());
})();
