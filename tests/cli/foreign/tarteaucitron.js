tarteaucitron.init({
  "privacyUrl": "/confidentialite",
  "hashtag": "#tarteaucitron",
  "orientation": "middle",
});
tarteaucitron.user.gtagUa = 'G-XXXX';
tarteaucitron.user.gtagMore = function () { };
(tarteaucitron.job = tarteaucitron.job || []).push('gtag');
(tarteaucitron.job = tarteaucitron.job || []).push('youtube');
tarteaucitron.job.push('facebookpixel', 'smalltool');
