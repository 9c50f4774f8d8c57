"""A file that is relayed without a task: what the full path gives and asks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.cache.known_files import known_head
from proxy.http.access_record import Access
from proxy.relaying import FileRelay
from proxy.server.connection import FrontConnection
from proxy.upstream.exchange import BegunExchange, UpstreamRequest
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.server import server_at
from proxy.upstream.slots import UpstreamLimits
from tests.support import site as support
from tests.support.both_ways import Step, fields, raw, told
from tests.support.forwarding import Visit, origin
from tests.support.one_connection import Connection, connected
from tests.support.site import HOST, Answer, Proxied, Reply, in_front_of, proxied, reply
from tests.support.visitor_classes import no_sign_in, said, visitors
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

DATE = "Date: Mon, 30 Nov 2026 10:00:00 GMT"
LATER = "Date: Tue, 01 Dec 2026 00:00:07 GMT"
BODY = b"let site = 1;" * 900


def file(body: bytes = BODY, *more: str, date: str = DATE) -> bytes:
    kind = "Content-Type: text/javascript"
    return reply(body, kind, "Cache-Control: no-store", date, *more, html=False)


def dates(got: Answer) -> list[bool]:
    """The dates of a response: whether each is the origin's. Ours is that of the moment."""
    return [f"Date: {one}" == DATE for one in got.all("Date")]


@pytest.fixture
def relayed_to() -> list[FrontConnection]:
    """The connections of visitors whose requests were relayed."""
    return []


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch, relayed_to: list[FrontConnection]) -> Counter[str]:
    """How many requests were relayed, and taken over by the full path after all."""
    counted: Counter[str] = Counter()
    begin, take_over = FileRelay.begin, FrontConnection.take_over

    def begins(self: FileRelay, visitor: FrontConnection, *args: object) -> bool:
        begun = begin(self, visitor, *args)  # type: ignore[arg-type]
        if begun:
            counted["relayed"] += 1
            relayed_to.append(visitor)
        return begun

    def takes_over(self: FrontConnection, *args: object) -> bool:
        counted["taken over"] += 1
        return take_over(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(FileRelay, "begin", begins)
    monkeypatch.setattr(FrontConnection, "take_over", takes_over)
    return counted


FILES: dict[str, Reply] = {
    "app.js": file(),
    "private.png": reply(
        b"\x89PNG" * 99, "Content-Type: image/png", "Cache-Control: private, max-age=60", DATE,
        'ETag: "a"', "Connection: keep-alive", "Server: one", html=False,
    ),
    "empty.txt": file(b""),
    "patients/scan.png": file(),
    "marked.js": file(BODY, "X-Page-Audience: patient"),
}  # fmt: skip


@pytest.mark.parametrize("signs_in", [True, False])
async def test_it_gives_what_the_full_path_gives_and_asks_what_that_asks(
    tmp_path: Path, ways: Counter[str], signs_in: bool
) -> None:
    change = str if signs_in else no_sign_in
    accesses: list[Access] = []
    relayed: Counter[str] = Counter()
    async with (
        proxied(tmp_path, FILES, change=change, access=accesses.append) as site,
        connected(site) as kept,
    ):
        everyone = await visitors(site)
        everyone.append((f"Cookie: _ga=7; _fbp=8; {site.cookie('analytics')}",))
        everyone.append(("Cookie: _fbp=9; _ga=10",))
        everyone.append(("Cookie: a=1; _fbp=9", "Cookie: b=2", "Accept: image/*", "Via: 1.1 x"))
        everyone.append(
            ("X-Request-Id: given", "traceparent: nonsense", "X-Forwarded-For: 9.9.9.9")
        )
        for path in map("/".__add__, FILES):
            for headers in everyone:
                for _ in range(3):
                    await kept.ask(path, *headers)
                for _ in range(2):
                    before = ways["relayed"]
                    quick = await kept.ask(path, *headers)
                    was_relayed = ways["relayed"] > before
                    short, counted = site.asked[-1], accesses[-1]
                    slow = await site.ask(path, *headers, dest="")
                    assert said(quick) == said(slow), (path, headers)
                    assert dates(quick) == dates(slow)
                    if was_relayed:
                        relayed[path] += 1
                        name = quick.one("X-Request-Id")
                        assert short.values(b"x-request-id") == [name.encode()]
                        assert counted.id == name
                        assert fields(short.head) == fields(site.asked[-1].head), (path, headers)
                        assert told(counted) == told(accesses[-1])
                        assert counted.size > len(quick.body)
    assert set(relayed) == {"/app.js", "/private.png", "/empty.txt"}
    assert relayed.total() > 100


# --- whatever the origin says instead ---------------------------------------------------------

ALSO = (
    "Cache-Control: max-age=60", "Set-Cookie: _fbp=1", "Age: 7", "Connection: close",
    "Connection: keep-alive", "X-Page-Audience: patient", "Transfer-Encoding: chunked",
    "Link: <https://connect.facebook.net>; rel=preload", "X-New: 1", "bad field", LATER,
    "Content-Length: 5", "Content-Length: 11700", "Content-Encoding: gzip",
)  # fmt: skip
BEFORE = (b"", b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
          b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n")  # fmt: skip
OTHERS = (
    b"HTTP/1.1 304 Not Modified\r\n" + DATE.encode() + b"\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
    b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/javascript\r\n\r\nlet a",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"nonsense",
    file().replace(b"text/javascript", b"text/html"),
    file().replace(b"Content-Length: 11700", b"Transfer-Encoding: chunked").partition(BODY)[0]
    + b"5\r\nlet a\r\n0\r\n\r\n",
)  # fmt: skip


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """The file, at times a little changed, cut anywhere, or broken off."""
    data = file(date=draw(st.sampled_from((DATE, LATER, "Date: now"))))
    what = draw(st.integers(0, 9))
    if what == 0:
        data = draw(st.sampled_from(OTHERS))
    elif what == 1:
        data = data.replace(
            b"\r\n\r\n", b"\r\n" + draw(st.sampled_from(ALSO)).encode() + b"\r\n\r\n"
        )
    elif what == 2:
        data = data.replace(b"let", b"var")
    data = draw(st.sampled_from(BEFORE)) + data if what > 7 else data
    cuts = tuple(sorted(draw(st.lists(st.integers(0, len(data)), max_size=3))))
    if draw(st.integers(0, 5)) == 0:
        return Step(data[: draw(st.integers(0, len(data)))], cuts, closes=True)
    return Step(data, cuts, closes=what < 2 or draw(st.integers(0, 9)) == 0)


@dataclass
class Scripted:
    """An origin that says what it is told to, to whatever it is asked; else it sends the file."""

    steps: list[Step] = field(default_factory=list)

    async def script(self, visit: Visit) -> None:
        while True:
            await visit.request()
            step = self.steps.pop(0) if self.steps else Step(file())
            if not await step.send(visit):
                return


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


def has_been_asked(one: Way) -> Callable[[], Awaitable[None]]:
    """Waits until the origin has a request more: then it is the only one of its connection."""
    before = len(one.site.asked)

    async def wait() -> None:
        for _ in range(200):
            if len(one.site.asked) > before:
                return
            await asyncio.sleep(0.001)

    return wait


async def seen(one: Way, path: str, script: list[Step]) -> tuple[object, ...]:
    """All that visitors get, all that the origin is asked, and what is counted."""
    async with connected(one.site) as kept:
        for _ in range(3):
            await kept.ask(path)
    del one.site.asked[:], one.accesses[:]
    one.origin.steps = list(script)
    got: list[bytes] = []
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    for _ in range(len(script) + 2):
        got.append(await raw(one.site.port, request, has_been_asked(one)))
    one.origin.steps = []
    counted = [told(access) for access in one.accesses]
    return got, [fields(asked.head) for asked in one.site.asked], counted


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture
def both(
    tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Way, Way]]:
    """A proxy that relays, and one that does not. The dates of their own pages are the same."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    stack = contextlib.AsyncExitStack()
    for name in ("short", "full"):
        (tmp_path / name).mkdir()
    short = runner.run(stack.enter_async_context(way(tmp_path / "short")))
    full = runner.run(stack.enter_async_context(way(tmp_path / "full")))
    assert full.site.running.fast_path is not None
    monkeypatch.setattr(full.site.running.fast_path, "find_file", lambda *_: None)
    yield short, full
    runner.run(stack.aclose())


def test_whatever_the_origin_says_it_is_what_the_full_path_makes_of_it(
    both: tuple[Way, Way], runner: asyncio.Runner, ways: Counter[str]
) -> None:
    short, full = both
    number = 0

    @settings(max_examples=150, deadline=None)
    @given(st.lists(steps(), min_size=1, max_size=4))
    @example([Step(file()), Step(file(date=LATER), (40, 90)), Step(file(), (300,))])
    @example([Step(file()[:-30], closes=True), Step(file())])
    @example([Step(b"", closes=True), Step(file()[:20], closes=True), Step(file())])
    @example([Step(file(), (len(file()) - 4,)), Step(file(), closes=True), Step(file())])
    @example([Step(other) for other in OTHERS[:3]])
    @example([Step(other, closes=True) for other in OTHERS[3:]])
    def check(script: list[Step]) -> None:
        nonlocal number
        number += 1
        path = f"/{number}.js"
        assert runner.run(seen(short, path, script)) == runner.run(seen(full, path, script))

    check()
    assert ways["relayed"] > 200 and ways["taken over"] > 50


@pytest.mark.parametrize("cuts", [(), (50,), (len(file()) - 2, len(file()) + 2)])
def test_what_comes_behind_a_file_is_no_part_of_it(
    both: tuple[Way, Way], runner: asyncio.Runner, ways: Counter[str], cuts: tuple[int, ...]
) -> None:
    short, full = both
    script = [Step(file() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", cuts)]
    assert runner.run(seen(short, "/a.js", script)) == runner.run(seen(full, "/a.js", script))
    assert ways["relayed"] == 1  # what sends more than it says is not trusted for a while


@pytest.mark.parametrize("cut", range(0, len(file()) - len(BODY), 7))
def test_a_head_is_known_from_its_first_bytes(cut: int) -> None:
    head = file().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    known = known_head(head, len(BODY))
    assert known is not None
    assert known.date_in(head[:cut]) == b""
    assert known.date_in(file(date=LATER)) == LATER.encode()[6:]
    assert known.date_in(head[:cut] + b"#" + head[cut + 1 :]) in (None, b"Mon, 30 Nov 2026")
    assert known.date_in(head[:cut] + b"#") is None or b"Date: " in head[: cut + 1]
    assert known.size == len(head)


# --- all that may come between ----------------------------------------------------------------


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


LARGE = b"0123456789abcdef" * 2**20
"""More than the buffers of two sockets to a visitor hold."""


@contextlib.asynccontextmanager
async def known(
    folder: Path,
    then: Callable[[Visit], Awaitable[None]],
    ways: Counter[str],
    body: bytes = BODY,
    change: Callable[[str], str] = str,
) -> AsyncIterator[tuple[Proxied, list[Access]]]:
    """A site whose `/app.js` is known by now. Its origin answers the next request by `then`."""
    accesses: list[Access] = []
    pages: dict[str, Reply] = {"app.js": file(body)}
    async with (
        proxied(folder, pages, access=accesses.append, change=change) as site,
        connected(site) as kept,
    ):
        for _ in range(4):
            assert (await kept.ask("/app.js")).body == body
        assert ways["relayed"] == 1 and not ways["taken over"]
        usual = site.pages["/app.js"]

        async def once(visit: Visit) -> None:
            site.pages["/app.js"] = usual
            await then(visit)

        site.pages["/app.js"] = once
        del accesses[:]
        yield site, accesses


async def test_a_slow_visitor_holds_the_origin_back(
    tmp_path: Path, ways: Counter[str], relayed_to: list[FrontConnection]
) -> None:
    async with known(tmp_path, lambda visit: visit.send(file(LARGE)), ways, LARGE) as (site, told):
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        narrow.connect(("127.0.0.1", site.port))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=2**16)
        slow = Connection(reader, writer)
        slow.send("/app.js")
        await until(lambda: relayed_to[1:] and relayed_to[-1].writing_paused)
        transport = relayed_to[-1].transport
        for _ in range(20):  # what comes now comes too much
            await asyncio.sleep(0.01)
            assert transport is not None and transport.get_write_buffer_size() < 2**20
        assert (await slow.read()).body == LARGE
        assert (await slow.ask("/app.js")).body == LARGE
        writer.close()
    assert [access.status for access in told] == [200, 200]
    assert told[0].size > len(LARGE)
    assert ways["relayed"] >= 2 and not ways["taken over"]


async def test_a_visitor_who_leaves_ends_the_exchange(tmp_path: Path, ways: Counter[str]) -> None:
    lost = asyncio.Event()

    async def sends(visit: Visit) -> None:
        try:
            await visit.send(file()[:-9])
            await visit.reader.read()
        finally:
            lost.set()

    async with known(tmp_path, sends, ways) as (site, accesses):
        async with connected(site) as leaving:
            leaving.send("/app.js")
            await leaving.reader.readexactly(100)
        async with asyncio.timeout(PATIENCE):
            await lost.wait()
        await until(lambda: accesses)
        assert told(accesses[0])[2:5] == (499, "www", "miss")
        async with connected(site) as next_one:
            assert (await next_one.ask("/app.js")).body == BODY
    assert ways["relayed"] == 2


@pytest.mark.parametrize(("sent", "got"), [(b"", 504), (file()[:50], 504), (file()[:-9], None)])
async def test_a_silent_origin_is_waited_for_as_on_the_full_path(
    tmp_path: Path, ways: Counter[str], sent: bytes, got: int | None
) -> None:
    async def stalls(visit: Visit) -> None:
        await visit.send(sent)
        await visit.reader.read()

    change = lambda text: text.replace("[proxy]", "[proxy]\nupstream_timeout = 1")  # noqa: E731
    async with known(tmp_path, stalls, ways, change=change) as (site, accesses):
        asked = len(site.asked)
        async with connected(site) as kept:
            if got is None:
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await kept.ask("/app.js")
            else:
                assert (await kept.ask("/app.js")).status == got
        assert len(site.asked) == asked + 1
        assert [access.status for access in accesses] == [got or 200]
    assert ways["relayed"] == 2


async def test_requests_behind_one_that_is_relayed_wait_for_their_turn(
    tmp_path: Path, ways: Counter[str]
) -> None:
    go_on = asyncio.Event()

    async def waits(visit: Visit) -> None:
        await go_on.wait()
        await visit.send(file())

    async with known(tmp_path, waits, ways) as (site, accesses), connected(site) as kept:
        kept.send("/app.js")
        await until(lambda: ways["relayed"] == 2)
        for number in range(40):
            kept.send(f"/other/{number}", "X-Padding: " + "x" * 4000)
        kept.send("/app.js")
        await kept.writer.drain()
        go_on.set()
        assert (await kept.read()).body == BODY
        for _ in range(40):
            assert (await kept.read()).status == 404
        assert (await kept.read()).body == BODY
    assert [access.status for access in accesses] == [200, *[404] * 40, 200]


@pytest.mark.parametrize("turns", range(8))
async def test_responses_come_in_the_order_of_their_requests(
    tmp_path: Path, ways: Counter[str], relayed_to: list[FrontConnection], turns: int
) -> None:
    """Also where a known file is asked for some turns of the loop after what takes the full path,
    whose task has not begun yet.
    """

    def asked(path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()

    sends = known(tmp_path, lambda visit: visit.send(file()), ways)
    async with sends as (site, _), connected(site) as kept:
        assert (await kept.ask("/app.js")).body == BODY
        assert (await kept.ask("/other")).status == 404
        relayed_to[-1].data_received(asked("/other"))
        for _ in range(turns):
            await asyncio.sleep(0)
        relayed_to[-1].data_received(asked("/app.js"))
        async with asyncio.timeout(PATIENCE):
            assert [(await kept.read()).status for _ in range(2)] == [404, 200]


@pytest.mark.parametrize(
    "data", [file(BODY, "Age: 7"), file().replace(b"text/javascript", b"text/event-stream")]
)
async def test_what_is_of_its_moment_or_lasts_is_not_relayed(
    tmp_path: Path, ways: Counter[str], data: bytes
) -> None:
    """An age is of one response; an event stream has no time limit, and a place among streams."""
    async with proxied(tmp_path, {"app.js": data}) as site, connected(site) as kept:
        given = [(await kept.ask("/app.js")).all("Age") for _ in range(5)]
    assert given == [["7"] if b"Age" in data else []] * 5
    assert not ways


@pytest.mark.parametrize("sent", [b"", file()[:-9]])
async def test_an_origin_that_resets_the_connection_is_no_error_of_the_loop(
    tmp_path: Path, ways: Counter[str], sent: bytes
) -> None:
    told_of: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told_of.append(what))

    async def resets(visit: Visit) -> None:
        await visit.send(sent)
        await asyncio.sleep(0.05)
        linger = struct.pack("ii", 1, 0)
        sock = visit.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        visit.writer.transport.abort()
        raise ConnectionError

    resetting = known(tmp_path, resets, ways, LARGE)  # read in pieces: its end is watched
    async with resetting as (site, accesses), connected(site) as kept:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await kept.ask("/app.js")
        await until(lambda: accesses)
    gc.collect()
    assert ways["relayed"] == 2
    assert not told_of


async def test_one_who_waits_for_a_connection_gets_it(
    tmp_path: Path, ways: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = UpstreamLimits(connections=1)
    monkeypatch.setattr(support, "UpstreamPool", partial(UpstreamPool, limits=lambda: limits))

    async def waits(visit: Visit) -> None:
        await asyncio.sleep(0.1)
        await visit.send(file())

    async with (
        known(tmp_path, waits, ways) as (site, _),
        connected(site) as kept,
        connected(site) as other,
    ):
        got = await asyncio.gather(kept.ask("/app.js"), other.ask("/app.js"))
        assert [one.body for one in got] == [BODY, BODY]
        before = ways["relayed"]
        assert (await kept.ask("/app.js")).body == BODY
        assert ways["relayed"] == before + 1


async def test_what_is_stored_meanwhile_is_not_relayed(tmp_path: Path, ways: Counter[str]) -> None:
    """Nor is it asked for again: it is taken from the cache."""
    stored = reply(BODY, "Cache-Control: max-age=60", "Content-Type: text/javascript", html=False)
    async with known(tmp_path, lambda visit: visit.send(stored), ways) as (site, accesses):
        site.pages["/app.js"] = stored
        async with connected(site) as kept:
            async with asyncio.timeout(PATIENCE):
                while not accesses or accesses[-1].cache != "hit":  # judged again in a second
                    assert (await kept.ask("/app.js")).one("Cache-Control") == "max-age=60"
                    await asyncio.sleep(0.05)
    assert ways["taken over"] == 1 and ways["relayed"] == 2


async def test_a_response_that_begins_during_a_drain_says_that_it_is_the_last(
    tmp_path: Path, ways: Counter[str], relayed_to: list[FrontConnection]
) -> None:
    go_on = asyncio.Event()

    async def waits(visit: Visit) -> None:
        await go_on.wait()
        await visit.send(file())

    async with known(tmp_path, waits, ways) as (site, accesses), connected(site) as kept:
        kept.send("/app.js")
        await until(lambda: relayed_to[1:])
        async with asyncio.timeout(PATIENCE):
            relayed_to[-1].drain(close_idle=True)
            assert not relayed_to[-1].idle
            go_on.set()
            last = await kept.read()
            assert (last.body, last.one("Connection")) == (BODY, "close")
            assert await kept.reader.read() == b""
        assert [access.status for access in accesses] == [200]
        asked = [one.line for one in site.asked]
        assert asked == [b"GET /app.js HTTP/1.1"] * 5
    assert ways["taken over"] == 1


async def test_what_was_stored_for_another_is_not_asked_for(
    tmp_path: Path, ways: Counter[str]
) -> None:
    """A response to a visitor with a session, which its origin gives to all."""
    kind = "Content-Type: text/javascript"
    public = reply(b"for all", "Cache-Control: public, max-age=60", kind, html=False)
    async with known(tmp_path, lambda visit: visit.send(public), ways) as (site, accesses):
        assert (await site.ask("/app.js", "Cookie: basket=17", dest="")).body == b"for all"
        async with connected(site) as kept:
            assert (await kept.ask("/app.js")).body == b"for all"
        assert accesses[-1].cache == "hit"
    assert ways["relayed"] == 1


def test_an_exchange_that_was_begun_is_for_the_same_request_only() -> None:
    server = server_at("http://127.0.0.1:9000")
    asked = UpstreamRequest("GET", server, "/a", CIMultiDict({"Host": "a", "Accept": "*/*"}))

    def begun() -> BegunExchange:
        head = b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"
        return BegunExchange(server, head, None, None, None, (0, 0))  # type: ignore[arg-type]

    assert begun().take(asked)
    for other in (
        replace(asked, method="HEAD"),
        replace(asked, target="/b"),
        replace(asked, headers=CIMultiDict({**asked.headers, "If-None-Match": "*"})),
        replace(asked, server=server_at("http://127.0.0.1:9000")),
    ):
        assert not begun().take(other)
    once = begun()
    assert once.take(asked) and not once.take(asked)
    once.drop()  # it is the taker's: nothing is closed
