// What the site's own code does on every page: it takes the trackers' functions for granted,
// as most sites do, so a page with closed gates must still offer them.
document.addEventListener('click', function (event) {
  var link = event.target.closest('[data-cta]');
  if (!link) return;
  gtag('event', 'cta_click', { place: link.dataset.cta });
  fbq('track', 'Lead');
  document.documentElement.dataset.lastCta = link.dataset.cta;
});
document.documentElement.dataset.siteReady = 'yes';
