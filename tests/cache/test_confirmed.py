"""A finished response that the origin confirms: what the full path gives and asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.cache import Entry, fetch
from proxy.cache.confirmation import may_renew
from proxy.cache.fast_path import ConfirmedReply, FastPath
from proxy.cache.repeated import RepeatedReply
from proxy.http.access_record import Access
from proxy.revalidation import Ready
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.slots import UpstreamLimits
from tests.support import site as support
from tests.support.both_ways import Step, fields, raw, told
from tests.support.forwarding import Visit, origin
from tests.support.one_connection import connected
from tests.support.site import HOST, PAGE, Proxied, Reply, in_front_of, proxied, reply
from tests.support.visitor_classes import PATHS, no_sign_in, said, visitors

pytestmark = pytest.mark.slow

ASK_EACH_TIME = "Cache-Control: no-cache"
DATE = formatdate(time.time(), usegmt=True)
TAG = 'ETag: "a"'


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages do not differ by the second that passes between two requests."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Ready]:
    """What was ready, and was looked for."""
    seen: list[Ready] = []

    def spy(name: str) -> None:
        find = getattr(FastPath, name)

        def spied(self: FastPath, *args: object) -> Ready | None:
            ready: Ready | None = find(self, *args)
            if ready is not None:
                seen.append(ready)
            return ready

        monkeypatch.setattr(FastPath, name, spied)

    spy("find_to_confirm")
    spy("find_repeated")
    return seen


def validated(body: bytes, kind: str) -> Reply:
    """An origin's resource that is asked about each time."""
    whole = reply(body, f"Content-Type: {kind}", ASK_EACH_TIME, TAG, f"Date: {DATE}", html=False)
    same = f"HTTP/1.1 304 Not Modified\r\n{ASK_EACH_TIME}\r\n{TAG}\r\nDate: {DATE}\r\n\r\n"

    async def answer(visit: Visit) -> None:
        asked = visit.origin.exchanges[-1]
        await visit.send(same.encode() if asked.values(b"if-none-match") == [b'"a"'] else whole)

    return answer


PAGES = {
    "": validated(PAGE, "text/html"),
    "app.js": validated(b"let site = 1;" * 300, "text/javascript"),
    "linked.css": validated(b"body{}", "text/css"),
    "patients/one": validated(PAGE, "text/html"),
    "again": reply(PAGE, "Cache-Control: no-store", f"Date: {DATE}"),
}
ALL_PATHS = (*PATHS, "/again")


@pytest.mark.parametrize("signs_in", [True, False])
async def test_it_gives_what_the_full_path_gives_and_asks_what_that_asks(
    tmp_path: Path, found: list[Ready], signs_in: bool
) -> None:
    change = str if signs_in else no_sign_in
    accesses: list[Access] = []
    ready: Counter[str] = Counter()
    async with (
        proxied(tmp_path, PAGES, change=change, access=accesses.append) as site,
        connected(site) as kept,
    ):
        everyone = await visitors(site)
        # Of the same class as another one, but another visitor.
        everyone.append((f"Cookie: _ga=7; _fbp=8; {site.cookie('analytics')}",))
        everyone.append(("Cookie: _fbp=9; _ga=10",))
        for path in ALL_PATHS:
            for headers in everyone:
                for _ in range(2):  # what may not be stored is compressed well when it comes again
                    await site.ask(path, *headers, dest="")
                for _ in range(4):
                    found.clear()
                    quick = await kept.ask(path, *headers)
                    was_ready = any(found)
                    short, counted = site.asked[-1], accesses[-1]
                    slow = await site.ask(path, *headers, dest="")
                    assert said(quick) == said(slow), (path, headers)
                    assert quick.all("Date") == slow.all("Date")
                    assert quick.all("Age") == slow.all("Age")
                    if was_ready:
                        ready[path] += 1
                        assert fields(short.head) == fields(site.asked[-1].head), (path, headers)
                        assert told(counted) == told(accesses[-1])
    assert set(ready) == {"/", "/app.js", "/linked.css", "/again"}
    assert ready.total() > 100


# --- whatever the origin says instead ---------------------------------------------------------

ALSO = (
    "", "Cache-Control: no-cache", "Cache-Control: max-age=60", "Cache-Control: private",
    TAG, 'ETag: "b"', "Set-Cookie: basket=1", "Set-Cookie: _fbp=1", "Age: 7", "Vary: Accept",
    "Connection: close", "X-Page-Audience: patient", "Link: <https://connect.facebook.net>",
    "Expires: 0", "X-New: 1", f"Date: {DATE}", "Content-Type: text/plain", "bad field",
    "Content-Length: 5",
)  # fmt: skip
LINES = (
    "HTTP/1.1 304 Not Modified", "HTTP/1.1 304 Not Modified", "HTTP/1.0 304 Not Modified",
    "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 500 Oh", "HTTP/1.1 302 Found",
    "HTTP/1.1 204 No Content",
)  # fmt: skip
BEFORE = (b"", b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
          b"HTTP/1.1 100 Continue\r\n\r\n")  # fmt: skip


@st.composite
def pages(draw: st.DrawFn) -> Step:
    """The page that may not be stored, changed a little, or not at all."""
    data = draw(st.sampled_from((AGAIN, AGAIN.replace(b"Hello", b"Other"), AGAIN + b"more")))
    also = draw(st.sampled_from(ALSO))
    if also and draw(st.booleans()):
        data = data.replace(b"\r\n\r\n", b"\r\n" + also.encode() + b"\r\n\r\n", 1)
    data = draw(st.sampled_from(BEFORE)) + data
    cuts = tuple(sorted(draw(st.lists(st.integers(0, len(data)), max_size=3))))
    if draw(st.integers(0, 3)) == 0:
        return Step(data[: draw(st.integers(0, len(data)))], cuts, closes=True)
    return Step(data, cuts, also == "Content-Length: 5" or draw(st.booleans()))


@st.composite
def steps(draw: st.DrawFn) -> Step:
    line = draw(st.sampled_from(LINES))
    also = draw(st.lists(st.sampled_from(ALSO), max_size=4, unique=True))
    if draw(st.booleans()):
        also = [ASK_EACH_TIME, TAG, f"Date: {DATE}", *also]
    body = b"" if " 304" in line or " 204" in line else draw(st.sampled_from((b"", PAGE, b"x{}")))
    head = "\r\n".join([line, *filter(None, dict.fromkeys(also))]).encode()
    if body or "Content-Length" not in " ".join(also):
        head += b"" if " 304" in line or " 204" in line else b"\r\nContent-Length: %d" % len(body)
    data = draw(st.sampled_from(BEFORE)) + head + b"\r\n\r\n" + body
    data += draw(st.sampled_from((b"", b"", b"", b"more")))
    if draw(st.integers(0, 4)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
        return Step(data, closes=True)
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=3))
    # Where less comes than is promised, nothing else would end the response.
    promised = "Content-Length: 5" in also
    return Step(data, tuple(sorted(cuts)), promised or draw(st.sampled_from((False, False, True))))


@dataclass
class Scripted:
    """An origin that says what it is told to, to whatever it is asked; else what it said before."""

    steps: list[Step] = field(default_factory=list)

    async def script(self, visit: Visit) -> None:
        while True:
            asked = await visit.request()
            if not self.steps and asked.line.startswith(b"GET /again"):
                await visit.send(AGAIN)
                continue
            if not self.steps:
                kept = asked.values(b"if-none-match") == [b'"a"']
                await visit.send(CONFIRMS if kept else WHOLE)
                continue
            if not await self.steps.pop(0).send(visit):
                return


AGAIN = reply(PAGE, "Cache-Control: no-store", f"Date: {DATE}")
WHOLE = reply(PAGE, ASK_EACH_TIME, TAG, f"Date: {DATE}")
CONFIRMS = f"HTTP/1.1 304 Not Modified\r\n{ASK_EACH_TIME}\r\n{TAG}\r\nDate: {DATE}\r\n\r\n".encode()


@dataclass
class Way:
    """A proxy in front of an origin of its own."""

    site: Proxied
    origin: Scripted
    accesses: list[Access]


@contextlib.asynccontextmanager
async def way(folder: Path) -> AsyncIterator[Way]:
    scripted, accesses = Scripted(), list[Access]()
    async with (
        origin(scripted.script) as upstream,
        in_front_of(upstream.port, folder, change=no_sign_in, access=accesses.append) as site,
    ):
        site.asked = upstream.exchanges
        yield Way(site, scripted, accesses)


async def seen(one: Way, path: str, script: list[Step]) -> tuple[object, ...]:
    """All that a visitor gets for a few requests, all that the origin is asked, and what is
    counted: what is the same in every run.
    """
    async with connected(one.site) as kept:
        for _ in range(3):
            await kept.ask(path)
    del one.site.asked[:], one.accesses[:]
    one.origin.steps = list(script)
    got: list[bytes] = []
    for _ in range(len(script) + 2):
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        got.append(await raw(one.site.port, request))
        if not one.origin.steps:
            break
    one.origin.steps = []
    counted = [told(access) for access in one.accesses]
    return got, [fields(asked.head) for asked in one.site.asked], counted


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


def test_whatever_the_origin_says_it_is_what_the_full_path_makes_of_it(
    tmp_path: Path,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    found: list[Ready],
) -> None:
    stack = contextlib.AsyncExitStack()
    for name in ("short", "full"):
        (tmp_path / name).mkdir()
    short = runner.run(stack.enter_async_context(way(tmp_path / "short")))
    full = runner.run(stack.enter_async_context(way(tmp_path / "full")))
    of_full = full.site.running.rules.sites[0].upstream

    def unless_full(entry: Entry, headers: object) -> bool:
        return of_full not in entry.key.upstream and may_renew(entry, headers)  # type: ignore[arg-type]

    monkeypatch.setattr(fetch, "may_renew", unless_full)
    assert full.site.running.fast_path is not None
    monkeypatch.setattr(full.site.running.fast_path, "find_repeated", lambda *_: None)
    number = 0

    @settings(max_examples=120, deadline=None)
    @given(
        st.tuples(st.just("/page"), st.lists(steps(), min_size=1, max_size=3))
        | st.tuples(st.just("/again"), st.lists(steps() | pages(), min_size=1, max_size=3))
    )
    @example(("/page", [Step(CONFIRMS)]))
    @example(("/page", [Step(CONFIRMS, (10, 40)), Step(WHOLE.replace(b"Hello", b"Other"))]))
    @example(("/page", [Step(CONFIRMS.replace(b'"a"', b'"b"'))]))
    @example(("/page", [Step(b"", closes=True)]))
    @example(("/again", [Step(AGAIN, (300,)), Step(AGAIN[:-30], closes=True), Step(AGAIN)]))
    @example(("/again", [Step(AGAIN.replace(b"Hello", b"Other")), Step(AGAIN + b"more")]))
    def check(example: tuple[str, list[Step]]) -> None:
        nonlocal number
        number += 1
        path, script = f"{example[0]}/{number}", example[1]
        assert runner.run(seen(short, path, script)) == runner.run(seen(full, path, script))

    try:
        check()
    finally:
        runner.run(stack.aclose())
    kinds = Counter(map(type, found))
    assert kinds[ConfirmedReply] > 50 and kinds[RepeatedReply] > 50


async def test_what_is_purged_while_the_origin_is_asked_is_asked_for_again(tmp_path: Path) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            await kept.ask("/app.js")
        usual = site.pages["/app.js"]
        assert not isinstance(usual, bytes) and site.running.cache is not None
        store = site.running.cache.store

        async def purges(visit: Visit) -> None:
            site.pages["/app.js"] = usual
            store.purge_prefix("")
            await usual(visit)

        site.pages["/app.js"] = purges
        asked = len(site.asked)
        assert (await kept.ask("/app.js")).body == b"let site = 1;" * 300
        conditions = [one.values(b"if-none-match") for one in site.asked[asked:]]
        assert conditions == [[b'"a"'], []]
        assert (await kept.ask("/app.js")).status == 200


async def test_what_has_changed_is_not_asked_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where what was stored is gone by then: nor would there be a connection for it."""
    limits = UpstreamLimits(connections=1)
    monkeypatch.setattr(support, "UpstreamPool", partial(UpstreamPool, limits=lambda: limits))
    body = b"let site = 2;" * 100_000
    changed = reply(body, "Content-Type: text/javascript", ASK_EACH_TIME, TAG, html=False)
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            await kept.ask("/app.js")
        assert site.running.cache is not None
        store, asked = site.running.cache.store, len(site.asked)

        async def changes(visit: Visit) -> None:
            store.purge_prefix("")
            await visit.send(changed)

        site.pages["/app.js"] = changes
        assert (await kept.ask("/app.js")).body == body
        assert len(site.asked) == asked + 1
