"""Browsers that send no Sec-Fetch-*: what they ask for is taken at its strictest."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.support.forwarding import Visit
from tests.support.one_connection import connected
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


SHEET = (
    b'<xsl:stylesheet version="1.0" xmlns:xsl="%s"><xsl:template match="/"><html>'
    b'<link rel="preconnect" href="https://www.google-analytics.com/"/></html>'
    b"</xsl:template></xsl:stylesheet>"
)
TRANSFORM = b"http://www.w3.org/1999/XSL/Transform"
FEED = b'<rss version="2.0"><channel><link>https://www.google-analytics.com/</link></channel></rss>'
SHEETS = {
    "plain": SHEET % TRANSFORM,
    "utf-16": (SHEET % TRANSFORM).decode().encode("utf-16"),
    "by a reference": SHEET % b"http://www.w3.org/1999/XSL/Tr&#97;nsform",
    "by an entity": b'<!DOCTYPE x [<!ENTITY n "%s">]>' % TRANSFORM + SHEET % b"&n;",
}


@pytest.mark.parametrize("accept", ["*/*", "text/xml, application/xml, text/xsl", ""])
@pytest.mark.parametrize("kind", ["application/xml", "text/xsl", "application/xslt+xml"])
@pytest.mark.parametrize("name", SHEETS)
@pytest.mark.parametrize("coded", [False, True], ids=["plain", "gzip"])
async def test_a_transformation_is_gated(
    tmp_path: Path, name: str, kind: str, accept: str, coded: bool
) -> None:
    """What it makes is a page, whose preconnects no policy stops."""
    says = [f"Content-Type: {kind}", "Cache-Control: public, max-age=60"]
    body = SHEETS[name]
    if coded:
        body, says = gzip.compress(body), [*says, "Content-Encoding: gzip"]
    async with proxied(tmp_path, {"x.xsl": reply(body, *says, html=False)}) as site:
        for _ in range(2):  # the second time from the cache
            headers = [f"Accept: {accept}"] if accept else []
            answer = await site.ask("/x.xsl", *headers, dest="")
            assert b"google-analytics" not in answer.body.replace(b"\0", b"")
            assert b"template" in answer.body.replace(b"\0", b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_other_xml_stays_data(tmp_path: Path, method: str) -> None:
    """A feed reader sends no fetch metadata either: it may store what it gets, and validate it."""
    says = ["Content-Type: application/rss+xml", 'ETag: "feed"', "Cache-Control: max-age=60"]
    async with proxied(tmp_path, {"feed": reply(FEED, *says, html=False)}) as site:
        for _ in range(2):
            answer = await site.ask("/feed", "Accept: */*", dest="", method=method)
            assert answer.body == (FEED if method == "GET" else b"")
            assert answer.one("ETag") == '"feed"'
            assert "no-store" not in answer.one("Cache-Control")
            assert answer.one("Content-Length") == str(len(FEED))


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (
            "image/svg+xml",
            b'<svg xmlns="http://www.w3.org/2000/svg">%s</svg>',
        ),
        ("application/xhtml+xml", b"<html>%s</html>"),
    ],
)
async def test_what_an_object_shows_is_gated(tmp_path: Path, kind: str, document: bytes) -> None:
    """Firefox asks for it with the Accept field of an image."""
    link = b'<link xmlns="http://www.w3.org/1999/xhtml" rel="preconnect" href="//nobody.example"/>'
    plain = document % b""
    pages = {
        "links": reply(document % link, f"Content-Type: {kind}", html=False),
        "plain": reply(plain, f"Content-Type: {kind}", "ETag: a", html=False),
    }
    async with proxied(tmp_path, pages) as site:
        assert b"nobody" not in (await site.ask("/links", "Accept: */*", dest="")).body
        answer = await site.ask("/plain", "Accept: */*", dest="")
        assert (answer.body, answer.all("ETag")) == (plain, ["a"])


async def test_a_document_is_gated_after_another_asked_for_it_as_data(tmp_path: Path) -> None:
    """Nothing but the Accept field tells the one from the other."""
    document = (
        b'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title>'
        b'<link rel="preconnect" href="https://www.google-analytics.com/"/></head></html>'
    )
    says = ("Content-Type: application/xml", "Cache-Control: max-age=60")
    pages = {"x": reply(document, *says, html=False)}
    async with proxied(tmp_path, pages) as site, connected(site) as kept:
        for _ in range(3):
            assert (await kept.ask("/x", "Accept: */*")).body == document
        assert b"google-analytics" not in (await kept.ask("/x", HTML)).body
