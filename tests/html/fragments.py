"""A grammar of nasty pages: fragments that hide, split, nest and break off."""

from __future__ import annotations

from hypothesis import strategies as st

HOSTS = ("pixel.test", "video.test", "nobody.test", "www.example.com", "evil.test")
_URLS = (
    "//{h}/a.js", "https://{h}/x?y=1", "HTTPS:\\\\{h}\\b", "\t//{h}/t", "/own.png", "x.png", "",
    "ht\ntp://{h}/", "//{h}:443/", "&#47;/{h}/e", "data:image/png,x", "#f", "/collect/p.gif",
    "javascript:1", "//u@{h}/",
)  # fmt: skip
_QUOTES = ('"', "'", "")
_TEMPLATES = (
    "<script src={u}></script>", "<script src={u}>", "<SCRIPT/src={u} ></SCRIPT >",
    "<script>pixelq(1)</script>", "<script>var a='<!--<script>'</script>",
    "<img src={u}>", "<img src={u} width=1 height=1>", "<img alt=x srcset={u}>",
    "<image href={u}>", "<iframe src={u}></iframe>", "<iframe src={u}>", "<iframe srcdoc={u}>",
    "<iframe srcdoc='<img src={u}>'></iframe>", "<iframe src={u} width=0></iframe>",
    "<link rel=stylesheet href={u}>", "<link rel='preload icon' href={u}>",
    "<style>a{{background:url({r})}}</style>", "<style>@import '{r}';", "</style>",
    "<style>b{{background:image-set('{r}' 1x)}}</style>", "<style>/*</style>",
    "<p style='background:url({r})'>", "<p style='background:\\75rl({r})'>",
    "<svg>", "</svg>", "<svg><image href={u} /></svg>", "<svg><script href={u} />",
    "<svg><style>a{{fill:url({r})}}", "<svg><title>", "<svg><foreignObject>", "<math>", "</math>",
    "<math><annotation-xml encoding='text/html'>", "<math><mtext>", "<svg/>", "<svg><use href={u}>",
    "<svg><set attributeName=href to={u}>", "<![CDATA[", "]]>",
    "<table>", "</table>", "<tr><td background={u}>", "<caption>",
    "<select>", "</select>", "<option>", "<template>", "</template>",
    "<noscript>", "</noscript>", "<noscript><img src={u}></noscript>",
    "<noscript><iframe src={u}></iframe></noscript>",
    "<p>", "</p>", "<b>", "</b>", "<a href=x ping={u}>", "</a>", "<div>", "</div>",
    "<!--", "-->", "<!-- <img src={u}> -->", "<!-->", "<!--[if IE]>", "<![endif]-->", "<?php ?>",
    "<title>", "</title>", "<textarea>", "</textarea>", "<xmp>", "</xmp>", "<plaintext>",
    "<noembed>", "</noembed>", "<noframes>", "</noframes>",
    "<frameset>", "<frame src={u}>", "</frameset>",
    "<head>", "</head>", "<body>", "<body background={u}>", "<html style='background:url({r})'>",
    "</body>", "</html>", "<!doctype html>",
    "<base href={u}>", "<base>", "<meta http-equiv=refresh content='0;url={r}'>",
    "<form action={u}>", "</form>", "<button formaction={u}>", "<input type=image src={u}>",
    "<object data={u}>", "</object>", "<embed src={u}>", "<video src={u} poster={u}>", "</video>",
    "<source srcset={u}>", "<audio src={u}>", "<track src={u}>",
    "<", "</", "&", "lt;", "x", " ", "\n", "\r\n", "\r", "\0", "\f", ">", "'", '"', "=", "/",
    "<img src=", "<img title='", "img src={u}>", "script src={u}>", "<img src=x src={u}>", "\u00e9",
)  # fmt: skip


@st.composite
def fragment(draw: st.DrawFn) -> str:
    template = draw(st.sampled_from(_TEMPLATES))
    if "{" not in template:
        return template
    raw = draw(st.sampled_from(_URLS)).format(h=draw(st.sampled_from(HOSTS)))
    quote = draw(st.sampled_from(_QUOTES))
    return template.format(u=f"{quote}{raw}{quote}", r=raw)


@st.composite
def page(draw: st.DrawFn) -> bytes:
    """A page of fragments, perhaps with a piece cut out and another doubled."""
    text = "".join(draw(st.lists(fragment(), min_size=1, max_size=14)))
    if draw(st.booleans()):
        text = f"<!doctype html><html><head><title>t</title></head><body>{text}</body></html>"
    body = text.encode()
    if draw(st.integers(0, 3)) == 0:
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        cut, twice = body[:first] + body[last:], body[:last] + body[first:]
        body = draw(st.sampled_from((cut, twice)))
    return body
