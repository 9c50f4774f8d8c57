"""`python -m e2e.real_pages FOLDER [PICTURES]`: saved pages of real sites, with and without us.

Through the proxy, with no choice made, nobody but the site itself may be asked, the text that a
visitor reads must be the same, and no script may fail that did not fail before. Each page is served
at the host that it names as its own. Every other request, those for the site's own files that were
not saved with it too, is answered by the browser with a stand-in: no request leaves this machine.

With PICTURES, a folder, the first screen of each page is compared as well; there go the pictures of
the ten that differ most, without the proxy on the left, and `report.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import ssl
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import ClientSession, web
from PIL import Image, ImageChops, ImageStat
from playwright.async_api import Browser, Error, Page, Route, async_playwright

from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostClaims
from e2e.chromium import FLAGS, executable
from examples.demo.running import consent_proxy
from tests.support.guarded import guard
from tests.support.ports import free_ports

HOST = "www.example.com"
VIEWPORT = (1280, 800)
_CONFIG = """
[proxy]
listen = "127.0.0.1:{proxy}"
admin_listen = "127.0.0.1:{admin}"
workers = 1
access_log = false
discovered = ""
max_page_bytes = 50_000_000
[policy]
controller = "Example"
version = "1"
url = "/privacy"
[preferences]
keys = "keys/"
[[tag]]
vendor = "google-analytics"
sites = {names}
approved_by = "nobody"
approved_on = 2026-01-01
expires = 2099-01-01
"""
_SITE = """
[[site]]
name = "{name}"
hosts = {hosts}
first_party = {first_party}
upstream = "http://127.0.0.1:{origin}"
audience = "marketing"
"""
_NETWORK = frozenset({"http", "https", "ws", "wss"})
_OURS = "#yc, #yc-l, #yc-o, .yc-h"
# The text that a visitor reads, our own apart: a placeholder says more than its frame did.
_TEXT = f"""() => {{
  for (const own of document.querySelectorAll('{_OURS}')) own.remove();
  return document.body ? document.body.innerText.replace(/\\s+/g, ' ').trim() : '';
}}"""
# Images with a place on the page, and the words of those that have any; sheets that apply.
_LOOKS = """() => {
  const images = [...document.images].filter((one) => one.getClientRects().length);
  const boxes = images.map((one) => one.getBoundingClientRect());
  return {
    images: boxes.filter((box) => box.width > 3 && box.height > 3).length,
    words: images.filter((one) => one.alt.trim()).length,
    sheets: document.styleSheets.length,
    hidden: getComputedStyle(document.body).visibility == 'hidden'
      || getComputedStyle(document.body).display == 'none'
      || getComputedStyle(document.body).opacity == '0'
      || getComputedStyle(document.documentElement).opacity == '0',
  };
}"""
# Not taken out: on pages that a framework hydrates they come back.
_WITHOUT_BANNER = """() => document.querySelectorAll('#yc, #yc-l')
  .forEach((own) => own.style.setProperty('display', 'none', 'important'))"""
_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="160"><rect width="240" '
    'height="160" fill="#9ab"/></svg>'
)
_STAND_INS = {
    "image": ("image/svg+xml", _PICTURE),
    "stylesheet": ("text/css", ""),
    "script": ("text/javascript", ""),
    "document": ("text/html", "<body style='background:#cde'>stand-in"),
}


@dataclass
class Seen:
    """What one page did. `connected` are the names of others to which it opened a connection."""

    asked: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    text: str = ""
    images: int = 0
    words: int = 0
    sheets: int = 0
    hidden: bool = False
    picture: bytes = b""


@dataclass(frozen=True)
class Row:
    """One page, without the proxy and with it."""

    page: str
    plain: Seen
    gated: Seen

    @property
    def new_errors(self) -> list[str]:
        return sorted(set(self.gated.errors) - set(self.plain.errors))

    @property
    def is_fine(self) -> bool:
        same = self.plain.text == self.gated.text
        return same and not (self.gated.asked or self.gated.connected or self.new_errors)

    @property
    def lost_text(self) -> bool:
        """Whether more than a tenth of what a visitor reads is gone, or the page is not shown."""
        less = len(self.gated.text) < 0.9 * len(self.plain.text)
        return less or (self.gated.hidden and not self.plain.hidden)

    @cached_property
    def difference(self) -> float:
        """How far the pictures are apart, from 0 to 100."""
        if not self.plain.picture or not self.gated.picture:
            return 0.0
        one, other = (
            Image.open(io.BytesIO(picture)).convert("L").resize((160, 100))
            for picture in (self.plain.picture, self.gated.picture)
        )
        return round(ImageStat.Stat(ImageChops.difference(one, other)).mean[0] / 2.55, 2)

    def told(self) -> str:
        one, other = self.plain.text, self.gated.text
        at = len(os.path.commonprefix([one, other]))  # noqa: RUF071 - of characters, indeed
        parted = None
        if one != other:
            around = slice(max(0, at - 30), at + 60)
            parted = {"plain": one[around], "gated": other[around]}
        others = {"asked": self.gated.asked, "connected": self.gated.connected}
        told = {"page": self.page, **others, "text": parted}
        return json.dumps({**told, "errors": self.new_errors}, indent=1)

    def side_by_side(self) -> Image.Image:
        both = Image.new("RGB", (2 * VIEWPORT[0], VIEWPORT[1]))
        for number, seen in enumerate((self.plain, self.gated)):
            both.paste(Image.open(io.BytesIO(seen.picture)), (number * VIEWPORT[0], 0))
        return both


_ADDRESS = re.compile(
    rb"""(?:rel=["']?canonical["']?[^>]*?href|property=["']?og:url["']?[^>]*?content)="""
    rb"""["']?https?://([a-z0-9.-]+\.[a-z]{2,})[/"'? ]""",
    re.IGNORECASE,
)


def own_host(body: bytes) -> str:
    """The host that a saved page names as its own; `HOST` where it names none."""
    found = _ADDRESS.search(body)
    return found[1].decode("ascii").lower() if found is not None else HOST


_BROWSERS_OWN = frozenset(
    {"accounts.google.com", "android.clients.google.com", "content-autofill.googleapis.com"}
)
"""What Chromium asks by itself, with an empty page too."""
_SLOWEST = 180_000
"""Milliseconds for one page: a machine that does much else is slow, and no page fails by that."""


class Listener:
    """Takes every connection that the browser opens to others, and notes whom it was for.

    Requests never get here, they are answered before: what does is a connection that a hint or a
    script asked for, of which no list of requests tells.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming = ssl.MemoryBIO()
        named = ["(no name)"]
        self._open += 1
        self._idle.clear()
        with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
            # What was opened and never used is closed with the page's context, long before that.
            async with asyncio.timeout(20):
                incoming.write(await reader.read(16_384))
            # Not before: all connections share it, and others come while this one waits.
            self._tls.sni_callback = lambda _, name, __: named.append(name or "(no name)")
            self._tls.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
        self.names.append(named[-1])
        self._open -= 1
        if not self._open:
            self._idle.set()
        writer.close()

    async def taken(self) -> list[str]:
        """The names since the last call, once all that were opened have told theirs."""
        await self._idle.wait()
        names, self.names = self.names, []
        return [name for name in names if name not in _BROWSERS_OWN]


def _resolving(hosts: Iterable[str], others: int) -> str:
    """The flag by which names of others lead to a port of this machine, and the pages' own to one
    where nobody listens.
    """
    domains = sorted({host.removeprefix("www.") for host in hosts})
    own = (f"MAP {name} 127.0.0.1:1" for one in domains for name in (one, f"*.{one}"))
    return f"--host-resolver-rules={','.join((*own, f'MAP * 127.0.0.1:{others}'))}"


_HOP = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


async def _fetched(route: Route, session: ClientSession, port: int) -> None:
    """Answer a request for the site itself with what the server on this machine has."""
    request = route.request
    there = urlsplit(request.url)
    headers = {**await request.all_headers(), "Host": there.netloc}
    there = there._replace(scheme="http", netloc=f"127.0.0.1:{port}")
    sent = {name: value for name, value in headers.items() if not name.startswith(":")}
    async with session.request(
        request.method, there.geturl(), headers=sent, data=request.post_data_buffer
    ) as reply:
        kept = {name: value for name, value in reply.headers.items() if name.lower() not in _HOP}
        await route.fulfill(status=reply.status, headers=kept, body=await reply.read())


async def look(
    browser: Browser,
    session: ClientSession,
    listener: Listener,
    url: str,
    port: int,
    *,
    pictures: bool = False,
) -> Seen:
    """Open a page, of which the server on `port` has the content, and watch it for a moment."""
    seen = Seen()
    host = urlsplit(url).hostname or ""
    domain = host.removeprefix("www.")
    context = await browser.new_context(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]})

    async def answer(route: Route) -> None:
        asked = urlsplit(route.request.url)
        if route.request.url == url or "/.consent/" in asked.path:
            await _fetched(route, session, port)
            return
        there = asked.hostname or ""
        if asked.scheme in _NETWORK and not f".{there}".endswith(f".{domain}"):
            seen.asked.append(route.request.url)
        kind, body = _STAND_INS.get(route.request.resource_type, ("text/plain", ""))
        headers = {"Access-Control-Allow-Origin": "*"}
        await route.fulfill(status=200, content_type=kind, body=body, headers=headers)

    await context.route("**/*", answer)
    page = await context.new_page()
    page.on("pageerror", lambda error: seen.errors.append(str(error).partition("\n")[0]))
    try:
        await page.goto(url, wait_until="load", timeout=_SLOWEST)
        await page.wait_for_timeout(600)
        await _read(page, seen, pictures=pictures)
    except Error as error:
        seen.errors.append(f"not shown: {error}".partition("\n")[0])
    await context.close()
    seen.connected = await listener.taken()
    return seen


async def _read(page: Page, seen: Seen, *, pictures: bool) -> None:
    looks = await page.evaluate(_LOOKS)
    seen.images, seen.words, seen.sheets = looks["images"], looks["words"], looks["sheets"]
    seen.hidden = looks["hidden"]
    if pictures:
        await page.evaluate(_WITHOUT_BANNER)
        seen.picture = await page.screenshot(animations="disabled", timeout=_SLOWEST)
    # Ports and the time of day are not the same twice.
    seen.text = re.sub(r"\d{5,}", "0", await page.evaluate(_TEXT))


async def _serve(pages: Mapping[str, bytes]) -> web.AppRunner:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = pages.get(request.path[1:])
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, headers={"Content-Type": "text/html"})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def _first_party(host: str) -> list[str]:
    """The hosts below a page's own that are its own too: none where a vendor has some of them."""
    below = f"*.{host.removeprefix('www.')}"
    claims = HostClaims((one, vendor.id) for vendor in catalogue().values() for one in vendor.hosts)
    return [] if any(claims.overlapping(below)) else [below]


def _config(hosts: set[str], proxy: int, admin: int, origin: int) -> str:
    names = {host: f"site-{number}" for number, host in enumerate(sorted(hosts))}
    head = _CONFIG.format(proxy=proxy, admin=admin, names=json.dumps(list(names.values())))
    sites = (
        _SITE.format(
            name=name,
            hosts=json.dumps([host, "localhost"] if host == HOST else [host]),
            first_party=json.dumps(_first_party(host)),
            origin=origin,
        )
        for host, name in names.items()
    )
    return head + "".join(sites)


async def compare(pages: Mapping[str, bytes], state: Path, *, pictures: bool = False) -> list[Row]:
    """Each page with and without the proxy. `state` is a folder for the proxy's own files."""
    runner = await _serve(pages)
    origin, (proxy, admin) = runner.addresses[0][1], free_ports(2)
    hosts = {name: own_host(body) for name, body in pages.items()}
    config = state / "consent-proxy.toml"
    config.write_text(_config({HOST, *hosts.values()}, proxy, admin, origin))
    rows = []
    async with (
        consent_proxy(config, proxy) as process,
        async_playwright() as playwright,
        ClientSession(auto_decompress=True) as session,
    ):
        let_go = guard(process)
        listener = Listener()
        taking = await asyncio.start_server(listener.take, "127.0.0.1", 0)
        at = taking.sockets[0].getsockname()[1]
        browser = await playwright.chromium.launch(
            executable_path=executable(playwright),
            args=[*FLAGS, _resolving({HOST, *hosts.values()}, at)],
        )
        for name, host in hosts.items():
            url = f"https://{host}/{name}"
            plain, gated = [
                await look(browser, session, listener, url, port, pictures=pictures)
                for port in (origin, proxy)
            ]
            rows.append(Row(name, plain, gated))
        await browser.close()
        taking.close()
        let_go()
    await runner.cleanup()
    return rows


def _keep(rows: list[Row], folder: Path) -> None:
    """The pictures of the pages that differ most, and figures of all."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = [row for row in rows if row.plain.picture and row.gated.picture]
    for row in sorted(shown, key=lambda row: -row.difference)[:10]:
        row.side_by_side().save(folder / f"{row.difference:05.2f} {row.page}.png")
    figures = [
        {
            "page": row.page,
            "difference": row.difference,
            "lost_text": row.lost_text,
            "text": [len(row.plain.text), len(row.gated.text)],
            "images": [row.plain.images, row.gated.images],
            "words": [row.plain.words, row.gated.words],
            "asked": [len(row.plain.asked), len(row.gated.asked)],
            "connected": [len(row.plain.connected), len(row.gated.connected)],
            "connected_to": sorted(set(row.gated.connected)),
            "asked_hosts": sorted({urlsplit(url).netloc for url in row.gated.asked}),
            "new_errors": row.new_errors,
        }
        for row in sorted(rows, key=lambda row: -row.difference)
    ]
    (folder / "report.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


def main(folder: Path, pictures: Path | None) -> None:
    """Print what differs, and how much is as it should be."""
    pages = {file.name: file.read_bytes() for file in sorted(folder.glob("*.html"))}
    with tempfile.TemporaryDirectory() as state:
        rows = asyncio.run(compare(pages, Path(state), pictures=pictures is not None))
    for row in rows:
        if not row.is_fine:
            print(row.told())
    if pictures is not None:
        _keep(rows, pictures)
    plain, gated = [row.plain for row in rows], [row.gated for row in rows]
    print(
        f"{len(rows)} pages; requests to others: {sum(len(one.asked) for one in plain)} without "
        f"the proxy, {sum(len(one.asked) for one in gated)} with it; connections besides: "
        f"{sum(len(one.connected) for one in plain)} and "
        f"{sum(len(one.connected) for one in gated)}; the same text on "
        f"{sum(r.plain.text == r.gated.text for r in rows)}, less than nine tenths of it or a "
        f"hidden page on {sum(r.lost_text for r in rows)}; images with a box: "
        f"{sum(one.images for one in plain)} and {sum(one.images for one in gated)}, with words: "
        f"{sum(one.words for one in plain)} and {sum(one.words for one in gated)}; new script "
        f"errors on {sum(bool(r.new_errors) for r in rows)}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
