// A recorder: keeps its cookies alive and reports for as long as the page lives.
(function () {
  var id = (window._hjSettings || {}).hjid || '3100041';
  function report() {
    var stamp = Date.now().toString(36);
    document.cookie = '_hjSessionUser_' + id + '=' + stamp + '; path=/; max-age=31536000; samesite=lax';
    document.cookie = '_hjSession_' + id + '=' + stamp + '; path=/; max-age=1800; samesite=lax';
    fetch('%in-hotjar%/api/v2/client/sites/' + id + '/visit-data?sv=6', {
      method: 'POST', mode: 'no-cors', keepalive: true,
      body: JSON.stringify({ url: location.href, nodes: document.querySelectorAll('*').length })
    }).catch(function () {});
  }
  report();
  setInterval(report, 2000);
})();
