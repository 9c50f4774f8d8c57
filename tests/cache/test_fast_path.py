"""Replies made ready: the same as the full path gives, for as long as it would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from proxy.cache.fast_path import FastPath, FastPathEntry
from proxy.cache.store import Store
from proxy.server.connection import FrontConnection
from tests.support.one_connection import connected
from tests.support.region_files import write_region_file
from tests.support.site import HOST, PAGE, proxied, reply
from tests.support.visitor_classes import PATHS, no_sign_in, said, visitors

pytestmark = pytest.mark.slow

FRESH = "Cache-Control: public, max-age=600"
SCRIPT = reply(b"let site = 1;" * 300, "Content-Type: text/javascript", FRESH, html=False)
LINKED = reply(
    b"body{}", "Content-Type: text/css", FRESH,
    "Link: <https://connect.facebook.net>; rel=preconnect", html=False,
)  # fmt: skip


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[FastPathEntry | None]:
    """What memory was asked for, and had."""
    seen: list[FastPathEntry | None] = []
    find = FastPath.find

    def spied(self: FastPath, *args: object) -> FastPathEntry | None:
        seen.append(find(self, *args))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(FastPath, "find", spied)
    return seen


PAGES = {"": reply(PAGE, FRESH), "app.js": SCRIPT, "linked.css": LINKED,
         "patients/one": reply(PAGE, FRESH)}  # fmt: skip


@pytest.mark.parametrize("change", [str, no_sign_in])
async def test_the_fast_path_gives_what_the_full_path_gives(
    tmp_path: Path, found: list[FastPathEntry | None], change: Callable[[str], str]
) -> None:
    async with proxied(tmp_path, PAGES, change=change) as site, connected(site) as kept:
        everyone = await visitors(site)
        etags: dict[str, set[str]] = {}
        for _ in range(3):
            for path in PATHS:
                for headers in everyone:
                    quick = await kept.ask(path, *headers)
                    # "Connection: close" always takes the full path.
                    slow = await site.ask(path, *headers, dest="")
                    assert said(quick) == said(slow), (path, headers)
                    etags.setdefault(path, set()).update(quick.all("ETag"))
        # Each with the validators that others were given.
        for path in PATHS:
            for etag in etags[path]:
                for headers in everyone:
                    for _ in range(2):
                        quick = await kept.ask(path, *headers, f"If-None-Match: {etag}")
                    slow = await site.ask(path, *headers, f"If-None-Match: {etag}", dest="")
                    assert said(quick) == said(slow), (path, headers, etag)
        ready = [one for one in found if one is not None]
        assert len(ready) > 300 and {one.status for one in ready} == {200, 304}
        assert not any(one.entry.key.target == "/patients/one" for one in ready)


async def test_an_asset_is_ready_for_all_whatever_their_cookies(
    tmp_path: Path, found: list[FastPathEntry | None]
) -> None:
    async with proxied(tmp_path, PAGES, change=no_sign_in) as site, connected(site) as kept:
        for path in ("/app.js", "/linked.css"):
            for _ in range(2):
                await kept.ask(path)
            found.clear()
            await kept.ask(path, "Cookie: basket=1; _fbp=2")
            # A header that is held to the decision makes it each visitor's own.
            assert (found[-1] is not None) is (path == "/app.js")


async def test_age_is_told_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            first = await kept.ask("/app.js")
        start = time.time()
        monkeypatch.setattr(time, "time", lambda: start + 42)
        later = await kept.ask("/app.js")
        assert int(later.one("Age")) - int(first.one("Age")) in {42, 43}
        monkeypatch.setattr(time, "time", lambda: start + 700)
        assert len(site.asked) == 1
        await kept.ask("/app.js")
        assert len(site.asked) == 2  # no longer fresh


async def test_a_choice_ends_when_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = reply(PAGE, "Cache-Control: public, max-age=86000")
    async with proxied(tmp_path, {"": long}) as site, connected(site) as kept:
        cookie = f"Cookie: {site.cookie('analytics')}"
        for _ in range(3):
            assert (await kept.ask("/", cookie)).shows() == {"google-analytics"}
        start = time.time()
        monkeypatch.setattr(time, "time", lambda: start + 601)
        assert (await kept.ask("/", cookie)).shows() == set()


async def test_a_tag_expires_in_the_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = (time.time() // 86400 + 1) * 86400
    monkeypatch.setattr(time, "time", lambda: night - 100)
    today = time.strftime("%Y-%m-%d", time.gmtime(night))
    long = reply(PAGE, "Cache-Control: public, max-age=86000")

    def until_tonight(text: str) -> str:
        return text.replace("2999-01-01", today)

    async with (
        proxied(tmp_path, {"": long}, change=until_tonight) as site,
        connected(site) as kept,
    ):
        cookie = f"Cookie: {site.cookie('analytics')}"
        for _ in range(3):
            assert (await kept.ask("/", cookie)).shows() == {"google-analytics"}
        monkeypatch.setattr(time, "time", lambda: night + 100)
        assert (await kept.ask("/", cookie)).shows() == set()
        assert len(site.asked) == 1


@pytest.mark.parametrize("purged", ["www.example.com/", "www.example.com/app.js"])
async def test_what_is_purged_is_not_ready(tmp_path: Path, purged: str) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            await kept.ask("/app.js")
        assert site.running.cache is not None
        if purged.endswith("/"):
            site.running.cache.store.purge_prefix(purged)
        else:
            site.running.cache.store.invalidations.invalidate(purged)  # as another worker does
        await kept.ask("/app.js")
        assert len(site.asked) == 2


async def test_requests_in_a_row_are_answered_in_order(tmp_path: Path) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for path in ("/", "/app.js") * 3:
            await kept.ask(path)
        for path in ("/", "/new", "/app.js", "/") * 3:
            kept.send(path)
        statuses = [(await kept.read()).status for _ in range(12)]
        assert statuses == [200, 404, 200, 200] * 3
        # One behind a request that the origin has not answered yet.
        kept.send("/slow")
        await asyncio.sleep(0.05)
        kept.send("/app.js")
        assert [(await kept.read()).status for _ in range(2)] == [404, 200]


async def test_a_request_that_comes_before_it_is_waited_for_is_answered_at_once(
    tmp_path: Path, found: list[FastPathEntry | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is quick sends it before the connection's loop has had its turn. Otherwise a
    connection that took the full path once would take it each time.
    """
    behind = f"GET /app.js HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    told = FrontConnection.log_access

    def next_comes(self: FrontConnection, *args: Any) -> None:
        told(self, *args)
        asyncio.get_running_loop().call_soon(self.data_received, behind)

    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(2):
            await kept.ask("/app.js")
        del found[:]
        monkeypatch.setattr(FrontConnection, "log_access", next_comes)
        kept.send("/app.js", "X-Of-The-Full-Path: 1")
        for _ in range(2):
            assert (await kept.read()).status == 200
        assert len(found) == 1 and found[0] is not None
        monkeypatch.undo()
        assert (await kept.ask("/app.js")).status == 200


async def test_a_head_in_two_parts_is_answered(tmp_path: Path) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            whole = await kept.ask("/app.js")
        request = f"GET /app.js HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        for cut in range(1, len(request)):
            kept.writer.write(request[:cut])
            await asyncio.sleep(0)
            kept.writer.write(request[cut:])
            assert said(await kept.read()) == said(whole)


async def test_a_visitor_who_takes_nothing_is_not_fed_for_ever(
    tmp_path: Path, found: list[FastPathEntry | None]
) -> None:
    large = reply(b"x" * 400_000, "Content-Type: text/css", FRESH, html=False)
    async with proxied(tmp_path, {"large.css": large}) as site, connected(site) as kept:
        for _ in range(3):
            await kept.ask("/large.css")
        found.clear()
        kept.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(200):
            kept.send("/large.css")
            await asyncio.sleep(0)
        await asyncio.sleep(0.3)
        # 80 MB are asked for. What was given is what fits the buffers between the two.
        assert len(found) < 60


async def test_who_may_be_signed_in_gets_the_origins_own_page(tmp_path: Path) -> None:
    async with proxied(tmp_path, PAGES, change=no_sign_in) as site, connected(site) as kept:
        for _ in range(3):
            await kept.ask("/", "Cookie: consent=no-token")
        for _ in range(3):
            await kept.ask("/linked.css", "Cookie: basket=17")
        asked = len(site.asked)
        for more in (1, 2, 3):
            await kept.ask("/", "Cookie: basket=17")
            assert len(site.asked) == asked + more


async def test_the_region_of_an_address_chooses(
    tmp_path: Path, found: list[FastPathEntry | None]
) -> None:
    write_region_file(tmp_path / "regions.mmdb")

    def by_address(text: str) -> str:
        return text.replace('country_header = "X-Country"', 'database = "regions.mmdb"')

    async with proxied(tmp_path, PAGES, change=by_address) as site, connected(site) as kept:
        for _ in range(3):
            for address, shown in (
                ("198.51.100.7", {"google-analytics", "meta-pixel", "youtube"}),
                ("192.0.2.1", set()),
                ("198.51.100.8, 192.0.2.9", set()),
            ):
                answer = await kept.ask("/", f"X-Forwarded-For: {address}")
                assert answer.shows() == shown, address
        assert len([one for one in found if one is not None]) >= 3


@pytest.mark.parametrize(
    "terms", ["no-cache", "no-cache, max-age=600", "max-age=0", "max-age=600, private", "no-store"]
)
async def test_what_must_be_asked_about_is_never_ready(
    tmp_path: Path, found: list[FastPathEntry | None], terms: str
) -> None:
    old = "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT"
    page = reply(PAGE, f"Cache-Control: {terms}", 'ETag: "1"', old)
    async with proxied(tmp_path, {"": page}) as site, connected(site) as kept:
        for asked in range(1, 5):
            await kept.ask("/")
            assert len(site.asked) == asked
        assert not any(found)


def test_what_a_cookie_stands_for_is_known_by_region() -> None:
    """The law of the region says when its visitor may be asked again."""
    by_header = FastPath(Store(1000), ["X-Country"])
    assert _site_of(by_header, "X-Country: US") != _site_of(by_header, "X-Country: DE")
    assert _site_of(by_header, "Accept-Language: en") == _site_of(by_header, "Accept-Language: de")
    everywhere = FastPath(Store(1000), (), [ip_network("127.0.0.0/8")], lambda address: address[:3])
    one, other = (f"X-Forwarded-For: {address}" for address in ("198.51.100.7", "192.0.2.1"))
    assert _site_of(everywhere, one) != _site_of(everywhere, other)


def _site_of(table: FastPath, *headers: str) -> tuple[Hashable, ...]:
    fields = [field.partition(": ")[::2] for field in ("Host: www.example.com", *headers)]
    message = RawRequestMessage(
        "GET", "/", HttpVersion11, CIMultiDictProxy(CIMultiDict(fields)),
        tuple((name.encode(), value.encode()) for name, value in fields),
        False, None, False, False, URL("/"),
    )  # fmt: skip
    key = table.key_of(message, "127.0.0.1", secure=False)
    assert key is not None
    return key.site
