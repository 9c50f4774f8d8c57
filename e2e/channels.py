"""A page whose own script tries every way to another host, and what arrives there.

`channels.js` has the ways. Each has a closed host of its own on a loopback port, so that even a
bare connection tells which one it was; the path of a request tells the window.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Playwright
from playwright.sync_api import Error as BrowserError

from e2e.chromium import FLAGS, executable
from e2e.engines.chromium import UNWANTED_FLAGS, resolver_rules
from e2e.site import in_thread
from e2e.tricks.stub import ClosedHost
from tests.support.forwarding import Visit
from tests.support.site import TAG, Reply, reply
from tests.support.waiting import PATIENCE

SCRIPT = Path(__file__).with_name("channels.js").read_bytes()
APPROVED = "approved.example"
UNKNOWN = "unknown.example"
WATCH_SECONDS = 2.0
"""How long hosts are watched once everything was tried."""

_PAGE = b"""<!doctype html><html lang=en><head><meta charset=utf-8><title>x</title>
<script src=/channels.js></script></head><body><p>Hello</p></body></html>"""
_WORKER = b"fetch(decodeURIComponent(location.hash.slice(1)))"
_SERVICE_WORKER = b"if (location.search) fetch(decodeURIComponent(location.search.slice(1)))"
_GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>'
_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>"
)


async def _hang_up(_: Visit) -> None:
    raise ConnectionResetError


def _file(body: bytes, kind: str) -> bytes:
    return reply(body, f"Content-Type: {kind}", html=False)


PAGES: Mapping[str, Reply] = {
    "": reply(_PAGE),
    "page": reply(_PAGE),
    "patients/page": reply(_PAGE),
    "channels.js": _file(SCRIPT, "text/javascript"),
    "worker.js": _file(_WORKER, "text/javascript"),
    "sw.js": reply(
        _SERVICE_WORKER, "Content-Type: text/javascript", "Service-Worker-Allowed: /", html=False
    ),
    "robots.txt": _file(b"User-agent: *", "text/plain"),
    "data.json": _file(b"{}", "application/json"),
    "a.css": _file(b"p{}", "text/css"),
    "a.js": _file(b"1", "text/javascript"),
    "a.gif": _file(_GIF, "image/gif"),
    "a.svg": _file(_SVG, "image/svg+xml"),
    "a.xml": _file(b"<x/>", "application/xml"),
    "a.pdf": _file(_PDF, "application/pdf"),
    "hangs-up": _hang_up,
}
ADDRESSES = (
    "/page", "/patients/page", "/robots.txt", "/data.json", "/a.css", "/a.js", "/a.gif", "/a.svg",
    "/a.xml", "/no-such-page", "/hangs-up", "/.consent/state", "/.consent/jwks.json",
    "/.consent/preferences", "/.well-known/gpc.json",
)  # fmt: skip
KINDS = (
    "top", "blank", "blank-at-once", "blank-by-index", "blank-in-blank", "blank-in-object",
    "srcdoc", "blob", "javascript", "popup-blank", "popup-blob", "data-alone", "srcdoc-alone",
    "sandbox-alone", "blob-alone",
)  # fmt: skip
Window = tuple[str, str]
"""(kind, address); `channels.js` opens it."""


def both(*addresses: str) -> tuple[Window, ...]:
    """Addresses of the site in a frame each, and in a window each."""
    return tuple((kind, address) for address in addresses for kind in ("frame", "popup"))


WINDOWS: tuple[Window, ...] = (*((kind, "") for kind in KINDS), *both(*ADDRESSES))


def with_vendor(config: str) -> str:
    """The config with a vendor whom marketing approved on every page, patients' too."""
    vendor = f"""
[[vendor]]
id = "approved"
name = "Approved"
category = "advertising"
hosts = ["*.{APPROVED}"]
policy_url = "https://{APPROVED}/privacy"
"""
    return config + vendor + TAG.format(vendor="approved")


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came to a channel's host: first lines of requests (a handshake, a datagram) and how
    many connections."""

    requests: tuple[str, ...]
    connections: int


Counts = Mapping[str, tuple[int, int]]
"""Requests and connections by channel."""
Targets = Mapping[str, tuple[str, int]]
"""By channel: where it shall lead (a URL without its path), and the port behind."""


@dataclass(frozen=True, slots=True)
class ClosedHosts:
    """The hosts by channel."""

    by_channel: Mapping[str, ClosedHost]

    def targets(self, domain: str, channels: Iterable[str]) -> Targets:
        return {
            name: (f"http://c{host.port}x.{domain}", host.port)
            for name in channels
            for host in (self.by_channel[name],)
        }

    def flag(self) -> str:
        return resolver_rules((f"c{h.port}x", h.port) for h in self.by_channel.values())

    def counts(self) -> Counts:
        return {
            name: (len(host.arrivals.requests), host.arrivals.connections)
            for name, host in self.by_channel.items()
        }

    def since(self, before: Counts) -> dict[str, Arrived]:
        """What has arrived since, by channel."""
        found = {}
        for name, (requests, connections) in before.items():
            arrivals = self.by_channel[name].arrivals
            one = Arrived(tuple(arrivals.requests[requests:]), arrivals.connections - connections)
            if one.requests or one.connections:
                found[name] = one
        return found


@contextlib.asynccontextmanager
async def _closed_hosts(channels: Iterable[str]) -> AsyncIterator[ClosedHosts]:
    hosts = {channel: ClosedHost() for channel in channels}
    try:
        for host in hosts.values():
            await host.start()
        yield ClosedHosts(hosts)
    finally:
        for host in hosts.values():
            host.stop()


def closed_hosts(channels: Iterable[str]) -> contextlib.AbstractContextManager[ClosedHosts]:
    return in_thread(_closed_hosts(channels))


@contextlib.contextmanager
def profile(playwright: Playwright, folder: Path, resolving: str) -> Iterator[BrowserContext]:
    """A Chromium as visitors have it: in a private window it does not preconnect.

    `resolving` is the flag that says where names lead.
    """
    context = playwright.chromium.launch_persistent_context(
        folder,
        executable_path=executable(playwright),
        args=[*(f for f in FLAGS if f not in UNWANTED_FLAGS), resolving],
        ignore_default_args=UNWANTED_FLAGS,
    )
    context.set_default_timeout(1000 * PATIENCE)
    try:
        yield context
    finally:
        context.close()


def try_windows(
    page: Page, windows: Iterable[Window], targets: Targets
) -> dict[Window, dict[str, str]]:
    """Try channels in windows that a page opens. Returns by window the faults of those that could
    not be tried; "*" stands for all."""
    faults: dict[Window, dict[str, str]] = {}
    others = {*page.context.pages}
    for kind, address in windows:
        faults[kind, address] = page.evaluate(
            "([kind, address, name, targets]) => tryWindow(kind, address, name, targets)",
            [kind, address, f"{kind}{address}", targets],
        )
        page.wait_for_timeout(100)
        for opened in {*page.context.pages} - others:
            with contextlib.suppress(BrowserError):
                opened.close()
    return faults


def wait_for(hosts: ClosedHosts, before: Counts, page: Page, channels: set[str]) -> set[str]:
    """Wait until something has come over each of these channels; returns those that did not."""
    deadline = time.monotonic() + PATIENCE
    while (missing := channels - set(hosts.since(before))) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    return missing
