"""Markup with places for words, and words that would change how it is read elsewhere."""

from __future__ import annotations

from hypothesis import strategies as st

PLAIN = (
    "<p>{w}</p>", "<p>a {w} b {w}</p>", "<!--{w}-->", "<!-- a > {w} -->", "<!-- made in {w} ms -->",
    "<input type=hidden name=t value='{w}'>", '<input value="{w}" src=//pixel.test/x>',
    '<meta name="csrf-token" content="{w}">', "<meta name=referrer content='{w}'>",
    "<meta name=page-audience content='{w}'>", "<meta http-equiv=refresh content='{w}'>",
    "<script nonce='{w}' src=/own.js></script>", "<script nonce='{w}' src=//pixel.test/x></script>",
    "<script nonce='{w}'>pixelq(1)</script>", "<script>var t='{w}'</script>",
    "<script nonce='{w}'>function f(){{}} pixelq('{w}')</script><script>f()</script>",
    "<script>var at = {w}; f('{w}')</script>", "<script>// {w}\n</script>",
    "<script type=application/json>{{\"a\":\"{w}\"}}</script>",
    "<img src='/own.png?v={w}' alt='{w}'>",
    "<img src='//pixel.test/p' alt='{w}'>", "<img src='//nobody.test/p' title='a {w}'>",
    "<svg><image href='//nobody.test/p'><title>{w}</title></image></svg>",
    "<img src='//pixel.test/p?v={w}'>", "<img src='//{w}/p.gif'>", "<a href='/x?s={w}'>y</a>",
    "<a href='{w}'>y</a>", "<a data-consent-link href='/{w}'>y</a>",
    "<a data-consent-link href='/.consent/preferences' id='{w}'>y</a>",
    "<iframe src='//video.test/e?x={w}' title='{w}' width=9></iframe>",
    "<iframe srcdoc='<p id={w}>'></iframe>", "<div style='background:url({w})' data-t='{w}'></div>",
    "<script data-t='{w}' src=//pixel.test/x></script>", "<title>{w}</title>", "<style>{w}</style>",
    "<textarea>{w}</textarea>", "<table><tr>{w}<td>{w}</table>", "<select><option value='{w}'>{w}",
    "<svg><text>{w}</text><style>{w}</style></svg>", "<template><p>{w}</template>", "<{w}>",
    "</{w}>",
    "<p {w}>", "<p {w}='{w}'>", "<p title='<b>{w}'>", "<script>'<!--{w}'</script>", "&{w};",
    "&#{w};",
    "<p>\u00e9{w}</p>", "<base href='{w}'>", "<form action='/go?t={w}'></form>", "<!{w}>", "<?{w}>",
    "<link rel=stylesheet href='/a.css?{w}'>", "<link rel='{w}' href=//pixel.test/x>", "{w}",
    "<iframe src='/own/frame?{w}'></iframe>", "<div data-consent-declaration='{w}'>{w}</div>",
    "<noscript><img src='//pixel.test/?{w}'></noscript>", "<noscript>{w}</noscript>",
    "<div data-src='{w}' data-bg='/{w}'></div>", "<img data-src='{w}' data-lazy='//{w}/'>",
    "<p data-html='<img src={w}>'>", "<script type='{w}'>pixelq(1)</script>",
    "<p class='ot-sdk-{w} cky-{w}'>", "<script>klaro{w}(1);Cookiebot{w}</script>",
    "<meta http-equiv=content-security-policy content=\"script-src '{w}'; form-action {w}\">",
    "<p id='{w}'>", "<p id='yc&#45;{w}'>", "<p id='y&#{w};'>", "<button form='{w}'>",
)  # fmt: skip
NASTY = (
    "script", "img", "-", "--", "a--", "--b", "a-b", "1", "1234", "deadbeef", "/script",
    "//evil.test",
    "javascript:1", "utf-16", "patient", "no-referrer", "0;url", "x", "T0k3n_-/+=", "stylesheet",
    "preconnect", "preload", "data:,", "https://pixel.test/", "video.test", "pixelq", "copy", "x3c",
    "noscript", "template", "!", "comment", "svg", "1.5", "lt", "body", "...", "a=b", "%3Cimg",
    "yc-o", "yc", "o", "99", "Cookiebot.renew", "klaro.show", "cky-btn", "optanon", "osano-cm-",
)  # fmt: skip
WORDS = st.sampled_from(NASTY) | st.from_regex(r"[A-Za-z0-9_+/=.:-]{1,12}", fullmatch=True)
