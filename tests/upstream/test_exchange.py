"""One request and its response on a connection of the pool: which connections are used again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from proxy.upstream.exchange import UpstreamRequest, UpstreamResponse, exchange
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.server import Server, server_at
from proxy.upstream.slots import UpstreamLimits
from proxy.upstream.timeouts import Timeouts
from tests.support import forwarding
from tests.support.certificates import self_signed
from tests.support.forwarding import Script, Visit, get, ok, origin, proxy
from tests.support.waiting import PATIENCE

TIMEOUTS = Timeouts(connect=PATIENCE, queue=PATIENCE)


def asks(url: URL, method: str = "GET", target: str = "/", **headers: str) -> UpstreamRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpstreamRequest(
        method, server_at(str(url)), target, CIMultiDict({"Host": "a.example", **named})
    )


async def whole(response: UpstreamResponse) -> bytes:
    try:
        async with asyncio.timeout(PATIENCE):
            return await response.content.read()
    finally:
        response.release()


async def echo(visit: Visit) -> None:
    while True:
        request = await visit.request()
        await visit.send(ok(request.line + b"|" + request.body))


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def endless() -> AsyncIterator[bytes]:
    yield b"first"
    await asyncio.Event().wait()


async def test_one_connection_for_requests_in_a_row() -> None:
    async with origin(echo) as upstream, UpstreamPool() as pool:
        for number in range(4):
            request = asks(upstream.url, target=f"/{number}")
            assert await whole(await exchange(pool, request, TIMEOUTS)) == (
                b"GET /%d HTTP/1.1|" % number
            )
            assert request.reused == (number > 0)
        sent = asks(upstream.url, "POST", "/c")
        sent.body = pieces(b"one", b"two")
        assert await whole(await exchange(pool, sent, TIMEOUTS)) == b"POST /c HTTP/1.1|onetwo"
        sent = asks(upstream.url, "POST", "/l", Content_Length="6")
        sent.body = pieces(b"one", b"two")
        assert await whole(await exchange(pool, sent, TIMEOUTS)) == b"POST /l HTTP/1.1|onetwo"
        assert [x.chunked for x in upstream.exchanges] == [False] * 4 + [True, False]
        assert upstream.connections == 1


async def test_each_upstream_has_its_own_connections() -> None:
    async with origin(echo) as one, origin(echo) as other, UpstreamPool() as pool:
        for target in ("/1", "/2"):
            for upstream in (one, other):
                await whole(await exchange(pool, asks(upstream.url, target=target), TIMEOUTS))
        for upstream in (one, other):
            assert [x.line for x in upstream.exchanges] == [
                b"GET /1 HTTP/1.1",
                b"GET /2 HTTP/1.1",
            ]
            assert upstream.connections == 1


async def unread(visit: Visit) -> None:
    await visit.request()
    await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
    await visit.reader.read()


async def early(visit: Visit) -> None:
    """Answers before it has the whole body."""
    if visit.number == 1:
        await visit.head()
        await visit.send(ok(b"no"))
    await echo(visit)


async def silent(visit: Visit) -> None:
    await visit.request()
    if visit.number == 1:
        await visit.reader.read()
    await visit.send(ok(b"late"))


async def left_unread(pool: UpstreamPool, url: URL) -> None:
    response = await exchange(pool, asks(url), TIMEOUTS)
    response.release()
    response.release()


async def answered_early(pool: UpstreamPool, url: URL) -> None:
    sent = asks(url, "POST")
    sent.body = endless()
    assert await whole(await exchange(pool, sent, TIMEOUTS)) == b"no"


async def cancelled(pool: UpstreamPool, url: URL) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await exchange(pool, asks(url), TIMEOUTS)


@pytest.mark.parametrize(
    ("script", "first"),
    [(unread, left_unread), (early, answered_early), (silent, cancelled)],
    ids=["left unread", "answered early", "cancelled"],
)
async def test_what_is_not_over_is_closed_and_makes_room(script: Script, first: object) -> None:
    async with (
        origin(script) as upstream,
        UpstreamPool(limits=lambda: UpstreamLimits(connections=1)) as pool,
    ):
        assert callable(first)
        await first(pool, upstream.url)
        async with asyncio.timeout(PATIENCE):
            response = await exchange(pool, asks(upstream.url, target="/next"), TIMEOUTS)
        assert response.status == 200
        response.release()
        assert upstream.connections == 2
        assert upstream.exchanges[-1].line == b"GET /next HTTP/1.1"


@pytest.mark.parametrize("value", ["a\rb", "a\nb: c", "a\x00b"])
async def test_nothing_is_written_of_a_head_with_controls(value: str) -> None:
    async with origin(echo) as upstream, UpstreamPool() as pool:
        for request in (asks(upstream.url, X_A=value), asks(upstream.url, target=f"/{value}")):
            with pytest.raises(ValueError, match="control character"):
                await exchange(pool, request, TIMEOUTS)
        assert await whole(await exchange(pool, asks(upstream.url), TIMEOUTS))
        assert len(upstream.exchanges) == 1


async def test_tls() -> None:
    certificate, key = self_signed("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with certificate, key:
        context.load_cert_chain(certificate.name, key.name)
    connections = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(3):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(ok(head.split(b"\r\n")[0]))
        await reader.read()
        writer.close()

    async with (
        await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server,
        UpstreamPool(verify_tls=False) as pool,
    ):
        url = URL(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for target in ("/1", "/2", "/3"):
            response = await exchange(pool, asks(url, target=target), TIMEOUTS)
            assert await whole(response) == b"GET %b HTTP/1.1" % target.encode()
    assert connections == 1


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT"])
async def test_host_is_the_first_field(method: bytes) -> None:
    async with origin(echo) as upstream, proxy(upstream.url) as front:
        lines = [method + b" / HTTP/1.1", b"X-A: 1", b"Host: www.example.com", b"Connection: close"]
        await forwarding.exchange(front.port, b"\r\n".join(lines) + b"\r\n\r\n")
        await forwarding.exchange(front.port, get(method=method))
    for sent in upstream.exchanges:
        assert sent.headers[0] == (b"host", b"www.example.com")
        assert len(sent.values(b"host")) == 1
        assert sent.values(b"content-length") == ([] if method == b"GET" else [b"0"])


async def _fill(listener: socket.socket) -> list[socket.socket]:
    """Connections that nobody accepts, until the kernel drops the SYN of another one."""
    waiting: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    while True:
        sock = socket.socket()
        sock.setblocking(False)
        waiting.append(sock)
        try:
            async with asyncio.timeout(0.3):
                await loop.sock_connect(sock, listener.getsockname())
        except TimeoutError:
            return waiting


@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_full_backlog_is_knocked_at_twice(is_alone: bool) -> None:
    """A new SYN, where the kernel would wait for seconds; another server would be asked first."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1000):
            writer.write(ok())
        writer.close()

    class Pool(UpstreamPool):
        knocks = 0

        async def connect(self, server: Server, timeouts: Timeouts) -> Connection:
            self.knocks += 1
            if self.knocks == 2:
                for sock in waiting:
                    sock.close()
                await stack.enter_async_context(await asyncio.start_server(serve, sock=listener))
                timeouts = TIMEOUTS
            return await super().connect(server, timeouts)

    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        waiting = await _fill(listener)
        request = asks(URL(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        request.is_alone = is_alone
        pool = Pool()
        await stack.enter_async_context(pool)
        answer = exchange(pool, request, Timeouts(connect=0.3, first_byte=PATIENCE))
        if is_alone:
            assert await whole(await answer) == b"hello"
        else:
            with pytest.raises(aiohttp.ConnectionTimeoutError):
                await answer
        assert pool.knocks == 1 + is_alone


async def test_a_process_that_got_no_time_asks_again() -> None:
    """The upstream took the connection at once, but the loop saw the clock first."""
    async with origin(echo) as upstream, UpstreamPool() as pool:
        timeouts = Timeouts(connect=0.3, first_byte=PATIENCE)
        answer = asyncio.create_task(exchange(pool, asks(upstream.url), timeouts))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(time.sleep, 0.6)
        assert b"GET /" in await whole(await answer)
