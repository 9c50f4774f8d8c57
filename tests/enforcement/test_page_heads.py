"""The head that an earlier page had is what `enforce` makes of this one, or it is not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from proxy.enforcement.page_heads import PageHead, PageHeads
from proxy.http.access_record import Access
from tests.support.both_ways import told
from tests.support.forwarding import Visit
from tests.support.one_connection import connected
from tests.support.site import PAGE, Proxied, Reply, proxied, reply
from tests.support.visitor_classes import no_sign_in, said, visitors

pytestmark = pytest.mark.slow

DATE = "Date: Mon, 30 Nov 2026 10:00:00 GMT"
HEADS: tuple[tuple[str, ...], ...] = (
    ("Cache-Control: no-store",),
    ("Cache-Control: private", 'ETag: "a"', "Last-Modified: Mon, 30 Nov 2026 09:00:00 GMT"),
    ("Cache-Control: no-store", "Content-Security-Policy: script-src 'self'; report-uri /r"),
    ("Cache-Control: no-store", "Content-Security-Policy-Report-Only: report-uri //www.hotjar.com"),
    ("Cache-Control: no-store", "Link: </a.css>; rel=preload, <//connect.facebook.net>; rel=icon"),
    ("Cache-Control: no-store", "Link: <collect>; rel=preload", "Refresh: 9; url=collect"),
    ("Cache-Control: no-store", "Set-Cookie: basket=1", "Set-Cookie: _fbp=2"),
    ("Cache-Control: no-store", "X-Page-Audience: patient"),
    ("Cache-Control: no-store", "Cross-Origin-Opener-Policy: same-origin", "Accept-CH: DPR"),
    ("Cache-Control: no-store", "Permissions-Policy: camera=*, geolocation=()", "Alt-Svc: h3"),
    ("Cache-Control: no-store", "Vary: Accept", "Age: 7", "Expires: 0", "X-Name: \xe9"),
    ("Cache-Control: no-store", "Location: /.consent/choice", "CDN-Cache-Control: no-store"),
    ("Cache-Control: no-store", "NEL: {}", 'Report-To: {"endpoints":[{"url":"//pixel.test/"}]}'),
    ("Cache-Control: no-store", DATE),
)
NEVER = (6, 13)
"""Of these, no head is known: they have cookies, or two dates."""
PLACES = ("/here/{}", "/g/{}", "/patients/{}")
"""`/g/collect` is a tracker on the site's own host."""


def asked_for(mode: str) -> list[tuple[str, int]]:
    """Paths, and the head of each: the same one at several places, for addresses are relative."""
    if mode == "observe":
        return [(PLACES[0].format(number), number) for number in (0, 2, 7)]
    alone = [(PLACES[0].format(number), number) for number in range(len(HEADS))]
    return alone + [(place.format(n), n) for place in PLACES[1:] for n in (0, 2, 5)]


def each_time_another(*fields: str, status: str = "200 OK") -> Reply:
    """A page with another word in it for every two requests."""
    numbers: Iterator[int] = (number for number in range(10**6) for _ in range(2))
    seconds = cycle(range(60))

    async def answer(visit: Visit) -> None:
        body = PAGE.replace(b"Fin", b"word%d" % next(numbers))
        date = f"Date: Mon, 30 Nov 2026 10:00:{next(seconds):02} GMT"
        await visit.send(reply(body, date, *fields, status=status))

    return answer


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[PageHead]:
    """The heads that were known."""
    seen: list[PageHead] = []
    find = PageHeads.find

    def spied(*args: object) -> PageHead | None:
        known = find(*args)  # type: ignore[arg-type]
        if known is not None:
            seen.append(known)
        return known

    monkeypatch.setattr(PageHeads, "find", spied)
    return seen


async def compared(
    site: Proxied, path: str, headers: tuple[str, ...], used: list[PageHead], log: list[Access]
) -> bool:
    """Ask for a page twice: on a connection that stays, and on one that is closed, for which no
    head is known. Whether there was one for the first.
    """
    used.clear()
    async with connected(site) as kept:
        quick = await kept.ask(path, *headers)
    was_known, counted = bool(used), log[-1]
    slow = await site.ask(path, *headers, dest="")
    assert said(quick) == said(slow), (path, headers)
    assert len(quick.all("Date")) == len(slow.all("Date"))
    assert told(counted) == told(log[-1])
    return was_known


@pytest.mark.parametrize("mode", ["enforce", "observe"])
async def test_no_visitor_gets_another_head_than_enforcement_would_make(
    tmp_path: Path, used: list[PageHead], mode: str
) -> None:
    log: list[Access] = []
    paths = asked_for(mode)
    pages = {path[1:]: each_time_another(*HEADS[number]) for path, number in paths}
    pages["missing"] = each_time_another("Cache-Control: no-store", status="404 Not Found")
    known: Counter[str] = Counter()
    async with proxied(tmp_path, pages, mode=mode, change=no_sign_in, access=log.append) as site:
        everyone = await visitors(site)
        for path, _ in (*paths, ("/missing", 0)):
            for headers in everyone * 2:
                known[path] += await compared(site, path, headers, used, log)
    assert [path for path in known if not known[path]] == [
        path for path, number in paths if number in NEVER
    ]
    assert known.total() > 25 * len(paths)
