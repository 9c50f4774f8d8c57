// LinkedIn's tag.
(function () {
  document.cookie = 'li_fat_id=' + Math.random().toString(16).slice(2) + '; path=/; max-age=2592000; samesite=lax';
  var partners = (window._linkedin_data_partner_ids || []).join(',');
  new Image().src = '%px-linkedin%/collect/?v=2&fmt=js&pid=' + partners + '&url=' + encodeURIComponent(location.href);
})();
