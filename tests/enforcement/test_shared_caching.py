"""What a cache in front of us may keep: nothing of which another visitor would get another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.site import PAGE, proxied, reply

FRESH = "Cache-Control: public, max-age=600, s-maxage=900"
CSS = "Content-Type: text/css"
SVG = "Content-Type: image/svg+xml"
GA = "https://www.google-analytics.com/analytics.js"
EVERYTHING = ("analytics", "advertising", "social", "session_replay", "functional")

CASES = {
    "a file": ([FRESH, CSS], "style", "/a", ""),
    "its own links": ([FRESH, CSS, "Link: </b.css>; rel=preload"], "style", "/a", ""),
    "a load balancer's cookie": ([FRESH, CSS, "Set-Cookie: lb=1"], "style", "/a", ""),
    "an image that could be a page": ([FRESH, SVG], "image", "/a", ""),
    "links to a vendor": ([FRESH, CSS, f"Link: <{GA}>; rel=preload"], "style", "/a", "private"),
    "a vendor's cookie": ([FRESH, CSS, "Set-Cookie: _ga=1"], "style", "/a", "private"),
    "a redirect to a vendor": ([FRESH, f"Location: {GA}"], "document", "/a", "private"),
    # Held to the site's own hosts where there are patient pages: the same for everyone.
    "a worker": ([FRESH, "Content-Type: text/javascript"], "worker", "/a", ""),
    "a patient's file": ([FRESH, CSS], "style", "/patients/a", "private"),
    "marked as a patient's": ([FRESH, CSS, "X-Page-Audience: patient"], "style", "/a", "private"),
    "for CDNs above all": (
        ["CDN-Cache-Control: max-age=600", CSS, f"Link: <{GA}>; rel=preload"],
        "style",
        "/a",
        "private",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("accepted", [False, True], ids=["undecided", "all accepted"])
async def test_a_file(tmp_path: Path, case: str, accepted: bool) -> None:
    headers, dest, path, wanted = CASES[case]
    status = "302 Found" if "redirect" in case else "200 OK"
    pages = {path[1:]: reply(b"<svg/>" * 50, *headers, status=status, html=False)}
    async with proxied(tmp_path, pages) as site:
        cookie = site.cookie(*EVERYTHING) if accepted else ""
        # From the origin, from the cache, from what lies ready. No cookie is kept.
        for _ in range(1 if "vendor's cookie" in case else 3):
            answer = await site.ask(path, cookie=cookie, dest=dest)
            given = answer.one("Cache-Control")
            assert answer.one("Surrogate-Control") == ""
            if not wanted:
                assert given == FRESH.partition(": ")[2], given
                assert "Cookie" not in answer.one("Vary")
                continue
            directives = {one.strip() for one in given.split(",")}
            assert "private" in directives and not {"public", "s-maxage=900"} & directives
            assert answer.one("CDN-Cache-Control") == ""
            assert {"Cookie", "Sec-GPC"} <= {v.strip() for v in answer.one("Vary").split(",")}
            if "CDNs" not in case:
                assert "max-age=600" in directives  # the visitor's own browser may keep it


async def test_an_image_says_the_same_to_everyone(tmp_path: Path) -> None:
    """Kept by a CDN, it may be opened as a page by somebody else."""
    async with proxied(tmp_path, {"a.svg": reply(b"<svg/>", FRESH, SVG, html=False)}) as site:
        closed = await site.ask("/a.svg", dest="image")
        opened = await site.ask("/a.svg", dest="image", cookie=site.cookie(*EVERYTHING))
        assert closed.headers[1:] and closed.policy == opened.policy
        assert not any(vendor in opened.policy for vendor in ("facebook", "google", "hotjar"))
        page = await site.ask("/a.svg", dest="document", cookie=site.cookie(*EVERYTHING))
        assert page.one("Cache-Control") == "no-store" and "facebook" in page.policy


async def test_pages_are_each_visitors_own(tmp_path: Path) -> None:
    page = reply(PAGE, FRESH, "CDN-Cache-Control: max-age=600", "Surrogate-Control: max-age=600")
    async with proxied(tmp_path, {"": page}) as site:
        for cookie in ("", site.cookie(*EVERYTHING)):
            for _ in range(3):
                answer = await site.ask("/", cookie=cookie)
                assert answer.one("Cache-Control") == "private, no-cache"
                assert answer.one("CDN-Cache-Control") == answer.one("Surrogate-Control") == ""
