// Nobody knows who pasted this one in.
(function () {
  var script = document.currentScript;
  var via = script && /via=gtm/.test(script.src) ? '&via=gtm' : '';
  document.cookie = 'mm_id=' + Math.random().toString(36).slice(2) + '; path=/; max-age=31536000; samesite=lax';
  new Image().src = '%mystery-metrics%/t?e=view' + via + '&u=' + encodeURIComponent(location.href);
  navigator.sendBeacon('%mystery-metrics%/b', location.href);
})();
