"""What a site asks of crawlers: robots.txt (RFC 9309), its sitemaps, and a rate."""

from __future__ import annotations

import asyncio
import gzip
import html
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    from protego import Protego

USER_AGENT = "consent-proxy-audit"
_LOCATION = re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^<\]]+?)\s*(?:\]\]>)?\s*</loc>", re.I)
_MAX_SITEMAPS = 20
_MAX_SITEMAP = 10_000_000
"""Bytes, decompressed."""

Fetch = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Status and body of an address; status 0 where there is no answer."""


class Robots:
    """The rules of robots.txt for us."""

    def __init__(self, rules: Protego | None) -> None:
        self._rules = rules

    def allows(self, url: str) -> bool:
        return self._rules is None or bool(self._rules.can_fetch(url, USER_AGENT))

    @property
    def delay(self) -> float:
        """Seconds between two pages, at least."""
        found = None if self._rules is None else self._rules.crawl_delay(USER_AGENT)
        return float(found or 0)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        return () if self._rules is None else tuple(self._rules.sitemaps)


async def read_robots(origin: str, fetch: Fetch) -> Robots:
    """The site's robots.txt. Where there is none, everything is allowed (RFC 9309, 2.3.1)."""
    from protego import Protego

    status, body = await fetch(urljoin(origin, "/robots.txt"))
    if status >= 500:
        # 2.3.1.4: unreachable is a complete disallow.
        return Robots(Protego.parse("User-agent: *\nDisallow: /"))
    if status != 200:
        return Robots(None)
    return Robots(Protego.parse(body[:512_000].decode("utf-8", "replace")))


async def pages_of_sitemaps(origin: str, named: tuple[str, ...], fetch: Fetch) -> list[str]:
    """The addresses in the site's sitemaps (sitemaps.org), those that an index names included."""
    waiting = list(named or (urljoin(origin, "/sitemap.xml"),))
    seen: set[str] = set()
    pages: dict[str, None] = {}
    while waiting and len(seen) < _MAX_SITEMAPS:
        address = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        status, body = await fetch(address)
        if status != 200:
            continue
        text = _decompressed(body).decode("utf-8", "replace")
        found = list(_locations(text))
        if "<sitemapindex" in text[:2000]:
            waiting += found
        else:
            pages |= dict.fromkeys(found)
    return list(pages)


def _locations(text: str) -> Iterator[str]:
    # Not an XML parser: what a stranger's file expands to must not matter.
    for found in _LOCATION.finditer(text):
        yield html.unescape(found[1])


def _decompressed(body: bytes) -> bytes:
    if body[:2] != b"\x1f\x8b":
        return body[:_MAX_SITEMAP]
    try:
        return zlib.decompressobj(31).decompress(body, _MAX_SITEMAP)
    except (zlib.error, gzip.BadGzipFile):
        return b""


@dataclass(slots=True)
class Pace:
    """At most one page in `interval` seconds, whoever asks."""

    interval: float
    _next: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def wait(self) -> None:
        async with self._turn:
            loop = asyncio.get_running_loop()
            now = loop.time()
            if now < self._next:
                await asyncio.sleep(self._next - now)
            self._next = max(now, self._next) + self.interval
