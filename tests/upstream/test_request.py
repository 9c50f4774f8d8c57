"""What goes through must come out as it went in."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from tests.support.forwarding import (
    TEXT,
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
    unchunk,
)
from tests.support.waiting import PATIENCE

POLICY = b"Content-Security-Policy"

PATHS = [
    b"/",
    b"//evil.example/x",
    b"/a//b///c",
    b"/a/../b/./c",
    b"/..%2f..%2Fetc",
    b"/%7Euser/%41%2f%2F%00",
    b'/a|b[c]{d}^e`f"g<h>\\i',
    b"/x?",
    b"/x?a=1&b=%20+&c=//%2F?d=?",
    b"/x?q=a|b[0]=1",
    b"/;p=1,2:3@4!$&'()*+=",
    b"/" + b"a" * 8000,
]


@pytest.mark.parametrize("path", PATHS)
async def test_path_goes_byte_for_byte(path: bytes) -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(path))
    assert status_of(response) == 200
    assert upstream.exchanges[0].line == b"GET " + path + b" HTTP/1.1"


ABSOLUTE = [
    (b"http://shop.example.com/a?b", b"/a?b", b"shop.example.com"),
    (b"http://shop.example.com:81/", b"/", b"shop.example.com:81"),
    (b"http://shop.example.com", b"/", b"shop.example.com"),
    (b"http://shop.example.com?q=1", b"/?q=1", b"shop.example.com"),
    (b"https://shop.example.com//x%2f", b"//x%2f", b"shop.example.com"),
]


@pytest.mark.parametrize(("target", "path", "host"), ABSOLUTE)
async def test_whole_url_as_target(target: bytes, path: bytes, host: bytes) -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(target))
    assert status_of(response) == 200
    assert upstream.exchanges[0].line == b"GET " + path + b" HTTP/1.1"
    assert upstream.exchanges[0].values(b"host") == [host]


METHODS = [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"REPORT"]


@pytest.mark.parametrize("method", METHODS)
async def test_methods(method: bytes) -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(method=method))
    assert status_of(response) == 200
    assert upstream.exchanges[0].line == method + b" / HTTP/1.1"


async def test_request_headers_keep_order_and_repeats() -> None:
    sent = get(
        b"/",
        b"X-One: 1",
        b"Cookie: a=1; b=2",
        b"X-Two: 2",
        b"X-One: 3",
        b"X-Empty: ",
    )
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        await exchange(front.port, sent)
    got = [
        pair
        for pair in upstream.exchanges[0].headers
        if not pair[0].startswith((b"x-forwarded", b"cdn-", b"x-request-id"))
    ]
    assert got == [
        (b"host", b"www.example.com"),
        (b"x-one", b"1"),
        (b"cookie", b"a=1; b=2"),
        (b"x-two", b"2"),
        (b"x-one", b"3"),
        (b"x-empty", b""),
        # No field asks for any coding; ours are those that a page can be read in.
        (b"accept-encoding", b"identity"),
    ]


async def test_response_headers_keep_order_and_repeats() -> None:
    answer = (
        b"HTTP/1.1 200 Fine Thanks\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nX-B: 1\r\n"
        b"Set-Cookie: b=2; Path=/\r\n"
        b"Content-Length: 2\r\nServer: Origin/1\r\nX-B: 2\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT"
        b"\r\n\r\nok"
    )
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    assert response == (
        b"HTTP/1.1 200 Fine Thanks\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nX-B: 1\r\n"
        b"Set-Cookie: b=2; Path=/\r\n"
        b"Content-Length: 2\r\nServer: Origin/1\r\nX-B: 2\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT"
        b"\r\nVia: 1.1 consent-proxy\r\n"
        + b"Content-Security-Policy: %b\r\n" % header_values(response, POLICY)[0]
        + b"Connection: close\r\n"
        + b"X-Request-Id: %b\r\n\r\nok" % header_values(response, b"X-Request-Id")[0]
    )


async def test_no_type_and_no_server_are_made_up() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    assert header_values(response, b"Content-Type") == []
    assert header_values(response, b"Server") == []


RAW_VALUES = [
    b"caf\xe9",  # Latin-1
    "café".encode(),  # UTF-8
    b"\xff\xfe\x80 mixed \xc3\xa9",
    "価格".encode("shift_jis"),
    b"tab\tinside",
]


@pytest.mark.parametrize("value", RAW_VALUES)
async def test_header_bytes_survive_both_ways(value: bytes) -> None:
    answer = ok(b"x", b"Content-Disposition: attachment; filename=" + value)
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(b"/", b"X-Name: " + value, b"Cookie: n=" + value))
    assert upstream.exchanges[0].values(b"x-name") == [value]
    assert upstream.exchanges[0].values(b"cookie") == [b"n=" + value]
    assert header_values(response, b"Content-Disposition") == [b"attachment; filename=" + value]


async def test_reason_phrase_bytes_survive() -> None:
    answer = b"HTTP/1.1 404 Introuvable \xe9\r\nContent-Length: 0\r\n\r\n"
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    assert response.startswith(b"HTTP/1.1 404 Introuvable \xe9\r\n")


async def test_large_heads() -> None:
    cookie = b"c=" + b"x" * 9000
    many = [b"X-H%d: %d" % (i, i) for i in range(140)]
    answer = ok(b"x", b"Set-Cookie: s=" + b"y" * 9000, *many)
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(b"/", b"Cookie: " + cookie, *many))
    assert status_of(response) == 200
    assert upstream.exchanges[0].values(b"cookie") == [cookie]
    assert upstream.exchanges[0].values(b"x-h139") == [b"139"]
    assert header_values(response, b"Set-Cookie") == [b"s=" + b"y" * 9000]
    assert header_values(response, b"X-H139") == [b"139"]


async def test_head_keeps_the_length_and_has_no_body() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: text/plain\r\n\r\n"
    async with origin(answers(answer, keep=True)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(method=b"HEAD"))
    assert header_values(response, b"Content-Length") == [b"1234"]
    assert body_of(response) == b""


async def test_head_of_a_chunked_answer() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with origin(answers(answer, keep=True)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(method=b"HEAD"))
    assert status_of(response) == 200
    assert body_of(response) == b""


BODILESS = [
    (b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", 204),
    (b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', 304),
    (b'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "a"\r\n\r\n', 304),
]


@pytest.mark.parametrize(("answer", "status"), BODILESS)
async def test_answers_without_a_body(answer: bytes, status: int) -> None:
    async with origin(answers(answer, keep=True)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    assert status_of(response) == status
    assert body_of(response) == b""
    assert header_values(response, b"Transfer-Encoding") == []
    assert header_values(response, b"Content-Length") == []


async def test_range_passes_through() -> None:
    answer = (
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/10\r\n"
        b"Content-Length: 3\r\nAccept-Ranges: bytes\r\n\r\ncde"
    )
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(b"/", b"Range: bytes=2-4", b'If-Range: "a"'))
    assert upstream.exchanges[0].values(b"range") == [b"bytes=2-4"]
    assert upstream.exchanges[0].values(b"if-range") == [b'"a"']
    assert status_of(response) == 206
    assert header_values(response, b"Content-Range") == [b"bytes 2-4/10"]
    assert body_of(response) == b"cde"


async def test_early_hints_go_ahead_of_the_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    async with origin(answers(hints + hints + ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    assert response.startswith(hints + hints)
    response = response[2 * len(hints) :]
    assert status_of(response) == 200
    assert header_values(response, b"Link") == []
    assert body_of(response) == b"hello"


async def test_chunked_answer_stays_chunked() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n"
    )
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    assert header_values(response, b"Transfer-Encoding") == [b"chunked"]
    assert header_values(response, b"Content-Length") == []
    assert header_values(response, b"Trailer") == []
    assert unchunk(body_of(response)) == b"hello world"


async def test_answer_until_close_becomes_chunked() -> None:
    async with (
        origin(answers(b"HTTP/1.0 200 OK\r\n\r\nhello")) as upstream,
        proxy(upstream.url) as front,
    ):
        response = await exchange(front.port, get())
    assert unchunk(body_of(response)) == b"hello"
    assert header_values(response, b"Via") == [b"1.0 consent-proxy"]


async def test_http_1_0_visitor_gets_no_chunks() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
    assert response.startswith(b"HTTP/1.0 200 OK\r\n")
    assert header_values(response, b"Transfer-Encoding") == []
    assert body_of(response) == b"hello"


async def test_encoded_bodies_are_not_touched() -> None:
    packed = gzip.compress(b"hello " * 1000)
    answer = ok(packed, b"Content-Encoding: gzip")
    request = get(b"/", b"Content-Encoding: gzip", b"Content-Length: 9", method=b"POST")
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, request + b"\x1f\x8bno gzip")
    assert upstream.exchanges[0].body == b"\x1f\x8bno gzip"
    assert upstream.exchanges[0].values(b"content-encoding") == [b"gzip"]
    assert body_of(response) == packed


async def test_event_stream_flushes_at_once() -> None:
    go_on = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await visit.send(b"data: 1\n\n")
        await go_on.wait()
        await visit.send(b"data: 2\n\n")

    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(get())
        assert status_of(await visitor.head()) == 200
        async with asyncio.timeout(PATIENCE):
            assert await visitor.reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: 1\n\n\r\n"
        go_on.set()
        assert await visitor.rest() == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"


async def test_head_of_the_answer_is_not_held_back_for_its_body() -> None:
    go_on = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(TEXT + b"Content-Length: 2\r\n\r\n")
        await go_on.wait()
        await visit.send(b"ok")

    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(get())
        assert status_of(await visitor.head()) == 200
        go_on.set()
        assert await visitor.rest() == b"ok"


async def test_connections_are_kept_on_both_sides() -> None:
    async def script(visit: Visit) -> None:
        while True:
            request = await visit.request()
            await visit.send(ok(request.line))

    async with (
        origin(script) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        for number in range(5):
            await visitor.send(b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n" % number)
            await visitor.head()
            line = b"GET /%d HTTP/1.1" % number
            assert await visitor.reader.readexactly(len(line)) == line
        assert upstream.connections == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def script(visit: Visit) -> None:
        while True:
            request = await visit.request()
            await asyncio.sleep(0.05 if b"/0" in request.line else 0)
            await visit.send(ok(request.line))

    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n" % i for i in range(40))
    async with origin(script) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, requests + get(b"/last"))
    lines = [upstream.exchanges[i].line for i in range(41)]
    assert lines == [b"GET /%d HTTP/1.1" % i for i in range(40)] + [b"GET /last HTTP/1.1"]
    assert response.count(b"HTTP/1.1 200 OK\r\n") == 41
    at = [response.index(line) for line in lines]
    assert at == sorted(at)
