// A container: what marketing put into Google Tag Manager without asking anyone.
(function () {
  function load(src) {
    var tag = document.createElement('script');
    tag.async = true;
    tag.src = src;
    document.head.appendChild(tag);
  }
  window.dataLayer = window.dataLayer || [];
  window.google_tag_manager = { 'GTM-BW4X2K7': { dataLayer: {} } };
  load('%googletagmanager%/gtag/js?id=G-BWGTM00001&via=gtm');
  load('%connect-facebook%/en_US/fbevents.js?via=gtm');
  load('%mystery-metrics%/mm.js?via=gtm');
})();
