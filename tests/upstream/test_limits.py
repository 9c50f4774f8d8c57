"""What an upstream's connections are for: nobody shuts out others, no wait is without a bound."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from yarl import URL

from proxy.upstream import slots as slots_module
from tests.support.forwarding import (
    TEXT,
    Origin,
    Proxy,
    Visit,
    body_of,
    client,
    exchange,
    forwarding_runtime,
    get,
    header_values,
    ok,
    origin,
    proxy,
    status_of,
)
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"


@contextlib.asynccontextmanager
async def limited(**keys: float) -> AsyncIterator[tuple[Origin, Proxy, asyncio.Event]]:
    """An origin that answers /events with an event stream, /held once the event is set, /slow with
    a body of which the rest comes then, others at once; a proxy with these keys.
    """
    release = asyncio.Event()

    async def answered(visit: Visit) -> None:
        while True:
            path = (await visit.request()).line.split(b" ")[1]
            if path == b"/events":
                await visit.send(EVENTS)
                await release.wait()
                return
            if path == b"/slow":
                await visit.send(TEXT + b"Content-Length: 10\r\n\r\nhello")
                await release.wait()
                await visit.send(b"world")
                continue
            if path == b"/held":
                await release.wait()
            await visit.send(ok(path, b"Content-Type: text/plain"))

    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    async with origin(answered) as upstream:
        runtime = forwarding_runtime(upstream.url, None, proxy=lines)
        async with proxy(upstream.url, current=lambda: runtime) as front:
            yield upstream, front, release
            release.set()


async def waiting(front: Proxy, count: int) -> None:
    """Until so many requests wait for a connection."""
    async with asyncio.timeout(PATIENCE):
        while sum(len(one.waiting) for one in front.pool.slots._upstreams.values()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_event_streams_have_places_of_their_own() -> None:
    async with (
        contextlib.AsyncExitStack() as open_ones,
        limited(upstream_connections=2, upstream_streams=5) as (_, front, _release),
    ):
        for _ in range(5):
            visitor = await open_ones.enter_async_context(client(front.port))
            await visitor.send(get(b"/events"))
            assert status_of(await visitor.head()) == 200
        for _ in range(3):
            assert body_of(await exchange(front.port, get(b"/page"), PATIENCE)) == b"/page"
        more = await exchange(front.port, get(b"/events"), PATIENCE)
        assert status_of(more) == 503
        assert header_values(more, b"retry-after") == [b"5"]
        assert "upstream_streams" in front.logged[-1]


async def test_a_stream_that_ends_makes_room() -> None:
    async with limited(upstream_connections=1, upstream_streams=1) as (_, front, _release):
        for _ in range(3):
            async with client(front.port) as visitor:
                await visitor.send(get(b"/events"))
                head = await visitor.head()
            assert status_of(head) == 200
            async with asyncio.timeout(PATIENCE):
                while any(one.streams for one in front.pool.slots._upstreams.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_slow_bodies_of_requests_hold_no_connection() -> None:
    async with (
        contextlib.AsyncExitStack() as open_ones,
        limited(upstream_connections=1) as (upstream, front, _release),
    ):
        visitors = []
        for _ in range(4):
            visitor = await open_ones.enter_async_context(client(front.port))
            await visitor.send(get(b"/form", b"Content-Length: 8", method=b"POST") + b"a")
            visitors.append(visitor)
        for byte in b"bcdefgh":
            response = await exchange(front.port, get(b"/page"), PATIENCE)
            assert status_of(response) == 200
            assert all(one.line.startswith(b"GET") for one in upstream.exchanges)
            for visitor in visitors:
                await visitor.send(bytes([byte]))
            await asyncio.sleep(0.02)
        for visitor in visitors:
            assert status_of(await visitor.rest()) == 200
        assert [one.body for one in upstream.exchanges[-4:]] == [b"abcdefgh"] * 4


async def test_uploads_that_pause_have_places_of_their_own() -> None:
    """What was read of one is sent on after a pause; then it holds a connection, as a stream."""
    async with (
        contextlib.AsyncExitStack() as open_ones,
        limited(upstream_connections=1) as (upstream, front, _release),
    ):
        visitors = []
        for _ in range(3):
            visitor = await open_ones.enter_async_context(client(front.port))
            await visitor.send(get(b"/form", b"Content-Length: 8", method=b"POST") + b"abcd")
            visitors.append(visitor)
        async with asyncio.timeout(PATIENCE):
            while upstream.connections < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        assert status_of(await exchange(front.port, get(b"/page"), PATIENCE)) == 200
        assert asyncio.get_running_loop().time() - began < slots_module.LONG_SECONDS
        for visitor in visitors:
            await visitor.send(b"efgh")
            assert status_of(await visitor.rest()) == 200
        assert not any(one.streams for one in front.pool.slots._upstreams.values())


async def test_queue_has_a_bound_and_a_time() -> None:
    async with limited(upstream_connections=1, upstream_queue=1, upstream_queue_timeout=0.4) as (
        _,
        front,
        release,
    ):
        first = asyncio.ensure_future(exchange(front.port, get(b"/held"), PATIENCE))
        async with asyncio.timeout(PATIENCE):
            while not front.pool.slots._upstreams:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        second = asyncio.ensure_future(exchange(front.port, get(b"/page"), PATIENCE))
        await waiting(front, 1)
        third = await exchange(front.port, get(b"/page"), PATIENCE)
        assert status_of(third) == 503
        assert not second.done()
        assert status_of(await second) == 503
        assert header_values(await second, b"retry-after") == [b"5"]
        release.set()
        assert status_of(await first) == 200
    assert all("upstream_connections" in line for line in front.logged)


async def test_those_who_wait_are_served_and_those_who_left_are_not() -> None:
    async with limited(upstream_connections=1) as (upstream, front, release):
        held = asyncio.ensure_future(exchange(front.port, get(b"/held"), PATIENCE))
        async with asyncio.timeout(PATIENCE):
            while not upstream.exchanges:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with client(front.port) as leaves:
            await leaves.send(get(b"/left"))
            await waiting(front, 1)
            stays = asyncio.ensure_future(exchange(front.port, get(b"/stays"), PATIENCE))
            await waiting(front, 2)
        release.set()
        assert body_of(await stays) == b"/stays"
        assert status_of(await held) == 200
        assert body_of(await exchange(front.port, get(b"/next"), PATIENCE)) == b"/next"
        assert b"/left" not in b"".join(one.line for one in upstream.exchanges)


@pytest.mark.parametrize("path", [b"/slow", b"upload"])
async def test_long_exchanges_make_room(path: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "LONG_SECONDS", 0.2)
    keys = {"upstream_connections": 1, "request_buffer_bytes": 0}
    async with limited(**keys) as (upstream, front, release), client(front.port) as visitor:
        if path == b"upload":
            request = get(b"/form", b"Content-Length: 10", method=b"POST") + b"hello"
        else:
            request = get(path)
        await visitor.send(request)
        async with asyncio.timeout(PATIENCE):
            while not upstream.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        page = await exchange(front.port, get(b"/page"), PATIENCE)
        assert body_of(page) == b"/page"
        release.set()
        if path == b"upload":
            await visitor.send(b"world")
        assert status_of(await visitor.rest()) == 200


TOO_LARGE = [
    (b"Content-Length: 2001", b""),
    (b"Transfer-Encoding: chunked", b"7d1\r\n" + b"x" * 2001 + b"\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"64\r\n" + b"x" * 100 + b"\r\n" + b"bb8\r\n" + b"x" * 3000),
]


@pytest.mark.parametrize("buffer", [0, 100, 100_000])
@pytest.mark.parametrize(("framing", "body"), TOO_LARGE)
async def test_body_larger_than_the_limit(framing: bytes, body: bytes, buffer: int) -> None:
    keys = {"max_request_bytes": 2000, "request_buffer_bytes": buffer}
    async with limited(**keys) as (upstream, front, _release):
        response = await exchange(front.port, get(b"/", framing, method=b"POST") + body, PATIENCE)
        assert status_of(response) == 413
        assert upstream.exchanges == []
        fits = get(b"/", b"Content-Length: 2000", method=b"POST") + b"x" * 2000
        assert status_of(await exchange(front.port, fits, PATIENCE)) == 200


@pytest.mark.parametrize("buffer", [0, 1, 65_536, 300_000, 10_000_000])
async def test_bodies_arrive_as_they_were_sent(buffer: int) -> None:
    body = bytes(range(256)) * 4096  # a mebibyte
    async with limited(request_buffer_bytes=buffer) as (upstream, front, _release):
        head = get(b"/", b"Content-Length: %d" % len(body), method=b"POST")
        assert status_of(await exchange(front.port, head + body, PATIENCE)) == 200
        chunks = b"".join(
            b"10000\r\n" + body[at : at + 65536] + b"\r\n" for at in range(0, 1 << 20, 65536)
        )
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        assert status_of(await exchange(front.port, head + chunks + b"0\r\n\r\n", PATIENCE)) == 200
        assert [one.body for one in upstream.exchanges] == [body, body]
        assert front.pool.disk.used == 0


async def test_buffers_of_visitors_who_leave_are_given_back() -> None:
    async with limited() as (upstream, front, _release):
        async with client(front.port) as visitor:
            await visitor.send(get(b"/", b"Content-Length: 900000", method=b"POST"))
            await visitor.send(b"x" * 800_000)
            async with asyncio.timeout(PATIENCE):
                while front.pool.disk.used < 500_000:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENCE):
            while front.pool.disk.used:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert upstream.exchanges == []


@pytest.mark.parametrize(
    "keys", [{"upstream_timeout": 0.3}, {"upstream_total_timeout": 0.3}], ids=["idle", "total"]
)
async def test_time_limits_cover_the_body(keys: dict[str, float]) -> None:
    async with limited(**keys) as (_, front, _release):
        with pytest.raises(ConnectionResetError):
            await exchange(front.port, get(b"/slow"), PATIENCE)
        assert "aborted after 5 bytes" in front.logged[-1]


async def test_an_upstream_that_accepts_no_connection() -> None:
    """With a full backlog the kernel leaves a SYN without an answer."""
    with socket.socket() as listening, contextlib.ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(listening.getsockname())
        url = URL(f"http://127.0.0.1:{listening.getsockname()[1]}")
        runtime = forwarding_runtime(url, None, proxy="upstream_connect_timeout = 0.2\n")
        async with proxy(url, current=lambda: runtime) as front:
            begun = asyncio.get_running_loop().time()
            assert status_of(await exchange(front.port, get(b"/"), PATIENCE)) == 504
            assert asyncio.get_running_loop().time() - begun < 4  # the default is 5 s, tried twice


async def test_time_limits_spare_event_streams() -> None:
    keys = {"upstream_timeout": 0.3, "upstream_total_timeout": 0.3}
    async with limited(**keys) as (_, front, release):
        events = asyncio.ensure_future(exchange(front.port, get(b"/events"), PATIENCE))
        await asyncio.sleep(0.7)
        assert not events.done()
        release.set()
        assert status_of(await events) == 200


async def test_one_client_takes_no_more_than_its_share() -> None:
    async with limited(client_requests=2) as (upstream, front, release):
        held = [
            asyncio.ensure_future(exchange(front.port, get(b"/held"), PATIENCE)) for _ in range(2)
        ]
        async with asyncio.timeout(PATIENCE):
            while len(upstream.exchanges) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        more = await exchange(front.port, get(b"/page"), PATIENCE)
        assert status_of(more) == 429
        assert header_values(more, b"retry-after") == [b"5"]
        release.set()
        assert [status_of(one) for one in await asyncio.gather(*held)] == [200, 200]
        assert status_of(await exchange(front.port, get(b"/page"), PATIENCE)) == 200
