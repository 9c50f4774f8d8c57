// GA4: reads the queue, keeps a client id, sends a beacon for each event.
(function () {
  var queue = (window.dataLayer = window.dataLayer || []);
  var source = new URL(document.currentScript.src).searchParams;
  var property = source.get('id');
  var contained = source.get('via') === 'gtm';
  var consent = {};
  function state(name) { return consent[name] === 'denied' ? '0' : '1'; }
  function clientId() {
    var found = document.cookie.match(/(?:^|; )_ga=([^;]+)/);
    var id = found ? found[1] : 'GA1.1.' + Math.floor(Math.random() * 1e9) + '.' + Math.floor(Date.now() / 1000);
    if (state('analytics_storage') === '1') {
      document.cookie = '_ga=' + id + '; path=/; max-age=63072000; samesite=lax';
      document.cookie = '_ga_' + property.slice(2) + '=GS2.1.s' + Math.floor(Date.now() / 1000) + '; path=/; max-age=63072000; samesite=lax';
    }
    return id;
  }
  function send(event) {
    var query = new URLSearchParams({
      v: '2', tid: property, cid: clientId(), en: event, dl: location.href, dt: document.title,
      gcs: 'G1' + state('ad_storage') + state('analytics_storage')
    });
    if (contained) query.set('via', 'gtm');
    navigator.sendBeacon('%google-analytics%/g/collect?' + query);
  }
  function handle(entry) {
    if (!entry || typeof entry !== 'object') return;
    if (entry[0] === 'consent') Object.assign(consent, entry[2]);
    if (contained) return;
    if (entry[0] === 'config') send('page_view');
    if (entry[0] === 'event') send(entry[1]);
  }
  queue.slice().forEach(handle);
  if (contained) {
    // The container's tag counts its own page view; the page's tag answers the queue.
    send('page_view');
    return;
  }
  var push = queue.push;
  queue.push = function () {
    for (var i = 0; i < arguments.length; i++) handle(arguments[i]);
    return push.apply(queue, arguments);
  };
})();
