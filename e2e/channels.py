"""A page whose own script tries every way to another host, and what arrives there.

`channels.js` has the ways. Each has a closed host of its own on a loopback port, so that even a
bare connection tells which one it was; the path of a request tells the window.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Playwright
from playwright.sync_api import Error as BrowserError

from e2e.chromium import FLAGS, executable
from e2e.site import in_thread
from e2e.tricks.browse import UNWANTED_FLAGS, resolver_rules
from e2e.tricks.stub import ClosedHost
from tests.support.forwarding import Visit
from tests.support.site import TAG, Reply, reply
from tests.support.waiting import PATIENCE

SCRIPT = Path(__file__).with_name("channels.js").read_bytes()
APPROVED = "approved.example"
UNKNOWN = "unknown.example"
WATCH_SECONDS = 1.5
"""How long hosts are watched once everything was tried."""

_PAGE = b"""<!doctype html><html lang=en><head><meta charset=utf-8><title>x</title>
<script src=/channels.js></script></head><body><p>Hello</p></body></html>"""
_WORKER = b"fetch(decodeURIComponent(location.hash.slice(1)))"
_SERVICE_WORKER = b"if (location.search) fetch(decodeURIComponent(location.search.slice(1)))"
_GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>'
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>"


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
    "/a.xml", "/a.pdf", "/no-such-page", "/hangs-up", "/.consent/state", "/.consent/jwks.json",
    "/.consent/preferences", "/.well-known/gpc.json",
)  # fmt: skip
KINDS = (
    "top", "blank", "blank-at-once", "blank-by-index", "blank-in-blank", "blank-in-object",
    "srcdoc", "blob", "javascript", "popup-blank", "popup-blob", "data-alone", "srcdoc-alone",
    "sandbox-alone", "blob-alone",
)  # fmt: skip
WINDOWS = (
    *((kind, "") for kind in KINDS),
    *((kind, address) for address in ADDRESSES for kind in ("frame", "popup")),
)
"""(kind, address) of each window; `channels.js` opens them."""


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
    """What came over one channel: requests (or a datagram, a handshake), or connections alone."""

    channel: str
    requests: tuple[str, ...]
    connections: int


@dataclass(frozen=True, slots=True)
class ClosedHosts:
    """The hosts by channel."""

    by_channel: Mapping[str, ClosedHost]

    def targets(self, domain: str, *without: str) -> dict[str, tuple[str, int]]:
        """What `tryChannels` takes: where each channel shall lead, and the port behind."""
        return {
            name: (f"http://c{host.port}x.{domain}", host.port)
            for name, host in self.by_channel.items()
            if name not in without
        }

    def flag(self) -> str:
        return resolver_rules((f"c{h.port}x", h.port) for h in self.by_channel.values())

    def counts(self) -> dict[str, tuple[int, int]]:
        return {
            name: (len(host.arrivals.requests), host.arrivals.connections)
            for name, host in self.by_channel.items()
        }

    def since(self, before: Mapping[str, tuple[int, int]]) -> dict[str, Arrived]:
        """What has arrived since, by channel."""
        found = {}
        for name, host in self.by_channel.items():
            requests, connections = before[name]
            one = Arrived(
                name,
                tuple(host.arrivals.requests[requests:]),
                host.arrivals.connections - connections,
            )
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
def profile(playwright: Playwright, folder: Path, hosts: ClosedHosts) -> Iterator[BrowserContext]:
    """A Chromium as visitors have it: in a private window it does not preconnect."""
    context = playwright.chromium.launch_persistent_context(
        folder,
        executable_path=executable(playwright),
        args=[*(f for f in FLAGS if f not in UNWANTED_FLAGS), hosts.flag()],
        ignore_default_args=UNWANTED_FLAGS,
    )
    context.set_default_timeout(1000 * PATIENCE)
    try:
        yield context
    finally:
        context.close()


Targets = Mapping[str, tuple[str, int]]


def try_window(page: Page, kind: str, address: str, targets: Targets) -> dict[str, str]:
    """Try channels in a window. Returns the faults of those that could not be tried."""
    found: dict[str, str] = page.evaluate(
        "([kind, address, name, targets]) => tryWindow(kind, address, name, targets)",
        [kind, address, f"{kind}{address}", targets],
    )
    return found


def try_windows(
    context: BrowserContext,
    hosts: ClosedHosts,
    url: str,
    windows: Sequence[tuple[str, str]],
    targets: Targets,
    sparing: Targets,
) -> tuple[dict[tuple[str, str], Arrived], dict[str, dict[str, str]]]:
    """Try the channels of `targets` in the page itself, and of `sparing` in the other windows."""
    page = context.new_page()
    page.goto(url)
    arrived: dict[tuple[str, str], Arrived] = {}
    faults: dict[str, dict[str, str]] = {}
    for kind, address in windows:
        before = hosts.counts()
        name = f"{kind}{address}"
        try:
            faults[name] = try_window(page, kind, address, targets if kind == "top" else sparing)
        except BrowserError as error:
            faults[name] = {"*": str(error)}
        page.wait_for_timeout(150)
        if (kind, address) == windows[-1]:
            page.wait_for_timeout(1000 * WATCH_SECONDS)
        for channel, one in hosts.since(before).items():
            arrived[channel, name] = one
        for other in context.pages:
            if other not in (page, context.pages[0]):
                with contextlib.suppress(BrowserError):
                    other.close()
    return arrived, faults


def wait_for(hosts: ClosedHosts, before: Mapping[str, tuple[int, int]], page: Page,
             channels: set[str], seconds: float) -> set[str]:
    """The channels over which something came, at the latest after so many seconds."""
    deadline = time.monotonic() + seconds
    while not channels <= set(hosts.since(before)) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    return set(hosts.since(before))


Any_ = Any
