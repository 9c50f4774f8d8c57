"""Requests that pass by the cache and are not resolved again: what the full path gives and asks."""

from __future__ import annotations

import time
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from consent_rules.categories import Category
from consent_rules.preferences import Preferences
from proxy.cache.passing import PassingRequest
from proxy.http.access_record import Access
from proxy.passing import find_passing
from tests.support.both_ways import fields, told
from tests.support.forwarding import Visit
from tests.support.one_connection import connected
from tests.support.site import HOST, PAGE, Answer, Proxied, Reply, proxied, reply
from tests.support.visitor_classes import no_sign_in, said, visitors

pytestmark = pytest.mark.slow

NO_STORE = "Cache-Control: no-store"
DATE = "Date: Mon, 30 Nov 2026 10:00:00 GMT"


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[PassingRequest]:
    """What was known of requests."""
    seen: list[PassingRequest] = []

    def spied(*args: object) -> PassingRequest | None:
        known = find_passing(*args)  # type: ignore[arg-type]
        if known is not None:
            assert known.group[1], "whom something identifies is resolved"
            seen.append(known)
        return known

    monkeypatch.setattr("proxy.app.find_passing", spied)
    return seen


def echo() -> Reply:
    """A page with what the origin was told of the visitor, and another word for every two requests:
    no page is like another one.
    """
    numbers = (number for number in count() for _ in range(2))

    async def answer(visit: Visit) -> None:
        asked = visit.origin.exchanges[-1]
        told_of = b" ".join(b"%b=%b" % (n, v) for n in SHOWN for v in asked.values(n))
        body = PAGE.replace(b"Fin", b"word%d %b" % (next(numbers), told_of))
        await visit.send(reply(body, NO_STORE, DATE))

    return answer


def another() -> Reply:
    """A page with another word in it each time."""
    numbers = count()

    async def answer(visit: Visit) -> None:
        await visit.send(reply(PAGE.replace(b"Fin", b"word%d" % next(numbers)), NO_STORE, DATE))

    return answer


SHOWN = (b"cookie", b"sec-gpc", b"accept-language", b"x-forwarded-proto", b"x-forwarded-host")
PAGES: dict[str, Reply] = {
    "": echo(),
    "told": reply(PAGE, NO_STORE, DATE, "X-Page-Audience: patient"),
    "marked": reply(b"<meta name=page-audience content=patient>" + PAGE, NO_STORE, DATE),
    "mine": reply(PAGE, "Cache-Control: private, max-age=60", DATE, "Set-Cookie: _fbp=1"),
    "chunked": reply(PAGE, NO_STORE, DATE, "Transfer-Encoding: chunked").replace(
        PAGE, b"%x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE)
    ),
    "away": reply(b"", NO_STORE, DATE, "Location: /elsewhere", status="302 Found"),
    "drawing": reply(b"<svg/>", NO_STORE, DATE, "Content-Type: image/svg+xml", html=False),
    "patients/one": echo(),
    "g/collect": echo(),
    "broken": reply(PAGE, NO_STORE, DATE, status="500 Oh"),
}
NOT_KNOWN = ("/patients/one", "/g/collect", "/broken")
"""About patients, a tracker on the site's own host, an error, which is gone soon."""

THRICE = ("/", "/g/collect")
"""Asked for often enough that those of whom nobody else has the class find what is known."""


def shown(answer: Answer) -> tuple[object, ...]:
    """What is the same however well it is compressed."""
    status, kept, _ = said(answer)
    return status, [(n, v) for n, v in kept if n.lower() != "content-length"], answer.text


async def compared(
    site: Proxied,
    path: str,
    headers: tuple[str, ...],
    found: list[PassingRequest],
    log: list[Access],
) -> bool:
    """Ask on a connection that stays, and on one that is closed, for which nothing is known."""
    found.clear()
    async with connected(site) as kept:
        quick = await kept.ask(path, *headers)
    was_known, counted, asked = bool(found), log[-1], site.asked[-1]
    slow = await site.ask(path, *headers, dest="")
    assert shown(quick) == shown(slow), (path, headers)
    assert fields(asked.head) == fields(site.asked[-1].head), (path, headers)
    assert told(counted) == told(log[-1])
    return was_known


@pytest.mark.parametrize("signs_in", [True, False])
async def test_it_gives_what_the_full_path_gives_and_asks_what_that_asks(
    tmp_path: Path, found: list[PassingRequest], signs_in: bool
) -> None:
    log: list[Access] = []
    change = str if signs_in else no_sign_in
    known: Counter[str] = Counter()
    async with proxied(tmp_path, PAGES, change=change, access=log.append) as site:
        everyone = await visitors(site)
        # Of the same class as another one, but another visitor.
        everyone.append((f"Cookie: _ga=7; _fbp=8; {site.cookie('analytics')}",))
        everyone.append(("Cookie: _fbp=9; _ga=10",))
        everyone += [
            ("Sec-Fetch-Dest: iframe", f"Referer: http://{HOST}/{page}")
            for page in ("", "patients/one", "")
        ]
        for path in (f"/{name}" for name in PAGES):
            for headers in everyone * (3 if path in THRICE else 2):
                known[path] += await compared(site, path, headers, found, log)
    assert tuple(path for path in known if not known[path]) == NOT_KNOWN, known


async def test_what_may_be_stored_by_now_is_stored(
    tmp_path: Path, found: list[PassingRequest]
) -> None:
    """The full path judges the next request, and the last one's response is not used for it."""
    storable = reply(PAGE, "Cache-Control: public, max-age=60", DATE)
    async with proxied(tmp_path, {"page": another()}) as site, connected(site) as kept:
        for _ in range(4):
            await kept.ask("/page")
        assert found
        site.pages["/page"] = storable
        await kept.ask("/page")
        found.clear()
        for _ in range(3):
            await kept.ask("/page")
        assert not found


async def test_whether_it_passes_by_is_asked_each_time(
    tmp_path: Path, found: list[PassingRequest]
) -> None:
    async with proxied(tmp_path, {"page": another()}) as site, connected(site) as kept:
        for _ in range(4):
            await kept.ask("/page")
        cache = site.running.cache
        assert found and cache is not None
        group = found[-1].group
        found.clear()
        cache.flights.forget_uncacheable(group)
        await kept.ask("/page")
        assert not found
        await kept.ask("/page")
        assert found


def choice(site: Proxied, seconds: int) -> str:
    """A cookie that says yes to statistics for so long."""
    now = int(time.time())
    chosen = Preferences(
        allowed=frozenset({Category.ANALYTICS}), policy_version=site.config.policy.version,
        made_at=now, expires_at=now + seconds,
    )  # fmt: skip
    return f"Cookie: consent={site.running.keys.sign(chosen, 'www')}"


async def test_a_choice_ends_with_its_own_cookie(
    tmp_path: Path, found: list[PassingRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not with that of the visitor of the same class who came first."""
    numbers, now, passed = count(), time.time, 0

    async def answer(visit: Visit) -> None:
        data = b"a" * (1 + next(numbers))
        await visit.send(reply(data, NO_STORE, DATE, "Content-Type: text/css", html=False))

    monkeypatch.setattr("time.time", lambda: now() + passed)
    pages = {"": another(), "one": answer}
    async with proxied(tmp_path, pages, change=no_sign_in) as site, connected(site) as kept:
        first, second = choice(site, 500), choice(site, 50)
        for cookie in (first, first, first, second, second):
            await kept.ask("/", cookie)
        for cookie in (first, first, first, second):
            await kept.ask("/one", cookie)
        assert found
        passed = 100
        site.pages["/one"] = reply(PAGE, NO_STORE, DATE)
        assert (await kept.ask("/one", first)).shows() == {"google-analytics"}
        assert not (await kept.ask("/one", second)).shows()


async def test_a_failure_is_told_as_the_full_path_tells_it(
    tmp_path: Path, found: list[PassingRequest]
) -> None:
    log: list[Access] = []
    async with proxied(tmp_path, {"page": another()}, change=no_sign_in, access=log.append) as site:
        async with connected(site) as kept:
            for _ in range(4):
                await kept.ask("/page", "Cookie: _ga=1; _fbp=2")
            await kept.ask("/page", "Cookie: _fbp=3; _ga=4")
        assert found
        site.pages["/page"] = b"nonsense\r\n\r\n"
        found.clear()
        async with connected(site) as kept:
            quick = await kept.ask("/page", "Cookie: _ga=1; _fbp=2")
        assert found
        slow = await site.ask("/page", "Cookie: _ga=1; _fbp=2", dest="")
        assert (quick.status, quick.all("Set-Cookie")) == (502, slow.all("Set-Cookie"))
        assert len(quick.all("Set-Cookie")) > 1
        assert told(log[-2]) == told(log[-1])
