"""Browsers that send no Sec-Fetch-*: what they ask for is taken at its strictest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.forwarding import Visit
from tests.support.site import PAGE, proxied, reply

HTML = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CONDITIONS = ('If-None-Match: "origin"', "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT")


async def validating(visit: Visit) -> None:
    """An origin whose own page a browser stored before there was a proxy."""
    if visit.origin.exchanges[-1].values(b"if-none-match"):
        await visit.send(b'HTTP/1.1 304 Not Modified\r\nETag: "origin"\r\n\r\n')
    else:
        await visit.send(reply(PAGE, 'ETag: "origin"'))


@pytest.mark.parametrize(
    ("dest", "headers", "whole"),
    [
        ("document", (HTML,), True),
        ("iframe", (), True),
        ("", (HTML,), True),
        ("", ("Accept: */*",), True),
        ("", ("Accept: application/xhtml+xml",), True),
        ("", (), True),
        ("empty", ("Accept: text/html, */*",), True),
        ("", ("Connection: Upgrade", "Upgrade: websocket"), True),
        ("websocket", ("Upgrade: websocket",), True),
        # A destination that no standard names says nothing.
        ("Document", (HTML,), True),
        ("portal", (HTML,), True),
        ("nonsense", ("Accept: */*",), True),
        ("document, document", (), True),
        # Nothing of these is ever shown as a page: 304 saves the transfer.
        ("", ("Accept: image/webp,image/*,*/*;q=0.8",), False),
        ("", ("Accept: text/css,*/*;q=0.1",), False),
        ("image", ("Accept: image/*",), False),
        ("script", ("Accept: */*",), False),
        ("empty", ("Accept: */*",), False),
    ],
)
@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
async def test_a_page_stored_before_there_was_a_proxy_is_not_shown(
    tmp_path: Path, dest: str, headers: tuple[str, ...], whole: bool, cached: bool
) -> None:
    def change(text: str) -> str:
        return text if cached else text.replace("[proxy]\n", "[proxy]\ncache_bytes = 0\n", 1)

    async with proxied(tmp_path, {"page": validating}, change=change) as site:
        answer = await site.ask("/page", *headers, *CONDITIONS, dest=dest)
        assert answer.status == (200 if whole else 304)
        assert not whole or answer.shows() == set()
        assert len(answer.all("Content-Security-Policy")) == 1


async def test_ranges_of_films_pass_without_fetch_metadata(tmp_path: Path) -> None:
    """Safari plays no film of which it cannot have a part."""
    part = reply(
        b"ab", "Content-Type: video/mp4", "Content-Range: bytes 0-1/9",
        status="206 Partial Content", html=False,
    )  # fmt: skip
    async with proxied(tmp_path, {"film": part}) as site:
        answer = await site.ask("/film", "Range: bytes=0-1", "Accept: */*", dest="")
        assert (answer.status, answer.body) == (206, b"ab")
        assert site.asked[-1].values(b"range") == [b"bytes=0-1"]
