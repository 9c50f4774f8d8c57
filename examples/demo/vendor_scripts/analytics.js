// The analytics tag that the container loads.
(function () {
  document.cookie = '_gid=GA1.1.' + Date.now() + '; path=/; max-age=86400; samesite=lax';
  new Image().src = '%google-analytics%/collect?via=gtm&t=pageview&dl=' + encodeURIComponent(location.href);
})();
