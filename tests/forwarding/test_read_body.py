"""Pages are read whole where that is possible, and streamed on where it is not."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from proxy.http.forwarding import request_headers, response_headers
from proxy.responses.stream import stream
from proxy.server.serve import Handler
from proxy.upstream.body import ReadResult, read_body
from proxy.upstream.pool import open_session
from proxy.upstream.request import ask
from tests.forwarding.harness import (
    Script,
    Visit,
    answers,
    body_of,
    exchange,
    get,
    ok,
    origin,
    proxy,
    unchunk,
)

pytestmark = pytest.mark.slow

LIMIT = 1000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def reading(session: ClientSession, site: URL, results: list[ReadResult]) -> Handler:
    """Reads a page; one that came whole is changed, any other is passed on as it is."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        headers = request_headers(request, peer_is_trusted=False)
        async with ask(session, request, site, headers) as upstream:
            result = await read_body(upstream, LIMIT, idle_timeout=0.2, total_timeout=0.5)
            results.append(result)
            if result.whole:
                return web.Response(body=result.body.upper(), content_type="text/html")
            return await stream(
                request, upstream, response_headers(upstream), already_read=result.body
            )

    return handler


def in_pieces(*pieces: bytes, pause: float) -> Script:
    async def script(visit: Visit) -> None:
        await visit.request()
        for piece in pieces:
            await visit.send(piece)
            await asyncio.sleep(pause)

    return script


BIG = b"x" * 5000
BIG_CHUNKED = CHUNKED + b"1388\r\n" + BIG + b"\r\n0\r\n\r\n"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"

CASES = [
    ("whole", answers(ok(b"page")), "whole", b"PAGE"),
    ("empty", answers(ok(b"")), "whole", b""),
    ("chunked", answers(CHUNKED + b"4\r\npage\r\n0\r\n\r\n"), "whole", b"PAGE"),
    ("in pieces", in_pieces(HALF, b"later", pause=0.05), "whole", b"FIRSTLATER"),
    ("until the end", answers(b"HTTP/1.0 200 OK\r\n\r\npage"), "whole", b"PAGE"),
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
async def test_read_then_stream(script: Script, ending: str, body: bytes) -> None:
    results: list[ReadResult] = []
    async with origin(script) as upstream, open_session() as session:
        handler = reading(session, upstream.url, results)
        async with proxy(upstream.url, handler=handler) as front:
            response = await exchange(front.port, get())
    assert results[0].ending == ending
    got = body_of(response)
    assert (unchunk(got) if b"Transfer-Encoding: chunked" in response else got) == body


@pytest.mark.parametrize(
    "answer", [HALF, CHUNKED + b"5\r\nfirst\r\n", CHUNKED + b"9\r\nfirst"], ids=range(3)
)
async def test_broken_page_is_not_passed_off_as_whole(answer: bytes) -> None:
    results: list[ReadResult] = []
    async with origin(answers(answer)) as upstream, open_session() as session:
        handler = reading(session, upstream.url, results)
        async with proxy(upstream.url, handler=handler) as front:
            with pytest.raises(ConnectionResetError):
                await exchange(front.port, get())
    assert results == [ReadResult(b"first", "broken")]


async def test_more_promised_than_there_is() -> None:
    """Headers that the caller got wrong end in a reset too, never in a wait or a mix-up."""
    async with origin(answers(ok(b"short"))) as upstream, open_session() as session:

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            headers = request_headers(request, peer_is_trusted=False)
            async with ask(session, request, upstream.url, headers) as answer:
                promising = response_headers(answer)
                promising["Content-Length"] = "500"
                return await stream(request, answer, promising)

        async with proxy(upstream.url, handler=handler) as front:
            with pytest.raises(ConnectionResetError):
                await exchange(front.port, get())
