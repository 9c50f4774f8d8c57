"""Bodies that are to be rewritten are read as a whole where that is possible, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from multidict import CIMultiDict
from yarl import URL

from proxy.upstream.body import LiveBody, read_body
from proxy.upstream.exchange import UpstreamRequest, UpstreamResponse, exchange
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.server import server_at
from proxy.upstream.timeouts import DEFAULT_TIMEOUTS
from tests.support.forwarding import Script, Visit, answers, ok, origin
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

LIMIT = 1000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def in_pieces(*pieces: bytes, pause: float) -> Script:
    async def script(visit: Visit) -> None:
        await visit.request()
        for piece in pieces:
            await visit.send(piece)
            await asyncio.sleep(pause)

    return script


@contextlib.asynccontextmanager
async def received(pool: UpstreamPool, origin: URL) -> AsyncIterator[UpstreamResponse]:
    request = UpstreamRequest(
        "GET", server_at(str(origin)), "/", CIMultiDict({"Host": "www.example.com"})
    )
    response = await exchange(pool, request, DEFAULT_TIMEOUTS)
    try:
        yield response
    finally:
        response.release()


BIG = b"x" * 5000
BIG_CHUNKED = CHUNKED + b"1388\r\n" + BIG + b"\r\n0\r\n\r\n"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"

CASES = [
    ("whole", answers(ok(b"page")), "whole", b"page"),
    ("empty", answers(ok(b"")), "whole", b""),
    ("chunked", answers(CHUNKED + b"4\r\npage\r\n0\r\n\r\n"), "whole", b"page"),
    ("in pieces", in_pieces(HALF, b"later", pause=0.05), "whole", b"firstlater"),
    ("until the end", answers(b"HTTP/1.0 200 OK\r\n\r\npage"), "whole", b"page"),
    ("too large by its length", answers(ok(BIG)), "too_large", BIG),
    ("too large in chunks", answers(BIG_CHUNKED), "too_large", BIG),
    ("too large until the end", answers(b"HTTP/1.0 200 OK\r\n\r\n" + BIG), "too_large", BIG),
    ("stalls, then goes on", in_pieces(HALF, b"later", pause=0.4), "stalled", b"firstlater"),
    (
        "comes, but too slowly",
        in_pieces(ok(b"")[:-21] + b"Content-Length: 8\r\n\r\n", *[b"x"] * 8, pause=0.12),
        "stalled",
        b"x" * 8,
    ),
]


@pytest.mark.parametrize(
    ("script", "ending", "body"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
async def test_what_was_read_and_what_is_left(script: Script, ending: str, body: bytes) -> None:
    async with (
        origin(script) as upstream,
        UpstreamPool() as pool,
        received(pool, upstream.url) as response,
    ):
        result = await read_body(LiveBody(response), LIMIT, idle_timeout=0.2, total_timeout=0.5)
        assert result.ending == ending
        assert result.body + await response.content.read() == body


@pytest.mark.parametrize(
    "answer", [HALF, CHUNKED + b"5\r\nfirst\r\n", CHUNKED + b"9\r\nfirst"], ids=range(3)
)
async def test_a_part_is_not_passed_off_as_the_whole(answer: bytes) -> None:
    async with (
        origin(answers(answer)) as upstream,
        UpstreamPool() as pool,
        received(pool, upstream.url) as response,
    ):
        result = await read_body(LiveBody(response), LIMIT, idle_timeout=0.2, total_timeout=0.5)
        assert (result.body, result.ending) == (b"first", "broken")


@pytest.mark.parametrize("after", [b"", b"x" * LIMIT], ids=["broken", "too large"])
async def test_bytes_that_are_here_count_as_those_that_come(after: bytes) -> None:
    """What was here before anybody read is held to the limit, and a broken body is none."""
    async with (
        origin(answers(CHUNKED + b"7d0\r\nfirst" + after)) as upstream,
        UpstreamPool() as pool,
        received(pool, upstream.url) as response,
    ):
        content = response.content
        async with asyncio.timeout(PATIENCE):
            while not content.total_bytes or not (after or content.exception()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        result = await read_body(LiveBody(response), LIMIT, idle_timeout=5, total_timeout=5)
        assert result.ending == ("too_large" if after else "broken")
