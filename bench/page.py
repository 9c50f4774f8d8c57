"""A marketing page as they are today, made up here and the same in every run.

About 110 KB: prose, links, images with `srcset`, some thirty scripts (own bundles, JSON-LD, and
the snippets that vendors hand out, re-worded), frames, preloads and pixels in `noscript`. What a
page costs depends on its resources and its length, not on its words.
"""

from __future__ import annotations

import random

PER_REQUEST = "<!--per-request-->"
"""Where the origin may write a number, to make the body of each reply a new one."""

PER_REQUEST_NAME = "per-request-name"
"""Where it may write one as part of an address."""

PAGE_BYTES = 110 * 1024
STATIC_BYTES = 20 * 1024

_WORDS = [
    "claim",
    "invoice",
    "coverage",
    "denial",
    "provider",
    "practice",
    "billing",
    "patient",
    "statement",
    "balance",
    "code",
    "audit",
    "payer",
    "remittance",
    "deductible",
    "copay",
    "ledger",
    "appeal",
    "payment",
    "schedule",
    "front",
    "office",
    "team",
    "month",
    "days",
    "report",
    "revenue",
    "cycle",
    "clean",
    "accurate",
    "faster",
    "quiet",
    "simple",
    "steady",
    "honest",
    "review",
    "answer",
]

_VENDOR_HEAD = """
<link rel="preconnect" href="https://www.googletagmanager.com">
<link rel="dns-prefetch" href="//connect.facebook.net">
<link rel="preload" as="script" href="https://www.googletagmanager.com/gtag/js?id=G-BENCH00001">
<link rel="stylesheet" href="https://fonts.googleapis.com/css2?family=Inter:wght@400;700">
<script>(function(w,d,l){w[l]=w[l]||[];w[l].push({"gtm.start":Date.now(),event:"gtm.js"});
var s=d.createElement("script");s.async=true;
s.src="https://www.googletagmanager.com/gtm.js?id=GTM-BENCH01";
d.head.appendChild(s)})(window,document,"dataLayer");</script>
<script async src="https://www.googletagmanager.com/gtag/js?id=G-BENCH00001"></script>
<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}
gtag("js",new Date());gtag("config","G-BENCH00001");</script>
<script>window.fbq=window.fbq||function(){(fbq.queue=fbq.queue||[]).push(arguments)};
var fb=document.createElement("script");fb.src="https://connect.facebook.net/en_US/fbevents.js";
document.head.appendChild(fb);fbq("init","100000000000001");fbq("track","PageView");</script>
<script>window._linkedin_partner_id="1000001";
window._linkedin_data_partner_ids=window._linkedin_data_partner_ids||[];
window._linkedin_data_partner_ids.push(window._linkedin_partner_id);</script>
<script async src="https://snap.licdn.com/li.lms-analytics/insight.min.js"></script>
<script>(function(h){h.hj=h.hj||function(){(h.hj.q=h.hj.q||[]).push(arguments)};
h._hjSettings={hjid:1000001,hjsv:6};var r=document.createElement("script");r.async=1;
r.src="https://static.hotjar.com/c/hotjar-1000001.js?sv=6";document.head.appendChild(r)})(window);
</script>
<script async src="https://cdn.unlisted-widget.example/loader.js" integrity="sha384-none"></script>
"""

_VENDOR_BODY = """
<noscript><iframe src="https://www.googletagmanager.com/ns.html?id=GTM-BENCH01" height="0"
width="0" style="display:none;visibility:hidden"></iframe></noscript>
<noscript><img height="1" width="1" alt="" style="display:none"
src="https://www.facebook.com/tr?id=100000000000001&amp;ev=PageView&amp;noscript=1"></noscript>
<noscript><img height="1" width="1" alt="" style="display:none"
src="https://px.ads.linkedin.com/collect/?pid=1000001&amp;fmt=gif"></noscript>
"""

_EMBEDS = """
<iframe width="560" height="315" src="https://www.youtube.com/embed/abcdefghijk"
title="How billing works" loading="lazy" allowfullscreen></iframe>
<iframe src="https://www.google.com/maps/embed?pb=!1m18!1m12" width="600" height="450"
title="Our office" loading="lazy"></iframe>
"""


def html_page(*, script_per_request: bool = False, own_content: bool = False) -> bytes:
    """One page of exactly `PAGE_BYTES`, in UTF-8. With `script_per_request` it names another script
    each time, not only another number in a comment; with `own_content` all of its links lead
    elsewhere, too, and no two pages have more in common than head, navigation and foot.
    """
    rng = random.Random(110)
    head = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f"{PER_REQUEST}\n",
        "<title>Billing that answers - a benchmark page</title>\n",
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<link rel="canonical" href="https://www.example.com/">\n',
        '<link rel="stylesheet" href="/assets/site.css">\n',
        _inline_style(rng),
        _VENDOR_HEAD,
        *(f'<script defer src="/assets/chunk-{n}.js"></script>\n' for n in range(12)),
        _structured_data(rng),
        "</head>\n<body>\n",
        _VENDOR_BODY,
        _navigation(rng),
        "<main>\n",
    ]
    tail = [
        "</main>\n",
        _EMBEDS,
        *(f"<script>{_state(rng, n)}</script>\n" for n in range(6)),
        '<script src="/assets/app.js" type="module"></script>\n',
        f'<script src="/assets/{PER_REQUEST_NAME}.js"></script>\n' if script_per_request else "",
        "</body>\n</html>\n",
    ]
    frame = "".join(head), "".join(tail)
    room = PAGE_BYTES - sum(len(part.encode()) for part in frame)
    sections: list[str] = []
    number = 0
    while True:
        section = _section(rng, number)
        if own_content:
            section = section.replace('<a href="/', f'<a href="/{PER_REQUEST_NAME}/')
        size = len(section.encode())
        if size > room:
            break
        sections.append(section)
        room -= size
        number += 1
    filler = f"<!--{'.' * (room - 7)}-->" if room >= 7 else " " * room
    return (frame[0] + "".join(sections) + filler + frame[1]).encode()


def page_of_resources(count: int) -> bytes:
    """A page of `PAGE_BYTES` with so many more resources (up to 1,000), every second one the
    site's own.
    """
    kinds = (
        '<img src="/assets/photo-{n}.jpg" alt="">\n',
        '<img src="https://img-{n}.unlisted.example/p.jpg" alt="">\n',
        '<script defer src="/assets/part-{n}.js"></script>\n',
        '<script defer src="https://static.hotjar.com/c/{n}.js"></script>\n',
    )
    return sized_page(PAGE_BYTES, "".join(kinds[n % 4].format(n=n) for n in range(count)))


def sized_page(size: int, resources: str = "") -> bytes:
    """A page of exactly `size` bytes, 1 KB or more: tags in the head, `resources`, then prose."""
    rng = random.Random(size)
    start = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{PER_REQUEST}'
        "<title>A page</title>\n"
        '<script async src="https://www.googletagmanager.com/gtag/js?id=G-BENCH00001"></script>\n'
        '<script src="https://connect.facebook.net/en_US/fbevents.js"></script>\n'
        f"</head><body>\n{resources}"
    )
    end = "</body></html>\n"
    parts = [start]
    room = size - len(start) - len(end)
    number = 0
    while True:
        section = _section(rng, number)
        if len(section) > room:
            break
        parts.append(section)
        room -= len(section)
        number += 1
    parts += ["." * room, end]
    return "".join(parts).encode()


def static_file() -> bytes:
    """A script of exactly `STATIC_BYTES`, in ASCII."""
    rng = random.Random(20)
    lines: list[str] = []
    size = 0
    while size < STATIC_BYTES:
        name = rng.choice(_WORDS)
        line = f"export function {name}{len(lines)}(a,b){{return a.{name}>b?a:{{...b}}}}\n"
        lines.append(line)
        size += len(line)
    return "".join(lines).encode()[:STATIC_BYTES]


def _prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(words)).capitalize() + "."


def _navigation(rng: random.Random) -> str:
    items = "".join(
        f'<li class="nav__item"><a class="nav__link" href="/{rng.choice(_WORDS)}/{n}">'
        f"{_prose(rng, 2)}</a></li>\n"
        for n in range(40)
    )
    return (
        '<header class="header"><nav aria-label="Main"><ul class="nav">\n'
        f"{items}</ul></nav></header>\n"
    )


def _section(rng: random.Random, number: int) -> str:
    picture = (
        f'<img class="card__img" src="/media/{number}-800.jpg" alt="{_prose(rng, 4)}" width="800" '
        f'height="450" loading="lazy" srcset="/media/{number}-400.jpg 400w, '
        f'/media/{number}-800.jpg 800w, /media/{number}-1600.jpg 1600w" '
        'sizes="(min-width: 60em) 50vw">'
    )
    paragraphs = "".join(
        f"<p>{_prose(rng, 30)} "
        f'<a href="/{rng.choice(_WORDS)}/?ref={number}&amp;at={rng.randrange(99)}">'
        f"{_prose(rng, 3)}</a>"
        f" {_prose(rng, 25)} &nbsp;<em>{_prose(rng, 4)}</em></p>\n"
        for _ in range(3)
    )
    rows = "".join(
        f'<li class="list__item" data-n="{n}"><svg class="icon" viewBox="0 0 16 16" '
        f'aria-hidden="true"><path d="M2 8l4 4 8-8"/></svg><span>{_prose(rng, 6)}</span></li>\n'
        for n in range(4)
    )
    return (
        f'<section class="card card--{number % 4}" id="s{number}">\n<h2>{_prose(rng, 5)}</h2>\n'
        f"{picture}\n{paragraphs}<ul class=list>\n{rows}</ul>\n</section>\n"
    )


def _inline_style(rng: random.Random) -> str:
    rules = "".join(
        f".{rng.choice(_WORDS)}-{n}{{margin:{rng.randrange(40)}px auto;"
        f"color:#{rng.randrange(4096):03x}}}\n"
        for n in range(90)
    )
    return f"<style>\n{rules}</style>\n"


def _structured_data(rng: random.Random) -> str:
    faqs = ",".join(
        f'{{"@type":"Question","name":"{_prose(rng, 6)}","acceptedAnswer":'
        f'{{"@type":"Answer","text":"{_prose(rng, 20)}"}}}}'
        for _ in range(12)
    )
    return (
        '<script type="application/ld+json">{"@context":"https://schema.org","@type":"FAQPage",'
        f'"mainEntity":[{faqs}]}}</script>\n'
    )


def _state(rng: random.Random, number: int) -> str:
    pairs = ",".join(f'"{rng.choice(_WORDS)}{n}":"{_prose(rng, 5)}"' for n in range(30))
    return f"self.__state=self.__state||{{}};self.__state[{number}]={{{pairs}}};"
