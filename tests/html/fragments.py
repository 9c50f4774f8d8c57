"""A grammar of nasty pages: fragments that hide, split, nest and break off."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

HOSTS = (
    "pixel.test", "video.test", "nobody.test", "www.example.com", "evil.test", "PIXEL.Test",
    "a.pixel.test.", "%70ixel.test", "\uff50ixel.test", "xn--bcher-kva.pixel.test",
    "b\u00fccher.pixel.test", "&#112;ixel.test", "&#x70;ixel&period;test",
    "www.example.com@evil.test", "0x7f.1", "[::1]",
)  # fmt: skip
_URLS = (
    "//{h}/a.js", "https://{h}/x?y=1", "HTTPS:\\\\{h}\\b", "\t//{h}/t", "/own.png", "x.png", "",
    "ht\ntp://{h}/", "//{h}:443/", "&#47;/{h}/e", "data:image/png,x", "#f", "/collect/p.gif",
    "javascript:1", "//u@{h}/", "/\\{h}/b", "\\\\{h}", "///{h}/x", "https:/{h}/x", "http:{h}/x",
    "&sol;&sol;{h}", "/&Tab;/{h}", "https&colon;//{h}/", "//{h}\n/x", " https://{h} ",
    "wss://{h}/s", "https://u:p@{h}:8443/x", "//{h}?q", "//{h}#f", "x.png 1x, //{h}/2.png 2x",
    "//{h}/a,b 1x,", "data:text/html,<img src=//{h}/x>", "data:text/css,a{{b:url(//{h}/x)}}",
    "data:text/css;base64,QGltcG9ydCAiLy9ldmlsLnRlc3QvIjs=", "blob:https://{h}/1", "&bsol;/{h}",
    "data:text/javascript,pixelq(1)", "javascript:'<img src=//{h}/x>'", "htt\tps:\n//{h}",
    "\u0001//{h}/",
)  # fmt: skip
_QUOTES = ('"', "'", "")
_TEMPLATES = (
    "<script src={u}></script>", "<script src={u}>", "<SCRIPT/src={u} ></SCRIPT >",
    "<script>pixelq(1)</script>", "<script>var a='<!--<script>'</script>",
    "<script type=module src={u}></script>", "<script nomodule src={u}></script>",
    "<script type=module>import {q}{r}{q}</script>", "<script type=text/plain src={u}></script>",
    "<script>document.write('<img src={r}>')</script>", "<script><!--", "<script>//--></script>",
    '<script type=importmap>{{"imports":{{"a":"{r}","{r}":"b","c":"/c.js"}}}}</script>',
    '<script type=importmap>{{"scopes":{{"{r}":{{"a":"{r}"}}}}}}</script>',
    '<script type=speculationrules>{{"prefetch":[{{"urls":["{r}"]}}]}}</script>', "<img src={u}>",
    "<img src={u} width=1 height=1>", "<img alt=x srcset={u}>", "<img src=x.png src={u}>",
    "<img src={u} src=x.png>", "<img/src={u}/srcset={u}>", "<IMG SRC={u}>",
    "<img src={u} loading=lazy attributionsrc={u}>", "<picture><source srcset={u}><img src=x.png>",
    "<image href={u}>", "<image src={u}>", "<iframe src={u}></iframe>", "<iframe src={u}>",
    "<iframe srcdoc={u}>", "<iframe srcdoc='<img src={u}>'></iframe>",
    "<iframe src={u} width=0></iframe>",
    "<iframe srcdoc='<iframe srcdoc=&quot;<img src={r}>&quot;>'></iframe>",
    "<iframe srcdoc='&lt;script src={r}>&lt;/script>'></iframe>",
    "<iframe srcdoc='<base href={r}><img src=a>'></iframe>", "<link rel=stylesheet href={u}>",
    "<link rel='preload icon' href={u}>", "<link rel=preload as=image imagesrcset={u} href=x.png>",
    "<link rel='X PreConnect' href={u}>", "<link rel=dns-prefetch href={u}>",
    "<link rel=modulepreload href={u}>", "<link rel=prefetch href={u}>",
    "<link rel=manifest href={u}>", "<link href={u} rel=stylesheet rel=x>",
    "<link rel=x rel=stylesheet href={u}>", "<link rel='alternate stylesheet' title=a href={u}>",
    "<link rel=prerender href={u}>", "<style>a{{background:url({r})}}</style>",
    "<style>@import '{r}';", "</style>", "<style>",
    "<style>b{{background:image-set('{r}' 1x)}}</style>", "<style>/*</style>",
    "<style>@import/**/url( {q}{r}{q} ) screen;</style>", "<style>@\\69mport {q}{r}{q}</style>",
    "<style>@font-face{{src:url({r}) format('x'),local(a)}}</style>", "<style>a{{b:url({q}{r}",
    "<style>a{{b:\\75\n rl({r})}}</style>", "<style>a{{b:u\\72l({r})}}c{{d:src('{r}')}}</style>",
    "<style>a{{b:url(a'{r}')}} c{{d:url({r})}}</style>", "<style>'\\\n</style>",
    "<style><!-- @import url({r}) --></style>", "<p style='background:url({r})'>",
    "<p style='background:\\75rl({r})'>", "<p style=background:url({r})>",
    "<p style='background:url(&quot;{r}&quot;)'>", "<p style='--x:url({r});/*' style=x>", "<svg>",
    "</svg>", "<svg><image href={u} /></svg>", "<svg><script href={u} />",
    "<svg><script xlink:href={u}></script></svg>", "<svg><script>pixelq(1)</script>",
    "<svg><style>a{{fill:url({r})}}", "<svg><title>", "<svg><foreignObject>", "<math>", "</math>",
    "<svg><style>@import &quot;{r}&quot;;</style></svg>",
    "<svg><style><!--</style><img src={u}>--></style>",
    "<svg><feImage href={u} /><use xlink:href={u} /></svg>",
    "<svg><image xlink:href={u} href=x.png />", "<svg fill='url({r})'>",
    "<svg><g filter=url({r}) mask='url({r})'/></svg>", "<svg><a href={u}>",
    "<svg><desc><img src={u}></desc>", "<svg><p>", "<svg><font color=x><img src={u}>",
    "<svg><font>", "<svg><iframe><img src={u}></iframe>", "<svg><textarea><img src={u}>",
    "<svg><noscript><img src={u}>", "<math><annotation-xml encoding='text/html'>", "<math><mtext>",
    "<svg/>", "<svg><use href={u}>", "<math><annotation-xml>",
    "<math href={u}><mi xlink:href={u}>", "<math><mglyph src={u}>",
    "<math><mtext><mglyph><style><img src={u}></style>", "<math><mi><table><mglyph><style>",
    "<svg><set attributeName=href to={u}>", "<svg><animate attributeName=href values={u} />",
    "<![CDATA[", "]]>", "<svg><![CDATA[<img src={u}>]]></svg>", "<![CDATA[<img src={u}>]]>",
    "<svg><style><![CDATA[</style>", "<svg><![CDATA[ ]]]]><img src={u}>", "<table>", "</table>",
    "<tr><td background={u}>", "<caption>", "<table background={u}>", "<th background={u}>",
    "<table><img src={u}>", "<table><style>@import '{r}'</style>",
    "<table><script src={u}></script>", "<colgroup>", "<select>", "</select>", "<option>",
    "<template>", "</template>", "<select><script src={u}></script>",
    "<div><template shadowrootmode=open><img src={u}></template></div>",
    "<div><template shadowrootmode=closed>", "<template><link rel=stylesheet href={u}></template>",
    "<template><base href={u}></template>", "<noscript>", "</noscript>",
    "<noscript><img src={u}></noscript>", "<noscript><iframe src={u}></iframe></noscript>",
    "<noscript><style>@import '{r}'</style></noscript>",
    "<noscript><p title='</noscript><img src={r}>'></noscript>",
    "<noscript><!--</noscript><img src={u}>-->",
    "<noscript><link rel=stylesheet href={u}></noscript>",
    "<head><noscript><img src={u}></noscript>", "<p>", "</p>", "<b>", "</b>",
    "<a href=x ping={u}>", "</a>", "<div>", "</div>", "</br>", "<nobr>", "<a>",
    "<a href=x attributionsrc={u} ping='x {r}'>", "<area ping={u}>", "<i><table></i>",
    "<applet codebase={u}>", "<!--", "-->", "<!-- <img src={u}> -->", "<!-->", "<!--[if IE]>",
    "<![endif]-->", "<?php ?>", "--!>", "<!--->",
    "<!--[if !IE]><!--><img src={u}><!--<![endif]-->", "<![if !IE]><img src={u}><![endif]>",
    "<!-- --!><img src={u}>", "<!--<!--->", "<!x <img src={u}>", "</ <img src={u}>", "</>",
    "<?xml version='1.0'?>", "<title>", "</title>", "<textarea>", "</textarea>", "<xmp>", "</xmp>",
    "<plaintext>", "</plaintext>", "<title><img src={u}></title>",
    "<textarea></title><img src={u}>", "<xmp><img src={u}></xmp>", "<listing>", "<noembed>",
    "</noembed>", "<noframes>", "</noframes>", "<noframes><img src={u}></noframes>",
    "<style></title><img src={u}></style>", "<title></style><img src={u}>",
    "<iframe></noembed><img src={u}>", "<frameset>", "<frame src={u}>", "</frameset>", "<head>",
    "</head>", "<body>", "<body background={u}>", "<html style='background:url({r})'>",
    "<body style='background:url({r})'>", "<html background={u}>",
    "</head><link rel=stylesheet href={u}>", "</body>", "</html>", "<!doctype html>",
    "<base href={u}>", "<base>", "<base target=x><base href={u}>",
    "<meta http-equiv=refresh content='0;url={r}'>", "<meta http-equiv=Refresh content='0, {r}'>",
    "<meta http-equiv=refresh content='1;URL= &quot;{r}&quot;'>", "<meta charset=shift_jis>",
    "<meta http-equiv=content-type content='text/html; charset=gbk'>",
    "<meta http-equiv=delegate-ch content='sec-ch-ua {r}'>",
    "<meta name=referrer content=unsafe-url>", "<form action={u}>", "</form>",
    "<button formaction={u}>", "<input type=image src={u}>", "<input type=submit formaction={u}>",
    "<form><input formaction={u}></form>", "<object data={u}>", "</object>", "<embed src={u}>",
    "<video src={u} poster={u}>", "</video>", "<object data={u}><img src={u}></object>",
    "<object codebase={u} data=x>", "<object classid={u}>", "<param name=movie value={u}>",
    "<embed code={u}>", "<bgsound src={u}>", "<portal src={u}></portal>", "<source srcset={u}>",
    "<audio src={u}>", "<track src={u}>", "<fencedframe src={u}></fencedframe>", "<", "</", "&",
    "lt;", "x", " ", "\n", "\r\n", "\r", "\0", "\f", ">", "'", '"', "=", "/", "<img src=",
    "<img title='", "img src={u}>", "script src={u}>", "<img src=x src={u}>", "\u00e9",
    "\u3042]]>", "<svg><![CDATA[ \u8868]]>", "\u30bd", "<a b=`", "<p \u0130=", "\x0b", "\x1a",
    "\x7f", "/>", "<img\fsrc={u}>", "<img\nsrc\n=\n{u}\n>", "<img src={u}x=y>", "<img\x0bsrc={u}>",
    "<iframe data-src={u}></iframe>", "<img data-srcset={u} src=x.png>", "<div data-bg={u}></div>",
    "<div data-src={u}>", "<script type=x/lazy data-src={u}></script>", "<li data-url={u}>",
    "<p data-html='<img src={r}>'>", "<lite-x data-src={u}></lite-x>",
    "<script type=x/lazy>pixelq(1)",
    "<template><div data-src={u}></div><tr>", "<img lazy-src={u}>", "<svg><g data-src={u}>",
    "<\x00img src={u}>", "<im\x00g src={u}>", "&lt;img src={u}&gt;",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """A page as an origin sends it. `codec` is Python's name for the charset it is read in."""

    body: bytes
    content_type: str
    codec: str


_CHARSETS = (
    ("text/html; charset=utf-8", "utf-8", b""),
    ("text/html; charset=Shift_JIS", "cp932", b""),
    ("text/html; charset=gbk", "gb18030", b""),
    ("text/html; charset=big5", "big5hkscs", b""),
    ("text/html; charset=euc-jp", "euc_jp", b""),
    ("text/html; charset=windows-1251", "cp1251", b""),
    ("text/html; charset=iso-2022-jp", "iso2022_jp", b""),
    ("text/html; charset=utf-16le", "utf-16-le", b""),
    ("text/html", "utf-16-be", b"\xfe\xff"),
    ("text/html; charset=big5", "utf-8", b"\xef\xbb\xbf"),
)
"""Content-Type, the charset in force, and the mark in front that puts it in force."""


@st.composite
def fragment(draw: st.DrawFn) -> str:
    template = draw(st.sampled_from(_TEMPLATES))
    if "{" not in template:
        return template
    raw = draw(st.sampled_from(_URLS)).format(h=draw(st.sampled_from(HOSTS)))
    quote = draw(st.sampled_from(_QUOTES))
    return template.format(u=f"{quote}{raw}{quote}", r=raw, q=quote)


@st.composite
def page(draw: st.DrawFn) -> Written:
    """A page of fragments, perhaps with a piece cut out or doubled, mostly in UTF-8."""
    text = "".join(draw(st.lists(fragment(), min_size=1, max_size=14)))
    if draw(st.booleans()):
        text = f"<!doctype html><html><head><title>t</title></head><body>{text}</body></html>"
    which = max(0, draw(st.integers(-20, len(_CHARSETS) - 1)))
    content_type, codec, mark = _CHARSETS[which]
    body = text.encode(codec, "ignore")
    if draw(st.integers(0, 3)) == 0:
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        cut, twice = body[:first] + body[last:], body[:last] + body[first:]
        body = draw(st.sampled_from((cut, twice)))
    return Written(mark + body, content_type, codec)
