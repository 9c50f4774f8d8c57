"""The vendors, played by one local server, so that "did it fire" is a number on a page.

Each stub answers on a name below `localhost` (browsers take those to the loopback interface
without asking any name server) and its scripts do what the vendor's do: set cookies on the
site, send beacons, load more. What arrives is counted by vendor.

`http://vendors.localhost:<port>/` shows the counts, `GET /hits.json` gives them,
`POST /reset` starts over.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import unquote

from aiohttp import web

HERE = Path(__file__).parent
SILENT_AFTER = 0.5
"""Seconds without a request after which a connection counts as silent."""


@dataclass(frozen=True, slots=True)
class StubHost:
    """One name of a vendor. `label` stands before `.localhost`; `real` is what it plays."""

    label: str
    vendor: str
    real: str


HOSTS = (
    StubHost("googletagmanager", "google-tag-manager", "www.googletagmanager.com"),
    StubHost("google-analytics", "google-analytics", "www.google-analytics.com"),
    StubHost("connect-facebook", "meta-pixel", "connect.facebook.net"),
    StubHost("facebook", "meta-pixel", "www.facebook.com"),
    StubHost("snap-licdn", "linkedin-insight", "snap.licdn.com"),
    StubHost("px-linkedin", "linkedin-insight", "px.ads.linkedin.com"),
    StubHost("static-hotjar", "hotjar", "static.hotjar.com"),
    StubHost("in-hotjar", "hotjar", "in.hotjar.com"),
    StubHost("youtube", "youtube", "www.youtube-nocookie.com"),
    StubHost("i-ytimg", "youtube", "i.ytimg.com"),
    StubHost("tawk-embed", "tawk", "embed.tawk.to"),
    StubHost("tawk-va", "tawk", "va.tawk.to"),
    StubHost("mystery-metrics", "mystery-metrics", "cdn.mystery-metrics.example"),
)
UNAPPROVED = "mystery-metrics"
VENDORS = {
    "google-tag-manager": "Google Tag Manager",
    "google-analytics": "Google Analytics",
    "meta-pixel": "Meta Pixel",
    "linkedin-insight": "LinkedIn Insight",
    "hotjar": "Hotjar",
    "youtube": "YouTube",
    "tawk": "Tawk chat",
    UNAPPROVED: "Mystery Metrics (nobody approved it)",
}

# What a path answers with: a script of ours, a frame, or (anything else) a beacon's reply.
_SCRIPTS = {
    ("googletagmanager", "/gtm.js"): "gtm.js",
    ("googletagmanager", "/gtag/js"): "gtag.js",
    ("connect-facebook", "/en_US/fbevents.js"): "fbevents.js",
    ("snap-licdn", "/li.lms-analytics/insight.min.js"): "insight.js",
    ("static-hotjar", "/c/hotjar-3100041.js"): "hotjar.js",
    ("tawk-embed", "/65b0brightwell/default"): "chat.js",
    ("mystery-metrics", "/mm.js"): "mystery.js",
}
_FRAMES = {("googletagmanager", "/ns.html"): "ns.html", ("youtube", "/embed/"): "player.html"}
_PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


def local_addresses(port: int) -> dict[str, str]:
    """Where each stub host is reached in the demo: label -> origin."""
    return {host.label: f"http://{host.label}.localhost:{port}" for host in HOSTS}


def real_addresses() -> dict[str, str]:
    """The vendors' true origins, for a browser whose name resolution leads here."""
    return {host.label: f"https://{host.real}" for host in HOSTS}


@dataclass(frozen=True, slots=True)
class Hit:
    """One request that reached a vendor. `kind` is the browser's Sec-Fetch-Dest."""

    vendor: str
    host: str
    method: str
    path: str
    query: str
    kind: str
    page: str
    at: float


@dataclass(slots=True)
class Ledger:
    """What the vendors got to know."""

    hits: list[Hit] = field(default_factory=list)
    silent_connections: int = 0
    """Connections on which nothing was asked: preconnects give the visitor's address away."""

    def counts(self) -> dict[str, int]:
        """Hits by vendor id, without those that got none."""
        return dict(Counter(hit.vendor for hit in self.hits))

    def reset(self) -> None:
        self.hits.clear()
        self.silent_connections = 0

    def summary(self) -> dict[str, Any]:
        counts = self.counts()
        return {
            "total": len(self.hits),
            "silent_connections": self.silent_connections,
            "vendors": [
                {"id": vendor, "name": name, "hits": counts.get(vendor, 0)}
                for vendor, name in VENDORS.items()
            ],
            "recent": [asdict(hit) for hit in self.hits[-40:][::-1]],
        }


class _Stub:
    def __init__(self, ledger: Ledger, at: Mapping[str, str]) -> None:
        self._ledger = ledger
        self._labels = {host.label: host for host in HOSTS} | {host.real: host for host in HOSTS}
        self._texts = {name: _with_addresses(name, at) for name in _files()}
        self.fresh: set[asyncio.Protocol] = set()
        """Connections on which nothing was asked yet."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.fresh.discard(request.protocol)
        name = request.host.rpartition(":")[0] or request.host
        host = self._labels.get(name.removesuffix(".localhost"))
        if host is None:
            return self._dashboard(request)
        body = await request.read()
        self._ledger.hits.append(_hit_of(request, host, body))
        return self._reply(request, host)

    def _dashboard(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST" and request.path == "/reset":
            self._ledger.reset()
            return web.Response(status=204)
        if request.path == "/hits.json":
            return web.json_response(self._ledger.summary(), headers={"Cache-Control": "no-store"})
        if request.path == "/":
            return web.Response(text=self._texts["dashboard.html"], content_type="text/html")
        return web.Response(status=404, text="no such stub host or page")

    def _reply(self, request: web.BaseRequest, host: StubHost) -> web.StreamResponse:
        # Nothing is cached, so that each page view is counted anew.
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
        script = _SCRIPTS.get((host.label, request.path))
        if script is not None:
            kind = "text/javascript"
            return web.Response(text=self._texts[script], content_type=kind, headers=headers)
        for (label, prefix), frame in _FRAMES.items():
            if host.label == label and request.path.startswith(prefix):
                text = self._texts[frame]
                return web.Response(text=text, content_type="text/html", headers=headers)
        if request.method == "GET":
            return web.Response(body=_PIXEL, content_type="image/gif", headers=headers)
        headers["Access-Control-Allow-Headers"] = "*"
        return web.Response(status=204, headers=headers)


def _files() -> list[str]:
    return [path.name for path in (HERE / "vendor_scripts").iterdir() if path.is_file()]


def _with_addresses(name: str, at: Mapping[str, str]) -> str:
    text = (HERE / "vendor_scripts" / name).read_text(encoding="utf-8")
    for label, address in at.items():
        text = text.replace(f"%{label}%", address)
    return text


_PAGE = re.compile(r'(?:^|[&"])(?:dl|url|u|page)(?:=|":\s*")([^&"]+)|^(https?:\S+)$')


def page_told(sent: str) -> str:
    """The address of the page as a vendor's script sends it; "" where it does not. As a Referer
    other hosts get its origin alone, the same for every page.
    """
    found = _PAGE.search(sent)
    return unquote(found[1] or found[2]) if found else ""


def _hit_of(request: web.BaseRequest, host: StubHost, body: bytes) -> Hit:
    # Google serves its analytics from the tag manager's host.
    shared = host.label == "googletagmanager" and request.path.startswith("/gtag/")
    sent = request.query_string or body.decode("utf-8", "replace")
    return Hit(
        vendor="google-analytics" if shared else host.vendor,
        host=host.label,
        method=request.method,
        path=request.path,
        query=sent,
        kind=request.headers.get("Sec-Fetch-Dest", ""),
        page=page_told(sent) or request.headers.get("Referer", ""),
        at=time.time(),
    )


@asynccontextmanager
async def vendor_stubs(
    port: int, ledger: Ledger, at: Mapping[str, str], tls: SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve all vendors on one loopback port. Raises OSError when the port is taken."""
    stub = _Stub(ledger, at)
    runner = web.ServerRunner(web.Server(stub.answer))
    await runner.setup()
    serve = runner.server
    assert serve is not None
    server = await asyncio.get_running_loop().create_server(
        _noticing_silence(serve, stub, ledger), "127.0.0.1", port, ssl=tls
    )
    try:
        yield
    finally:
        server.close()
        await runner.cleanup()


def _noticing_silence(
    serve: Callable[[], asyncio.Protocol], stub: _Stub, ledger: Ledger
) -> Callable[[], asyncio.Protocol]:
    loop = asyncio.get_running_loop()

    def connected() -> asyncio.Protocol:
        protocol = serve()

        stub.fresh.add(protocol)

        def look() -> None:
            if protocol in stub.fresh:
                stub.fresh.discard(protocol)
                ledger.silent_connections += 1

        loop.call_later(SILENT_AFTER, look)
        return protocol

    return connected
