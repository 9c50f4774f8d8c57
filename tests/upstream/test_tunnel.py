"""WebSockets through the proxy: real frames, and raw bytes where frames would hide the fault."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from pytest_aiohttp import AiohttpRawServer
from yarl import URL

from proxy.server.serve import Limits
from proxy.upstream.timeouts import Timeouts
from tests.support.forwarding import (
    Visit,
    answers,
    body_of,
    client,
    exchange,
    get,
    header_values,
    ok,
    origin,
    proxy,
    status_of,
)
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

UPGRADE = (
    b"GET /chat?x=%2F HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nOrigin: https://www.example.com\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef") + b"\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: x\r\n\r\n"
)


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    socket = web.WebSocketResponse(protocols=("chat",), max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            if message.data == "close":
                await socket.close(code=4001, message=b"bye")
            else:
                await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


@pytest.fixture
async def echo_site(aiohttp_raw_server: AiohttpRawServer) -> URL:
    server = await aiohttp_raw_server(echo, shutdown_timeout=0.1)
    return server.make_url("/").origin()


@pytest.mark.parametrize("compress", [0, 15])
async def test_echo(compress: int, echo_site: URL) -> None:
    async with (
        proxy(echo_site) as front,
        aiohttp.ClientSession() as session,
        session.ws_connect(
            front.url, compress=compress, protocols=("chat",), max_msg_size=0
        ) as socket,
    ):
        assert socket.protocol == "chat"
        assert bool(socket.compress) == bool(compress)
        await socket.send_str("hällo " * 100)
        assert await socket.receive_str(timeout=2) == "hällo " * 100
        for size in (0, 1, 125, 126, 65535, 65536):
            data = os.urandom(size)
            await socket.send_bytes(data)
            assert await socket.receive_bytes(timeout=2) == data


async def test_message_larger_than_any_buffer(echo_site: URL) -> None:
    data = os.urandom(20_000_000)
    async with (
        proxy(echo_site) as front,
        aiohttp.ClientSession() as session,
        session.ws_connect(front.url, max_msg_size=0) as socket,
    ):
        await socket.send_bytes(data)
        assert await socket.receive_bytes(timeout=20) == data


async def test_close_code_comes_through(echo_site: URL) -> None:
    async with (
        proxy(echo_site) as front,
        aiohttp.ClientSession() as session,
        session.ws_connect(front.url) as socket,
    ):
        await socket.send_str("close")
        message = await socket.receive(timeout=2)
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4001, "bye")


async def test_pings_are_answered_by_the_far_end(echo_site: URL) -> None:
    async with (
        proxy(echo_site) as front,
        aiohttp.ClientSession() as session,
        session.ws_connect(front.url, autoping=False) as socket,
    ):
        await socket.ping(b"are you there")
        message = await socket.receive(timeout=2)
        assert (message.type, message.data) == (WSMsgType.PONG, b"are you there")


async def raw_echo(visit: Visit) -> None:
    await visit.request()
    await visit.send(SWITCH + b"welcome")
    while data := await visit.reader.read(65536):
        await visit.send(data)
    await visit.send(b"after your end")


async def test_request_and_answer_heads() -> None:
    async with (
        origin(raw_echo) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(UPGRADE + b"sent ahead")
        head = await visitor.head()
        assert await visitor.reader.readexactly(17) == b"welcomesent ahead"
    got = upstream.exchanges[0]
    assert got.line == b"GET /chat?x=%2F HTTP/1.1"
    assert got.values(b"connection") == [b"Upgrade"]
    assert got.values(b"upgrade") == [b"websocket"]
    assert got.values(b"origin") == [b"https://www.example.com"]
    assert got.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert status_of(head) == 101
    assert header_values(head, b"Connection") == [b"Upgrade"]
    assert header_values(head, b"Sec-WebSocket-Accept") == [b"x"]
    assert header_values(head, b"Transfer-Encoding") == []
    assert header_values(head, b"Content-Type") == []


async def test_visitors_half_close_leaves_the_other_direction_open() -> None:
    async with (
        origin(raw_echo) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(UPGRADE)
        await visitor.head()
        await visitor.send(b"last words")
        visitor.writer.write_eof()
        assert await visitor.rest() == b"welcomelast wordsafter your end"


async def test_upstreams_close_ends_the_tunnel_after_its_last_bytes() -> None:
    last = os.urandom(3_000_000)

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(SWITCH + last)

    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(UPGRADE)
        await visitor.head()
        await asyncio.sleep(0.2)
        assert await visitor.rest() == last


async def test_visitor_who_vanishes_ends_the_tunnel() -> None:
    gone = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(SWITCH)
        with contextlib.suppress(ConnectionError):
            await visit.reader.read()
        gone.set()

    async with origin(script) as upstream, proxy(upstream.url) as front:
        async with client(front.port) as visitor:
            await visitor.send(UPGRADE)
            await visitor.head()
            visitor.writer.transport.abort()
        async with asyncio.timeout(PATIENCE):
            await gone.wait()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (ok(b"no sockets here"), 200, b"no sockets here"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, b"no"),
        (b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", 426, b""),
    ],
)
async def test_declined_upgrade_is_a_plain_answer(answer: bytes, status: int, body: bytes) -> None:
    async def script(visit: Visit) -> None:
        exchange = await visit.request()
        await visit.send(ok(b"second") if b"/next" in exchange.line else answer)

    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(UPGRADE + get(b"/next"))
        head = await visitor.head()
        assert status_of(head) == status
        assert await visitor.reader.readexactly(len(body)) == body
        assert body_of(await visitor.rest()) == b"second"


async def test_101_without_its_fields() -> None:
    script = answers(b"HTTP/1.1 101 Switching Protocols\r\n\r\nbytes", keep=True)
    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(UPGRADE)
        assert status_of(await visitor.head()) == 502


async def test_upstream_failures_are_error_pages() -> None:
    timeouts = Timeouts(connect=0.3, first_byte=0.3)

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reader.read()

    async with (
        origin(script) as upstream,
        proxy(upstream.url, timeouts=timeouts) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(UPGRADE)
        assert status_of(await visitor.head()) == 504


async def test_upgrade_with_a_body_is_an_ordinary_request() -> None:
    request = UPGRADE.replace(b"Upgrade: web", b"Content-Length: 40\r\nUpgrade: web")
    smuggled = b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"
    assert len(smuggled) == 40
    async with (
        origin(answers(ok())) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(request + smuggled)
        assert status_of(await visitor.head()) == 200
    assert len(upstream.exchanges) == 1
    assert upstream.exchanges[0].values(b"upgrade") == []
    assert upstream.exchanges[0].body == smuggled


async def test_other_upgrades_are_not_passed_on() -> None:
    request = get(b"/", b"Upgrade: h2c").replace(b"Connection: close", b"Connection: Upgrade,close")
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        assert status_of(await exchange(front.port, request)) == 200
    assert upstream.exchanges[0].values(b"upgrade") == []
    assert upstream.exchanges[0].values(b"connection") == []


async def test_slow_reader_slows_the_sender_and_loses_nothing() -> None:
    """Neither direction may gather without bound what the other end does not take."""
    sent = 0

    async def script(visit: Visit) -> None:
        nonlocal sent
        await visit.request()
        await visit.send(SWITCH)
        with contextlib.suppress(ConnectionError):
            while sent < 200_000_000:
                await visit.send(b"x" * 65536)
                sent += 65536

    async with (
        origin(script) as upstream,
        proxy(upstream.url, limits=Limits(grace=0.2)) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(UPGRADE)
        await visitor.head()
        await asyncio.sleep(1)
        stuck_at = sent
        await asyncio.sleep(0.3)
        assert sent == stuck_at < 50_000_000
        received = 0
        while received < 100_000_000:
            received += len(await visitor.reader.read(1 << 20))
        assert sent > stuck_at


def upgrading(
    *headers: bytes,
    method: bytes = b"GET",
    version: bytes = b"1.1",
    connection: bytes = b"keep-alive, Upgrade",
    upgrade: bytes = b"websocket",
) -> bytes:
    lines = [b"%b /chat HTTP/%b" % (method, version), b"Host: www.example.com", *headers]
    if connection:
        lines.append(b"Connection: " + connection)
    if upgrade:
        lines.append(b"Upgrade: " + upgrade)
    return b"\r\n".join(lines) + b"\r\n\r\n"


ORDINARY = {
    "POST": upgrading(b"Content-Length: 0", method=b"POST"),
    "HEAD": upgrading(method=b"HEAD"),
    "a body": upgrading(b"Content-Length: 3") + b"abc",
    "a chunked body": upgrading(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "HTTP/1.0": upgrading(version=b"1.0"),
    "no Connection": upgrading(connection=b""),
    "Connection without upgrade": upgrading(connection=b"keep-alive, x-upgrade"),
    "another protocol in Connection": upgrading(connection=b"websocket"),
    "a longer name": upgrading(upgrade=b"xwebsocketx"),
    "a name before": upgrading(upgrade=b"foo-websocket/1"),
    # RFC 9110, 7.8: name "/" version. RFC 6455 knows no version of "websocket".
    "a version": upgrading(upgrade=b"websocket/13"),
    "within quotes": upgrading(upgrade=b'"websocket"'),
    "none": upgrading(upgrade=b""),
}
HANDSHAKES = {
    "in capitals": upgrading(connection=b"UPGRADE", upgrade=b"WebSocket"),
    "one of a list": upgrading(upgrade=b"h2c, websocket"),
    "on two lines": upgrading(b"Upgrade: h2c", b"Connection: close"),
    "a length of nothing": upgrading(b"Content-Length: 0"),
}


@pytest.mark.parametrize("case", ORDINARY)
async def test_what_is_not_tunnelled_is_an_ordinary_request(case: str) -> None:
    """One server that takes it for a tunnel, and one that does not, read the rest differently."""
    async with (
        origin(answers(ok(b""), keep=True)) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(ORDINARY[case])
        assert status_of(await visitor.head()) == 200
    sent = upstream.exchanges[0]
    assert sent.values(b"upgrade") == []
    assert b"upgrade" not in b",".join(sent.values(b"connection")).lower()


@pytest.mark.parametrize("case", ORDINARY)
async def test_an_origin_that_switches_all_the_same_is_refused(case: str) -> None:
    async with (
        origin(answers(SWITCH, keep=True)) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(ORDINARY[case])
        assert status_of(await visitor.head()) == 502
    assert upstream.connections == 1


@pytest.mark.parametrize("case", HANDSHAKES)
async def test_what_is_tunnelled(case: str) -> None:
    async with (
        origin(raw_echo) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(HANDSHAKES[case])
        assert status_of(await visitor.head()) == 101
        await visitor.send(b"frame")
        assert await visitor.reader.readexactly(12) == b"welcomeframe"
    assert upstream.exchanges[0].values(b"upgrade") == [b"websocket"]
    assert upstream.exchanges[0].values(b"connection") == [b"Upgrade"]
