// GA4: reads the queue, keeps a client id, sends a beacon for each event.
(function () {
  var queue = (window.dataLayer = window.dataLayer || []);
  var property = 'G-BWDEMO0001';
  var consent = {};
  function state(name) { return consent[name] === 'denied' ? '0' : '1'; }
  function clientId() {
    var found = document.cookie.match(/(?:^|; )_ga=([^;]+)/);
    var id = found ? found[1] : 'GA1.1.' + Math.floor(Math.random() * 1e9) + '.' + Math.floor(Date.now() / 1000);
    if (state('analytics_storage') === '1') {
      document.cookie = '_ga=' + id + '; path=/; max-age=63072000; samesite=lax';
      document.cookie = '_ga_BWDEMO0001=GS2.1.s' + Math.floor(Date.now() / 1000) + '; path=/; max-age=63072000; samesite=lax';
    }
    return id;
  }
  function send(event) {
    var query = new URLSearchParams({
      v: '2', tid: property, cid: clientId(), en: event, dl: location.href, dt: document.title,
      gcs: 'G1' + state('ad_storage') + state('analytics_storage')
    });
    navigator.sendBeacon('%google-analytics%/g/collect?' + query);
  }
  function handle(entry) {
    if (!entry || typeof entry !== 'object') return;
    if (entry[0] === 'consent') Object.assign(consent, entry[2]);
    if (entry[0] === 'config') send('page_view');
    if (entry[0] === 'event') send(entry[1]);
  }
  var push = queue.push;
  queue.slice().forEach(handle);
  queue.push = function () {
    for (var i = 0; i < arguments.length; i++) handle(arguments[i]);
    return push.apply(queue, arguments);
  };
})();
