"""robots.txt and sitemaps are read as their standards say."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

import pytest

from proxy.audit.politeness import Fetch, pages_of_sitemaps, read_robots

ORIGIN = "https://www.example.com/"


def site(files: Mapping[str, tuple[int, bytes]]) -> Fetch:
    async def fetch(url: str) -> tuple[int, bytes]:
        return files.get(url.removeprefix("https://www.example.com"), (404, b""))

    return fetch


ROBOTS = b"""
User-agent: *
Disallow: /private/
Allow: /private/*.html$
Crawl-delay: 2
Sitemap: https://www.example.com/pages.xml
"""


@pytest.mark.parametrize(
    ("answer", "path", "allowed"),
    [
        ((200, ROBOTS), "/private/x", False),
        ((200, ROBOTS), "/private/x.html", True),
        ((200, ROBOTS), "/", True),
        ((404, b""), "/private/x", True),
        ((503, b""), "/", False),
        ((0, b""), "/", True),
        ((200, b"\xff\xfe not robots"), "/", True),
        ((200, b"User-agent: consent-proxy-audit\nDisallow: /\n"), "/", False),
    ],
)
async def test_what_robots_allows(answer: tuple[int, bytes], path: str, allowed: bool) -> None:
    robots = await read_robots(ORIGIN, site({"/robots.txt": answer}))
    assert robots.allows(f"https://www.example.com{path}") is allowed


async def test_the_pace_and_the_sitemaps_that_robots_names() -> None:
    robots = await read_robots(ORIGIN, site({"/robots.txt": (200, ROBOTS)}))
    assert robots.delay == 2
    assert robots.sitemaps == ("https://www.example.com/pages.xml",)


def _locations(*paths: str, tag: str = "urlset") -> bytes:
    entries = "".join(f"<url><loc>https://www.example.com{path}</loc></url>" for path in paths)
    return f'<?xml version="1.0"?><{tag}>{entries}</{tag}>'.encode()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/sitemap.xml": _locations("/a", "/b?x=1&amp;y=2")}, ["/a", "/b?x=1&y=2"]),
        ({"/sitemap.xml": gzip.compress(_locations("/a"))}, ["/a"]),
        (
            {
                "/sitemap.xml": _locations("/one.xml", "/sitemap.xml", tag="sitemapindex"),
                "/one.xml": b"<urlset><loc><![CDATA[https://www.example.com/c]]></loc></urlset>",
            },
            ["/c"],
        ),
        ({"/sitemap.xml": b"\x1f\x8bbroken"}, []),
        ({}, []),
    ],
)
async def test_pages_of_sitemaps(files: Mapping[str, bytes], expected: list[str]) -> None:
    fetch = site({path: (200, body) for path, body in files.items()})
    pages = await pages_of_sitemaps(ORIGIN, (), fetch)
    assert [page.removeprefix("https://www.example.com") for page in pages] == expected


async def test_what_entities_expand_to_does_not_matter() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><loc>&b;</loc>'
    assert await pages_of_sitemaps(ORIGIN, (), site({"/sitemap.xml": (200, bomb)})) == ["&b;"]
