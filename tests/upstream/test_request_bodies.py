"""Bodies that visitors send."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.upstream import request as upstream_module
from proxy.upstream.request import PAUSE_SECONDS
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

QUICK = Timeouts(connect=0.5, queue=0.3, first_byte=0.4, idle=0.4, body_idle=0.4, write=0.4)


def post(*headers: bytes) -> bytes:
    return get(b"/form", *headers, method=b"POST")


async def test_fixed_length_stays_fixed() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        await exchange(front.port, post(b"Content-Length: 5") + b"a=b&c")
    got = upstream.exchanges[0]
    assert (got.body, got.chunked) == (b"a=b&c", False)
    assert got.values(b"content-length") == [b"5"]
    assert got.values(b"transfer-encoding") == []


async def test_chunks_stay_chunks() -> None:
    body = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        await exchange(front.port, post(b"Transfer-Encoding: chunked") + body)
    got = upstream.exchanges[0]
    assert (got.body, got.chunked) == (b"abcdefg", True)
    assert got.values(b"content-length") == []
    assert got.values(b"transfer-encoding") == [b"chunked"]


EMPTY = [
    (b"POST", [b"Content-Length: 0"], [b"0"]),
    (b"POST", [], [b"0"]),
    (b"PUT", [], [b"0"]),
    (b"DELETE", [], [b"0"]),
    (b"GET", [], []),
    (b"HEAD", [], []),
]


@pytest.mark.parametrize(("method", "headers", "lengths"), EMPTY)
async def test_no_body(method: bytes, headers: list[bytes], lengths: list[bytes]) -> None:
    async with origin(answers(ok(b""))) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(b"/", *headers, method=method))
    assert status_of(response) == 200
    assert upstream.exchanges[0].values(b"transfer-encoding") == []
    if lengths == []:
        assert upstream.exchanges[0].values(b"content-length") == []


async def test_chunked_empty_body() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        await exchange(front.port, post(b"Transfer-Encoding: chunked") + b"0\r\n\r\n")
    assert (upstream.exchanges[0].body, upstream.exchanges[0].chunked) == (b"", True)


async def test_get_with_a_body() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        await exchange(front.port, get(b"/", b"Content-Length: 3") + b"abc")
    assert upstream.exchanges[0].body == b"abc"


async def test_body_is_streamed_not_gathered() -> None:
    seen = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.head()
        assert await visit.reader.readexactly(3) == b"abc"
        seen.set()
        await visit.reader.readexactly(3)
        await visit.send(ok())

    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(post(b"Content-Length: 6") + b"abc")
        async with asyncio.timeout(PATIENCE):
            await seen.wait()
        await visitor.send(b"def")
        assert status_of(await visitor.rest()) == 200


async def test_expectation_is_met_here_and_not_passed_on() -> None:
    async with (
        origin(answers(ok())) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(post(b"Content-Length: 3", b"Expect: 100-continue"))
        assert await visitor.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await visitor.send(b"abc")
        assert status_of(await visitor.rest()) == 200
    assert upstream.exchanges[0].body == b"abc"
    assert upstream.exchanges[0].values(b"expect") == []


async def test_unknown_expectation() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(b"/", b"Expect: a-miracle"))
    assert status_of(response) == 417
    assert upstream.connections == 0


async def test_silent_visitor() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url, timeouts=QUICK) as front:
        response = await exchange(front.port, post(b"Content-Length: 10") + b"abc")
    assert status_of(response) == 408
    assert header_values(response, b"Connection") == [b"close"]
    assert upstream.connections == 0


async def test_trickling_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "SLOW_BODY_GRACE", 0.3)
    async with (
        origin(answers(ok())) as upstream,
        proxy(upstream.url, timeouts=QUICK) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(post(b"Content-Length: 1000"))
        answer = asyncio.ensure_future(visitor.head())
        while not answer.done():
            await visitor.send(b"x")
            await asyncio.sleep(0.05)
        assert status_of(answer.result()) == 408


async def test_slow_but_steady_visitor() -> None:
    async with (
        origin(answers(ok())) as upstream,
        proxy(upstream.url, timeouts=replace(QUICK, body_idle=0.7)) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(post(b"Content-Length: 30"))
        for _ in range(30):
            await visitor.send(b"x")
            await asyncio.sleep(0.05)  # 1.5 seconds in all: longer than every deadline
        assert status_of(await visitor.rest()) == 200


@pytest.mark.parametrize("pause", [0.1, PAUSE_SECONDS + 0.5])
async def test_visitor_who_leaves_within_the_body(pause: float) -> None:
    """Before a connection to the upstream is taken, or after it: then that is ended as well."""
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        async with client(front.port) as visitor:
            await visitor.send(post(b"Content-Length: 10") + b"abc")
            await asyncio.sleep(pause)
        if pause > PAUSE_SECONDS:
            async with asyncio.timeout(PATIENCE):
                await upstream.lost.wait()
        assert upstream.connections == (1 if pause > PAUSE_SECONDS else 0)
    assert upstream.exchanges == []


async def test_malformed_chunk() -> None:
    async with (
        origin(answers(ok())) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(post(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
        await asyncio.sleep(0.1)
        await visitor.send(b"zz\r\n")
        response = await visitor.rest()
    assert status_of(response) == 400
    assert upstream.exchanges == []


async def test_upstream_that_takes_no_body() -> None:
    async def script(visit: Visit) -> None:
        await visit.head()
        await asyncio.sleep(3)

    async with origin(script) as upstream, proxy(upstream.url, timeouts=QUICK) as front:
        size = 50_000_000
        async with client(front.port) as visitor:
            await visitor.send(post(b"Content-Length: %d" % size))
            sending = asyncio.ensure_future(visitor.send(b"x" * size))
            response = await visitor.head()
            sending.cancel()
    assert status_of(response) == 504
    assert "read none" in front.logged[-1]


async def test_answer_before_the_end_of_the_body() -> None:
    async def script(visit: Visit) -> None:
        await visit.head()
        await visit.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await visit.reader.read()

    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(post(b"Content-Length: 1000") + b"abc")
        response = await visitor.rest()
    assert status_of(response) == 403
    assert body_of(response) == b"no"


@pytest.mark.parametrize(("method", "times"), [(b"POST", 1), (b"PATCH", 1), (b"PUT", 2)])
async def test_only_an_idempotent_body_is_sent_twice(method: bytes, times: int) -> None:
    """The upstream closes a kept connection after it has read the request (RFC 9110, 9.2.2)."""

    async def script(visit: Visit) -> None:
        await visit.request()
        if visit.number == 1:
            await visit.send(ok(b""))
            await visit.request()

    async with origin(script) as upstream, proxy(upstream.url) as front:
        await exchange(front.port, get())
        response = await exchange(
            front.port, get(b"/", b"Content-Length: 3", method=method) + b"abc"
        )
    assert status_of(response) == 502
    assert len([x for x in upstream.exchanges if x.body == b"abc"]) == times
