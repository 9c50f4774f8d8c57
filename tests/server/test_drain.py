"""The end of a worker: streams are ended first, requests in flight are answered, within a time."""

from __future__ import annotations

import asyncio

import pytest

from proxy.server.serve import Limits
from tests.support.forwarding import (
    TEXT,
    Visit,
    client,
    get,
    ok,
    origin,
    proxy,
    status_of,
    unchunk,
)
from tests.support.handshake import HANDSHAKE
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

LONG = Limits(grace=PATIENCE * 4)


async def test_an_event_stream_ends_at_once_and_in_order() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await visit.reader.read()

    async with origin(script) as upstream, proxy(upstream.url, limits=LONG) as front:
        async with client(front.port) as visitor:
            await visitor.send(get(b"/").replace(b"Connection: close\r\n", b""))
            assert status_of(await visitor.head()) == 200
            front.stop.set()
            assert unchunk(await visitor.rest()) == b"data: 1\n\n"
        async with asyncio.timeout(PATIENCE):
            await front.done
    assert front.logged == []


async def test_a_websocket_ends_at_once() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        await visit.reader.read()
        visit.origin.lost.set()

    async with origin(script) as upstream, proxy(upstream.url, limits=LONG) as front:
        async with client(front.port) as visitor:
            lines = ["GET / HTTP/1.1", "Host: www.example.com", *HANDSHAKE, "", ""]
            await visitor.send("\r\n".join(lines).encode())
            assert status_of(await visitor.head()) == 101
            front.stop.set()
            assert await visitor.rest() == b""
        async with asyncio.timeout(PATIENCE):
            await upstream.lost.wait()
            await front.done


async def test_requests_in_flight_are_answered() -> None:
    release = asyncio.Event()

    async def script(visit: Visit) -> None:
        path = (await visit.request()).line
        if b"/body" in path:
            await visit.send(TEXT + b"Content-Length: 10\r\n\r\nhello")
        await release.wait()
        await visit.send(b"world" if b"/body" in path else ok())

    async with (
        origin(script) as upstream,
        proxy(upstream.url, limits=LONG) as front,
        client(front.port) as waits,
        client(front.port) as reads,
        client(front.port) as idle,
    ):
        await waits.send(get(b"/head"))
        await reads.send(get(b"/body"))
        await reads.head()
        front.stop.set()
        assert await idle.rest() == b""
        assert not front.done.done()
        release.set()
        assert status_of(await waits.rest()) == 200
        assert await reads.rest() == b"helloworld"
        async with asyncio.timeout(PATIENCE):
            await front.done
