"""A clinic's site with planted leaks, and with look-alikes that are none.

All hosts are one server on this machine, over TLS with the vendors' own names: the browser is told
to look for each there.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from e2e.site import in_thread
from tests.support.certificates import Authority
from tests.support.ports import free_ports

SITE = "www.clinic.example"
START = f"https://{SITE}/"
ALIASES = {
    "metrics.clinic.example": "clinic.d3.sc.omtrdc.net",
    "cdn.clinic.example": "clinic.b-cdn.net",
}
HASH = (
    "const hash = async t => [...new Uint8Array(await crypto.subtle.digest('SHA-256',"
    "new TextEncoder().encode(t)))].map(b => b.toString(16).padStart(2, '0')).join('');"
)


@dataclass(frozen=True)
class Leak:
    """A leak: its markup, and the finding that names it. `state` and `audience` are where it is a
    finding ("site": of no single page); `what` is a channel or a subject of the finding.
    """

    name: str
    page: str
    html: str
    rule: str
    receiver: str
    what: str = ""
    state: str = "no-choice"
    audience: str = "marketing"


def _script(code: str) -> str:
    return f"<script>{code}</script>"


def _typed(code: str) -> str:
    """A script that does something with `v`, the mail address that was typed."""
    return _script(
        "document.querySelector('[name=email]').addEventListener('change', async e =>"
        f"{{ const v = e.target.value; {code} }})"
    )


ZIP = _script(
    "const zip = async t => new Response(new Blob([t]).stream().pipeThrough("
    "new CompressionStream('gzip'))).arrayBuffer()"
)
LEAKS = (
    Leak(
        "a cookie that a script sets", "/one",
        _script("document.cookie = '_pk_id.1.abcd=0123456789abcdef; max-age=3600'"),
        "cookie", "matomo", "_pk_id.1.abcd", audience="site",
    ),
    Leak("a cookie that the server sets", "/one", "", "cookie", "mixpanel", "mp_1_mixpanel",
         audience="site"),
    Leak("another host's cookie", "/one", '<img src="https://ct.pinterest.com/v3/?tid=1">',
         "cookie", "pinterest-tag", "_pin_unauth", audience="site"),
    Leak("a pixel", "/one", '<img src="https://trc.taboola.com/p.gif">', "contact", "taboola",
         "image"),
    Leak("a script", "/one", '<script src="https://cdn.segment.com/a.js"></script>', "contact",
         "segment", "script"),
    Leak("a beacon", "/one", _script("navigator.sendBeacon('https://tr.outbrain.com/b', 'x')"),
         "contact", "outbrain", "beacon"),
    Leak("a fetch", "/one",
         _script("fetch('https://api2.amplitude.com/2', {method: 'POST', mode: 'no-cors',"
                 "body: '{}'})"),
         "contact", "amplitude", "fetch"),
    Leak("a web socket", "/two", _script("new WebSocket('wss://ws1.hotjar.com/x')"), "contact",
         "hotjar", "web socket"),
    Leak("a worker's request", "/two", _script("new Worker('/worker.js')"), "contact", "heap",
         "fetch"),
    Leak("what a shared worker does first", "/two", _script("new SharedWorker('/shared.js')"),
         "contact", "mouseflow", "fetch"),
    Leak("a shared worker's web socket", "/two", "", "contact", "smartlook", "web socket"),
    Leak("a frame", "/two", '<iframe src="https://gum.criteo.com/sync"></iframe>', "contact",
         "criteo", "frame"),
    Leak("a style sheet", "/two",
         '<link rel="stylesheet" href="https://fonts.googleapis.com/css2?family=Inter">',
         "contact", "google-fonts", "style sheet"),
    Leak("an image of a style", "/two",
         '<p style="background:url(https://q.quora.com/_/ad.gif)">x</p>', "contact",
         "quora-pixel", "image"),
    Leak("an event source", "/two", _script("new EventSource('https://events.reddit.com/v1')"),
         "contact", "reddit-pixel", "event source"),
    Leak("a hint to connect", "/two", '<link rel="preconnect" href="https://www.clarity.ms">',
         "contact", "microsoft-clarity", "connection hint"),
    Leak("a host that is another's (CNAME)", "/three",
         '<script src="https://metrics.clinic.example/s.js"></script>', "disguised-host",
         "adobe-analytics", "script"),
    Leak("a tracker on its usual path of the site", "/three",
         '<img src="/matomo.php?idsite=1&amp;rec=1">', "own-path", "matomo", "image"),
    Leak("a tracker on a path of the site's choice", "/three",
         _script("fetch('/assets/a1?v=2&tid=G-ABCD1234&en=page_view')"), "own-path",
         "google-analytics", "fetch"),
    Leak("a tracker on a host that nobody knows", "/three",
         '<img src="https://sgtm.partner.example/p?id=410000000000041&amp;ev=PageView&amp;dl=x">',
         "contact", "meta-pixel", "image"),
    Leak("a redirect of the site to a tracker", "/three",
         '<img src="/go?to=https://ad.doubleclick.net/x">', "contact",
         "google-campaign-manager", "image"),
    Leak("a host that nobody knows", "/three",
         '<img src="https://collector.partner.example/x">', "contact",
         "collector.partner.example", "image"),
    Leak("what is typed, as it is", "/four",
         '<input name="reason">' + _script(
             "document.querySelector('[name=reason]').addEventListener('input', e =>"
             "fetch('https://rs.fullstory.com/rec', {method: 'POST', mode: 'no-cors',"
             "body: JSON.stringify({v: e.target.value})}))"),
         "form-data", "fullstory", "form field"),
    Leak("a mail address, hashed", "/four",
         '<input type="email" name="email">' + _script(
             HASH + "document.querySelector('[name=email]').addEventListener('change', async e =>"
             "{ new Image().src = 'https://analytics.tiktok.com/p?em=' +"
             "await hash(e.target.value.trim().toLowerCase()) })"),
         "form-data", "tiktok-pixel", "mail address (SHA-256)"),
    Leak("a mail address in base64", "/four", _script(
            "document.querySelector('[name=email]').addEventListener('blur', e =>"
            "navigator.sendBeacon('https://js.hs-scripts.com/f',"
            "btoa(JSON.stringify({m: e.target.value}))))"),
         "form-data", "hubspot", "mail address (encoded)"),
    Leak("a mail address, hashed, to the site's own server", "/four", _script(
            "document.querySelector('[name=email]').addEventListener('change', async e =>"
            "fetch('/api/match', {method: 'POST', body: await hash(e.target.value)}))"),
         "form-data", SITE, "mail address (SHA-256)"),
    Leak("an entry in localStorage", "/five",
         _script("localStorage.setItem('ajs_anonymous_id', 'b3c1f0aa-9d21-4c11')"), "storage",
         "segment", "ajs_anonymous_id", audience="site"),
    Leak("an entry in sessionStorage", "/five",
         _script("sessionStorage.setItem('amplitude_id_1', 'x')"), "storage", "amplitude",
         "amplitude_id_1", audience="site"),
    Leak("a database", "/five", _script("indexedDB.open('_hjStore')"), "storage", "hotjar",
         "_hjStore", audience="site"),
    Leak("a stored identifier, to the site's own server", "/five",
         _script("fetch('/api/event', {method: 'POST', body: JSON.stringify("
                 "{id: localStorage.getItem('ajs_anonymous_id')})})"),
         "stored-id", "segment", "ajs_anonymous_id"),
    Leak("a cache", "/five", _script("caches.open('_hjCache')"), "storage", "hotjar", "_hjCache",
         audience="site"),
    Leak("a cookie's value as a header of its own", "/five",
         _script("document.cookie = '_fbp=fb.1.1700000000000.123456789; max-age=3600';"
                 "fetch('/api/log', {headers: {'X-Fbp': 'fb.1.1700000000000.123456789'}})"),
         "stored-id", "meta-pixel", "_fbp"),
    Leak("a late script", "/five",
         _script("setTimeout(() => document.body.append(Object.assign(document.createElement("
                 "'script'), {src: 'https://widget.intercom.io/w'})), 200)"),
         "contact", "intercom", "script"),
    Leak("a beacon as the page is left", "/five",
         _script("addEventListener('pagehide', () =>"
                 "navigator.sendBeacon('https://o1.ingest.sentry.io/e', 'x'))"),
         "contact", "sentry", "beacon"),
    Leak("what is typed, compressed", "/seven",
         '<input type="email" name="email">' + ZIP + _typed(
             "const body = await zip(v);"
             "fetch('https://r.logrocket.io/i', {method: 'POST', mode: 'no-cors', body})"),
         "form-data", "logrocket", "mail address"),
    Leak("what is typed, encoded twice", "/seven", _typed(
             "new Image().src = 'https://trc.taboola.com/p.gif?e=' +"
             "encodeURIComponent(encodeURIComponent(v))"),
         "form-data", "taboola", "mail address (encoded)"),
    Leak("what is typed, in a message", "/seven", _typed(
             "const s = new WebSocket('wss://ws1.hotjar.com/x'); s.onopen = () => s.send(v)"),
         "form-data", "hotjar", "mail address"),
    Leak("what is typed, by a shared worker", "/seven", _typed(
             "new SharedWorker('/shared-form.js').port.postMessage(v)"),
         "form-data", "mouseflow", "mail address (SHA-256)"),
    Leak("what is typed, as a header", "/seven", _typed(
             "fetch('https://api2.amplitude.com/2', {headers: {'X-User': v}})"),
         "form-data", "amplitude", "mail address"),
    Leak("what is typed, as a part of a form", "/seven", _typed(
             "const f = new FormData(); f.append('m', v);"
             "fetch('https://tr.outbrain.com/b', {method: 'POST', mode: 'no-cors', body: f})"),
         "form-data", "outbrain", "mail address"),
    Leak("a digest in base64", "/seven", _typed(
             "const d = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(v));"
             "new Image().src = 'https://q.quora.com/_/ad.gif?h=' +"
             "encodeURIComponent(btoa(String.fromCharCode(...new Uint8Array(d))))"),
         "form-data", "quora-pixel", "mail address (SHA-256)"),
    Leak("a patient page's title, in a message", "/patients/renal",
         _script("const s = new WebSocket('wss://ws1.hotjar.com/x');"
                 "s.onopen = () => s.send(document.title)"),
         "page-data", "hotjar", "page's title", audience="patient"),
    Leak("a patient page's path", "/patients/renal",
         _script("navigator.sendBeacon('https://tr.snapchat.com/p',"
                 "JSON.stringify({p: location.pathname}))"),
         "page-data", "snap-pixel", "page's address", audience="patient"),
    Leak("a patient page's address, as the referrer", "/patients/oncology",
         '<meta name="referrer" content="unsafe-url"><img src="https://us.i.posthog.com/i">',
         "page-data", "posthog", "page's address, as the referrer", audience="patient"),
    Leak("a patient page's title", "/patients/oncology",
         _script("new Image().src = 'https://plausible.io/e?t=' +"
                 "encodeURIComponent(document.title)"),
         "page-data", "plausible", "page's title", audience="patient"),
    Leak("a tracker on a patient page alone", "/patients/oncology",
         '<img src="https://px.ads.linkedin.com/collect">', "contact", "linkedin-insight", "image",
         audience="patient"),
    Leak("a tracker after the withdrawal alone", "/six",
         '<img src="https://a.adroll.com/x">', "contact", "adroll", "image", "withdrawn"),
    Leak("a tracker without JavaScript alone", "/six",
         '<noscript><img src="https://www.facebook.com/tr?id=1&amp;noscript=1"></noscript>',
         "contact", "meta-pixel", "image", "no-script"),
)  # fmt: skip

INNOCENT = (
    ("a link", '<a href="https://www.google-analytics.com/x">x</a>'),
    ("a ping of a link", '<a href="/" ping="https://www.google-analytics.com/x">x</a>'),
    ("a word", "<p>We removed connect.facebook.net and gtag('config', 'G-1').</p>"),
    ("a name in a script", _script("const removed = 'https://www.facebook.com/tr'")),
    ("a data URL", '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=#facebook.com">'),
    ("a blob", _script("fetch(URL.createObjectURL(new Blob(['www.hotjar.com'])))")),
    ("a host of the site", '<img src="https://cdn.clinic.example/logo.png?c=google-analytics">'),
    ("a socket of the site", _script("new WebSocket('wss://www.clinic.example/live')")),
    ("a beacon to the site", _script("navigator.sendBeacon('/api/log', 'error')")),
    ("a session cookie", _script("document.cookie = 'session=0123456789abcdef0123'")),
    ("a cookie of a like name", _script("document.cookie = '_gallery=0123456789'")),
    ("a cart", _script("localStorage.setItem('cart', '[1, 2]')")),
    ("an entry of a like name", _script("localStorage.setItem('ajson', '0123456789')")),
    ("a database of the site", _script("indexedDB.open('appointments')")),
    ("the session to the site", _script("fetch('/api/me?s=0123456789abcdef0123')")),
    ("a hint to the site", '<link rel="preconnect" href="https://cdn.clinic.example">'),
    ("what the policy stops", '<img src="https://px.ads.linkedin.com/stopped">'),
    ("a payment service", '<script src="https://js.stripe.com/v3/"></script>'),
    (
        "what is typed, to the site",
        '<input name="q">'
        + _script(
            "document.querySelector('[name=q]').addEventListener('input', e =>"
            "fetch('/suggest?q=' + encodeURIComponent(e.target.value)))"
        ),
    ),
    ("another hash to the site", _script("fetch('/api/v?h=" + "0a1b2c3d" * 8 + "')")),
    ("a template", '<template><img src="https://www.facebook.com/tr?id=2"></template>'),
    ("a comment", '<!-- <script src="https://www.googletagmanager.com/gtm.js"></script> -->'),
    ("a canonical address", '<link rel="canonical" href="https://www.facebook.com/clinic">'),
    ("a form that is not sent", '<form action="https://forms.hubspot.com/x"><button>x</form>'),
    (
        "a script that is held",
        '<script type="text/plain" data-src="https://static.hotjar.com/h.js"></script>',
    ),
    ("a frame of the page's own", '<iframe srcdoc="<p>hotjar.com</p>"></iframe>'),
    ("a redirect within the site", '<img src="/go?to=/logo.png">'),
    ("parameters of like names", _script("fetch('/api/report?v=2&tid=1234&en=1')")),
    ("a path of a like name", _script("fetch('/articles/matomo-php-explained')")),
    (
        "an address of the site in an address",
        _script("fetch('/share?u=https://www.facebook.com/')"),
    ),
    (
        "what is typed, to the site, as a part of a form",
        '<input type="email" name="email">'
        + _typed(
            "const f = new FormData(); f.append('m', v);"
            "fetch('/api/save', {method: 'POST', body: f})"
        ),
    ),
    (
        "what is typed, to the site, in a message",
        _typed(
            "const s = new WebSocket('wss://www.clinic.example/live'); s.onopen = () => s.send(v)"
        ),
    ),
    (
        "what is typed, to the site, compressed",
        ZIP + _typed("fetch('/api/z', {method: 'POST', body: await zip(v)})"),
    ),
    (
        "data for search engines",
        '<script type="application/ld+json">{"sameAs": ["https://www.facebook.com/tr"]}</script>',
    ),
    (
        "a picture for others",
        '<meta property="og:image" content="https://www.facebook.com/tr?id=1">',
    ),
    ("a comment of a style", "<style>/* url(https://static.hotjar.com/x.png) */</style>"),
    (
        "cookies of like names",
        _script("document.cookie = '__utmost=1234567890123'; document.cookie = '_gang=12345678'"),
    ),
    (
        "paths of like names",
        _script("fetch('/collect/donations'); fetch('/g/collection?v=2&tid=42'); fetch('/trends')"),
    ),
    ("a shared worker of the site's own", _script("new SharedWorker('/own-shared.js')")),
    ("a cache of the site", _script("caches.open('assets-v2')")),
    (
        "data for a script",
        '<script type="application/json">{"src": "https://static.hotjar.com/h.js"}</script>',
    ),
)
_POLICY = "img-src 'self' data: https://cdn.clinic.example"
_WORKER = "fetch('https://heapanalytics.com/h', {mode: 'no-cors'})"
_SHARED_WORKER = (
    "fetch('https://o2.mouseflow.com/first', {mode: 'no-cors'});"
    "new WebSocket('wss://web-sdk.smartlook.com/x')"
)
_SHARED_FORM_WORKER = (
    HASH
    + "onconnect = e => { e.ports[0].onmessage = async m => fetch('https://o2.mouseflow.com/m',"
    "{method: 'POST', mode: 'no-cors', body: await hash(m.data)}) }"
)
_OWN_SHARED_WORKER = "fetch('/api/from-worker'); new WebSocket('wss://www.clinic.example/live')"
WORKERS = {
    "/worker.js": _WORKER,
    "/shared.js": _SHARED_WORKER,
    "/shared-form.js": _SHARED_FORM_WORKER,
    "/own-shared.js": _OWN_SHARED_WORKER,
}
_CHOICE = """<script>const say = x => { document.cookie = `choice=${x}`; location.reload() }
</script>
<button class="yes" onclick="say('yes')">Yes</button>
<button class="no" onclick="say('no')">No</button>"""


def _page(title: str, body: str) -> web.Response:
    text = f"<!doctype html><title>{title}</title><body>{body}</body>"
    return web.Response(text=text, content_type="text/html")


async def _site(request: web.BaseRequest) -> web.StreamResponse:
    path, choice = request.path, request.cookies.get("choice", "")
    pages = dict.fromkeys(leak.page for leak in LEAKS)
    if path == "/":
        links = "".join(f'<a href="{page}">x</a>' for page in (*pages, "/fine", "/patients/fine"))
        # What was allowed is no finding.
        allowed = '<script src="https://cdn.segment.com/b.js"></script>' if choice == "yes" else ""
        return _page("Clinic", links + _CHOICE + allowed)
    if path in pages:
        here = [
            leak.html
            for leak in LEAKS
            if leak.page == path and (leak.state != "withdrawn" or choice == "no")
        ]
        response = _page("Oncology, second visit" if "patients" in path else "Page", "".join(here))
        if path == "/one":
            response.headers["Set-Cookie"] = "mp_1_mixpanel=abc; Max-Age=600"
        return response
    if path == "/fine":
        response = _page("Nothing to see", "".join(html for _, html in INNOCENT))
        response.headers["Content-Security-Policy"] = _POLICY
        return response
    if path == "/patients/fine":
        return _page(
            "Cardiology, first visit",
            '<meta name="referrer" content="unsafe-url">'
            '<img src="https://cdn.clinic.example/logo.png">'
            + _script("fetch('/api/title?t=' + encodeURIComponent(document.title))"),
        )
    if path in WORKERS:
        return web.Response(text=WORKERS[path], content_type="text/javascript")
    if path == "/go":
        raise web.HTTPFound(request.query["to"])
    if path == "/live":
        return await _socket(request)
    return web.Response(status=204)


async def _socket(request: web.BaseRequest) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    host = request.host
    if host == SITE:
        return await _site(request)
    if request.headers.get("Upgrade"):
        return await _socket(request)
    headers = {"Access-Control-Allow-Origin": "*"}
    if host == "ct.pinterest.com":
        headers["Set-Cookie"] = "_pin_unauth=abc; Max-Age=600; Secure; SameSite=None"
    kind = "text/html" if host == "gum.criteo.com" else "text/javascript"
    return web.Response(text="", content_type=kind, headers=headers)


@asynccontextmanager
async def _server(folder: Path, port: int) -> AsyncIterator[None]:
    certificate, key = Authority(folder).issue("planted", SITE)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    runner = web.ServerRunner(web.Server(_answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()


@contextmanager
def planted_site(folder: Path) -> Iterator[tuple[str, ...]]:
    """Serve it; gives the flags with which a browser finds it."""
    (port,) = free_ports(1)
    with in_thread(_server(folder, port)):
        yield (f"--host-resolver-rules=MAP * 127.0.0.1:{port}",)
