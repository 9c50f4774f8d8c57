"""Requests that are known by the bytes of their fields: what parsing them gives, each time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.config.load import load_config
from proxy.cache.fast_path import FastPath, FastPathEntry, KnownHit
from proxy.cache.known_heads import MAX_HEAD, KnownFields, KnownHeads
from proxy.cache.store import Store
from proxy.http.access_record import Access
from proxy.http.device_class import DeviceClass
from proxy.observability.access_log import AccessLog
from proxy.runtime import build_runtime
from proxy.server.connection import FrontConnection
from proxy.server.request_parser import RequestParser
from tests.support.both_ways import told
from tests.support.forwarding import Visit
from tests.support.one_connection import Connection, connected
from tests.support.site import HOST, PAGE, TAGS, Proxied, config_text, proxied, reply
from tests.support.visitor_classes import no_sign_in, visitors
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

NOW = time.time()
TODAY = datetime.datetime.fromtimestamp(NOW, datetime.UTC).date()
DATE = f"Date: {formatdate(NOW, usegmt=True)}"
FRESH = "Cache-Control: public, max-age=600"
PAGES = {
    "": reply(PAGE, FRESH, DATE),
    "app.js": reply(b"let a = 1;" * 50, "Content-Type: text/javascript", FRESH, DATE, html=False),
    "linked.css": reply(
        b"body{}", "Content-Type: text/css", FRESH, DATE, 'ETag: "a"',
        "Link: <https://connect.facebook.net>; rel=preconnect", html=False,
    ),
    "patients/one": reply(PAGE, FRESH, DATE),
    "short": reply(PAGE, "Cache-Control: public, max-age=60", DATE),
}  # fmt: skip


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


# --- what is known of a head is what its parser says --------------------------------------------

LINES = (b"GET / HTTP/1.1", b"GET /a?b=%2f HTTP/1.1", b"GET http://a.example/ HTTP/1.1")
FIELDS = (
    b"Accept: */*", b"Accept-Encoding: gzip",
    b"accept-encoding: br", b"Cookie: a=1", b"X-Forwarded-For: 192.0.2.1",
    b"X-Forwarded-Proto: https", b"Sec-GPC: 1", b"User-Agent: one", b"X-Country: US",
    b'If-None-Match: "a HTTP/1.1"', b"Referer: https://a.example/", b"Connection: keep-alive",
    b"Sec-Ch-Ua: x",
)  # fmt: skip
SELDOM = (
    b"Host: b.example", b"X-Request-Id: given", b"Connection: close", b"Range: bytes=0-1",
    b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Upgrade: x",
    b"Expect: x",
    b"Accept: a\r\n b", b"Cookie: a=2", b"Accept-Language: " + b"x" * MAX_HEAD,
)  # fmt: skip
TAILS = (b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x", b" HTTP/1.1\r\n\r\n")


def seldom(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 7)) == 7


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    fields = [b"Host: a.example", *draw(st.lists(st.sampled_from(FIELDS), max_size=4, unique=True))]
    if seldom(draw):
        fields.append(draw(st.sampled_from(SELDOM)))
    line = draw(st.sampled_from(LINES))
    tail = draw(st.sampled_from(TAILS)) if seldom(draw) else b""
    return b"\r\n".join([line, *fields, b"", b""]) + tail


@st.composite
def like(draw: st.DrawFn, head: bytes) -> bytes:
    """The same with another line, or another byte somewhere."""
    if draw(st.booleans()):
        head = draw(st.sampled_from((*LINES, b"GET /b HTTP/1.1", b"HEAD / HTTP/1.1",
            b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET / HTTP/1.0",
            b"GET /#a HTTP/1.1", b"\r\nGET / HTTP/1.1"))) + head[head.find(b"\r\n") :]  # fmt: skip
    at = draw(st.integers(0, len(head)))
    changed = draw(st.sampled_from(("same", "same", "cut", "left out", "put in", "replaced")))
    byte = draw(
        st.sampled_from((b"\r", b"\n", b" ", b"a", b"1", b"\0", b"\xff", b":", b"\r\n\r\n"))
    )
    return {
        "same": head, "cut": head[:at], "left out": head[:at] + head[at + 1 :],
        "put in": head[:at] + byte + head[at:], "replaced": head[:at] + byte + head[at + 1 :],
    }[changed]  # fmt: skip


def parser(loop: asyncio.AbstractEventLoop) -> HttpRequestParser:
    return HttpRequestParser(
        BaseProtocol(loop), loop, 65536, payload_exception=ValueError, auto_decompress=False
    )


@dataclass(frozen=True)
class Parsed:
    """A request alone, and what comes behind its head."""

    message: RawRequestMessage
    rest: bytes


def parsed(data: bytes, loop: asyncio.AbstractEventLoop) -> Parsed | None:
    """What aiohttp's parser makes of bytes that are one request without a body."""

    try:
        messages, upgraded, rest = parser(loop).feed_data(data)
    except HttpProcessingError:
        return None
    if len(messages) != 1 or upgraded or not messages[0][1].is_eof():
        return None
    return Parsed(messages[0][0], rest)


def test_it_is_what_the_parser_says(runner: asyncio.Runner) -> None:
    met: Counter[str] = Counter()
    loop = runner.get_loop()

    @settings(max_examples=400, deadline=None)
    @given(st.data(), heads(), st.sampled_from(("127.0.0.1", "192.0.2.9")), st.booleans())
    def check(data: st.DataObject, head: bytes, peer: str, secure: bool) -> None:
        table = FastPath(
            Store(1000), ["X-Country"], [ip_network("127.0.0.0/8")], lambda address: address[:9]
        )
        first = parsed(head, loop)
        key = None if first is None else table.key_of(first.message, peer, secure=secure)
        if first is None or key is None:
            return
        known = KnownHeads()
        fields = KnownFields(
            key.site, key.key[2], key.cookie, DeviceClass.OTHER, first.message.headers
        )
        known.add(head, first.message, fields, peer, secure)
        other = data.draw(like(head))
        assert known.find(other, "192.0.2.1", secure) is None
        assert known.find(other, peer, not secure) is None
        found = known.find(other, peer, secure)
        if found is None:
            met["not known"] += 1
            return
        path, said = found
        second = parsed(other, loop)
        if second is None or second.message.path != path:
            # There is no response for a path that no parser gives.
            alone = parsed(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode(), loop)
            assert alone is None or alone.message.path != path
            met["no path"] += 1
            return
        assert not second.rest and other.endswith(b"\r\n\r\n")
        again = table.key_of(second.message, peer, secure=secure)
        assert again is not None
        assert (said.site, path, said.selecting) == again.key and said.cookie == again.cookie
        assert said.headers == second.message.headers
        met["known"] += 1

    check()
    assert met["known"] > 60 and met["no path"] > 2 and met["not known"] > 60, met


@pytest.mark.parametrize(
    "line", [b"GET /\xc3\xa9 HTTP/1.1", b"HEAD / HTTP/1.1", b"GET / HTTP/1.0", b"GET /", b""]
)
def test_another_kind_of_line_is_left_to_the_parser(line: bytes, runner: asyncio.Runner) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
    first = parsed(head, runner.get_loop())
    assert first is not None
    known = KnownHeads()
    fields = KnownFields((), (), b"", DeviceClass.OTHER, first.message.headers)
    known.add(head, first.message, fields, "", secure=False)
    assert known.find(head, "", secure=False) is not None
    assert known.find(head.replace(b"GET / HTTP/1.1", line), "", secure=False) is None


# --- what visitors get, and what is logged, whatever comes between ------------------------------

HAPPENINGS = (*["nothing"] * 12, "a second", "a minute", "ten minutes", "purged", "one purged",
              "reload", "reload with other tags", "a new connection")  # fmt: skip
"""What may come between two requests."""


@dataclass(frozen=True)
class Segment:
    """Requests that are sent at once, but for a pause at each cut, after something has happened."""

    heads: tuple[bytes, ...]
    cuts: tuple[int, ...] = ()
    before: str = "nothing"


@dataclass(frozen=True)
class Script:
    """What a visitor sends; `last` is a head that may be malformed, or incomplete."""

    segments: tuple[Segment, ...]
    last: bytes


@st.composite
def scripts(draw: st.DrawFn, everyone: list[tuple[str, ...]]) -> Script:
    fields = draw(st.lists(st.sampled_from(everyone), min_size=1, max_size=2))
    every_path = ("/", "/app.js", "/linked.css", "/patients/one", "/short", "/new")
    paths = draw(st.lists(st.sampled_from(every_path), min_size=1, max_size=2))

    def head() -> bytes:
        method = "HEAD" if draw(st.integers(0, 9)) == 9 else "GET"
        lines = (f"{method} {draw(st.sampled_from(paths))} HTTP/1.1", f"Host: {HOST}")
        return "\r\n".join((*lines, *draw(st.sampled_from(fields)), "", "")).encode("latin-1")

    usual = head()
    segments: list[Segment] = [Segment((usual,))] * 3
    for _ in range(draw(st.integers(2, 8))):
        heads: tuple[bytes, ...] = (usual if draw(st.booleans()) else head(),)
        if draw(st.integers(0, 3)) == 3:
            heads += tuple(head() for _ in range(draw(st.integers(1, 2))))
        cuts: tuple[int, ...] = ()
        if draw(st.integers(0, 3)) == 3:
            cuts = tuple(draw(st.lists(st.integers(1, len(b"".join(heads)) - 1), max_size=2)))
        segments.append(Segment(heads, cuts, draw(st.sampled_from(HAPPENINGS))))
        segments += [Segment((usual,))] * draw(st.integers(0, 3))
    return Script(tuple(segments), draw(like(usual)))


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


@dataclass
class Way:
    """A proxy and what it logs."""

    site: Proxied
    folder: Path
    accesses: list[Access]
    log: Lines
    port_of_origin: int

    def reload(self, *tags: str) -> None:
        running = self.site.running
        text = no_sign_in(config_text(self.port_of_origin, tags))
        config = load_config(text, "c.toml", today=TODAY).config
        self.site.running = build_runtime(config, self.folder, lambda: running.keys, running)

    def purge(self) -> None:
        assert self.site.running.cache is not None
        self.site.running.cache.store.purge_prefix("")

    def let_happen(self, what: str, clock: Clock) -> None:
        clock.now += {"a second": 1, "a minute": 61, "ten minutes": 601}.get(what, 0)
        match what:
            case "purged":
                self.purge()
            case "one purged":
                self.site.running.invalidations.invalidate(f"{HOST}/app.js")
            case "reload":
                self.reload(*TAGS)
            case "reload with other tags":
                self.reload("meta-pixel")


class Lines:
    """What an access log writes."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str, /) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@contextlib.asynccontextmanager
async def way(folder: Path, *, parses_all: bool) -> AsyncIterator[Way]:
    accesses, lines = list[Access](), Lines()
    log = AccessLog(lines)

    def hook(access: Access) -> None:
        accesses.append(access)
        log(access)
        log.flush()

    async with proxied(
        folder, PAGES, change=no_sign_in, access=hook, parses_all=parses_all
    ) as site:
        port = site.running.rules.sites[0].upstream.rpartition(":")[2]
        yield Way(site, folder, accesses, lines, int(port))


async def seen(one: Way, script: Script, clock: Clock) -> tuple[object, ...]:
    """All that the visitor gets, what is logged and counted, and what the origin is asked."""
    one.purge()
    del one.accesses[:], one.site.asked[:]
    one.log.text = ""
    got: list[bytes] = []
    async with contextlib.AsyncExitStack() as stack:
        kept = await stack.enter_async_context(connected(one.site))
        for segment in script.segments:
            if segment.before == "a new connection":
                kept = await stack.enter_async_context(connected(one.site))
            one.let_happen(segment.before, clock)
            await send(kept, b"".join(segment.heads), segment.cuts)
            got += [await response(kept, head[:4].decode().strip()) for head in segment.heads]
        kept.writer.write(script.last)
        try:
            loop = asyncio.get_running_loop()
            messages = RequestParser(lambda: parser(loop), 65536, None).feed_data(script.last)[0]
        except HttpProcessingError:
            async with asyncio.timeout(PATIENCE):
                got.append(without_names(await kept.reader.read()))
        else:
            got += [await response(kept, message.method) for message, _ in messages]
    asked = [(exchange.line, sorted(without_names(exchange.head).split(b"\r\n")))
             for exchange in one.site.asked]  # fmt: skip
    counted = [(*told(access), access.size) for access in one.accesses]
    return got, counted, without_names(_MOMENTARY.sub("", one.log.text).encode()), asked


_MOMENTARY = re.compile(r'"(?:time|ms|upstream|upstream_ms)":[^,}]*')
_NAME = re.compile(rb"\b[0-9a-f]{16}\b|\b127\.0\.0\.1:\d+")


def without_names(data: bytes) -> bytes:
    """Without what each request or origin has of its own."""
    return _NAME.sub(b"a name", data)


async def send(kept: Connection, data: bytes, cuts: tuple[int, ...]) -> None:
    at = 0
    for end in (*sorted(cuts), len(data)):
        if end > at:
            kept.writer.write(data[at:end])
            await asyncio.sleep(0.001)
            at = end


async def response(kept: Connection, method: str) -> bytes:
    """The response to a request of this method."""
    async with asyncio.timeout(PATIENCE):
        found = await kept.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", found)
        has_body = method == "GET" and not found.startswith(b"HTTP/1.1 304")
        body = await kept.reader.readexactly(int(length[1])) if has_body and length else b""
    return without_names(found + body)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[FastPathEntry]:
    """The responses to requests that were known."""
    found: list[FastPathEntry] = []
    find = FastPath.find_known

    def spied(self: FastPath, *args: Any) -> KnownHit | None:
        hit = find(self, *args)
        if hit is not None:
            found.append(hit[0])
        return hit

    monkeypatch.setattr(FastPath, "find_known", spied)
    return found


def test_it_is_answered_and_logged_as_if_it_were_parsed(
    tmp_path: Path,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    known: list[FastPathEntry],
) -> None:
    clock = Clock(NOW)
    monkeypatch.setattr(time, "time", clock)
    stack = contextlib.AsyncExitStack()
    short, full = (
        runner.run(stack.enter_async_context(way(tmp_path, parses_all=parses_all)))
        for parses_all in (False, True)
    )
    everyone = runner.run(visitors(short.site))

    @settings(max_examples=50, deadline=None)
    @given(scripts(everyone))
    def check(script: Script) -> None:
        said = []
        for one in (short, full):
            clock.now = NOW
            said.append(runner.run(seen(one, script, clock)))
        assert said[0] == said[1]

    try:
        check()
    finally:
        runner.run(stack.aclose())
    assert len(known) > 100


# --- what is no request ------------------------------------------------------------------------

HEAD = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
_HOST = f"Host: {HOST}\r\n"
NO_REQUEST = {
    "a body": f"POST /new HTTP/1.1\r\n{_HOST}Content-Length: {len(HEAD)}\r\n\r\n",
    "a chunk": f"POST /new HTTP/1.1\r\n{_HOST}Transfer-Encoding: chunked\r\n\r\n{len(HEAD):x}\r\n",
    "part of a field": f"GET /new HTTP/1.1\r\n{_HOST}Referer: ",
    "behind the last request": f"GET /new HTTP/1.1\r\n{_HOST}Connection: close\r\n\r\n",
    "behind what is malformed": "GET /new HTTP/1.1\r\n\1: x\r\n\r\n",
}
"""What makes of the bytes of a known request something else, where it comes before."""


@pytest.mark.parametrize("name", NO_REQUEST)
async def test_bytes_that_are_no_request_are_not_taken_for_one(
    tmp_path: Path, known: list[FastPathEntry], name: str
) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            await send(kept, HEAD, ())
            await response(kept, "GET")
        assert known
        del known[:]
        begun = NO_REQUEST[name].encode()
        got = b""
        # Where it is closed before all is sent, or in silence.
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            await send(kept, begun + HEAD + b"\r\n0\r\n\r\n", (len(begun), len(begun + HEAD)))
            async with asyncio.timeout(0.3):
                while piece := await kept.reader.read(1 << 16):
                    got += piece
        assert b"Hello" not in got and not known


async def test_another_request_under_way_is_answered_first(
    tmp_path: Path, known: list[FastPathEntry]
) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            await kept.ask("/")
        held = asyncio.Event()

        async def slow(visit: Visit) -> None:
            await held.wait()
            await visit.send(reply(b"slow", "Cache-Control: no-store", html=False))

        site.pages["/slow"] = slow
        kept.send("/slow")
        await asyncio.sleep(0.05)
        del known[:]
        kept.send("/")
        await asyncio.sleep(0.05)
        held.set()
        assert (await kept.read()).body == b"slow"
        assert b"Hello" in (await kept.read()).text
        assert not known


async def test_a_connection_that_drains_says_so(
    tmp_path: Path, known: list[FastPathEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FrontConnection] = []
    begins = FrontConnection.connection_made

    def spied(self: FrontConnection, transport: asyncio.BaseTransport) -> None:
        made.append(self)
        begins(self, transport)

    monkeypatch.setattr(FrontConnection, "connection_made", spied)
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(3):
            assert (await kept.ask("/")).one("Connection") != "close"
        assert known
        made[0].drain(close_idle=False)
        assert (await kept.ask("/")).one("Connection") == "close"


@pytest.mark.parametrize(
    "field", ["X-Request-Id: given", "traceparent: one", "CF-Ray: 8a", "b3: 0"]
)
async def test_what_differs_with_each_request_is_not_remembered(
    tmp_path: Path, known: list[FastPathEntry], field: str
) -> None:
    async with proxied(tmp_path, PAGES) as site, connected(site) as kept:
        for _ in range(4):
            answer = await kept.ask("/", field)
        assert not known
        assert answer.one("X-Request-Id") == "given" or "given" not in field


async def test_each_response_has_a_name_of_its_own(
    tmp_path: Path, known: list[FastPathEntry]
) -> None:
    accesses: list[Access] = []
    async with proxied(tmp_path, PAGES, access=accesses.append) as site, connected(site) as kept:
        names = [(await kept.ask("/")).one("X-Request-Id") for _ in range(6)]
    assert len(known) == 4 and len(set(names)) == 6
    assert [access.id for access in accesses] == names


async def test_a_reload_forgets_what_was_known(tmp_path: Path, known: list[FastPathEntry]) -> None:
    async with way(tmp_path, parses_all=False) as one, connected(one.site) as kept:
        cookie = f"Cookie: {one.site.cookie('analytics')}"
        for _ in range(4):
            assert (await kept.ask("/", cookie)).shows() == {"google-analytics"}
        assert known
        one.reload("meta-pixel")
        for _ in range(4):
            assert (await kept.ask("/", cookie)).shows() == set()
