"""Requests that two servers in a row may read differently, and how they are refused."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.observability.access_log import AccessLog
from proxy.server.serve import Limits
from tests.support.forwarding import (
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

HOST = b"Host: a.example\r\n"
END = b"\r\n"
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"

REFUSED = [
    ("version 9.9", b"GET / HTTP/9.9\r\n" + HOST + END, 505),
    ("version 2.0", b"GET / HTTP/2.0\r\n" + HOST + END, (400, 505)),
    ("version 1.2", b"GET / HTTP/1.2\r\n" + HOST + END, 505),
    ("version 0.9 spelled out", b"GET / HTTP/0.9\r\n" + HOST + END, (400, 505)),
    ("no version", b"GET /\r\n" + HOST + END, 400),
    ("garbage line", b"what is this\r\n" + HOST + END, 400),
    ("only a word", b"GET\r\n\r\n", 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    ("lower case method", b"get / HTTP/1.1\r\n" + HOST + END, 400),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", b"GET / HTTP/1.1\r\n" + HOST + HOST + END, 400),
    ("empty Host", b"GET / HTTP/1.1\r\nHost: \r\n\r\n", 400),
    ("Host with a space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("Host with a user", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("Host with two ports", b"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400),
    ("Host with a list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("Host that is Latin-1", b"GET / HTTP/1.1\r\nHost: caf\xe9.example\r\n\r\n", 400),
    ("bad Host beside a whole URL", b"GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("whole URL with a user", b"GET http://u@a/ HTTP/1.1\r\n" + HOST + END, 400),
    ("whole URL of ftp", b"GET ftp://a/ HTTP/1.1\r\n" + HOST + END, 400),
    ("target without a slash", b"GET x HTTP/1.1\r\n" + HOST + END, 400),
    ("star for GET", b"GET * HTTP/1.1\r\n" + HOST + END, 400),
    ("fragment", b"GET /a#b HTTP/1.1\r\n" + HOST + END, 400),
    ("bare control in the target", b"GET /a\x01b HTTP/1.1\r\n" + HOST + END, 400),
    ("CONNECT", b"CONNECT a.example:443 HTTP/1.1\r\n" + HOST + END, 405),
    ("TRACE", b"TRACE / HTTP/1.1\r\n" + HOST + END, 405),
    (
        "length and chunks",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n",
        400,
    ),
    (
        "two lengths",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
    ),
    ("negative length", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -7\r\n\r\na", 400),
    (
        "negative length beyond 64 bits",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -9" + b"0" * 30 + b"\r\n\r\na",
        400,
    ),
    ("length in words", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: one\r\n\r\na", 400),
    ("name with brackets", b"GET / HTTP/1.1\r\n" + HOST + b"X[a]: b\r\n\r\n", 400),
    ("BEL in a value", b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\x07\r\n\r\n", 400),
    ("CR before a name", b"GET / HTTP/1.1\r\n" + HOST + b"\rX-A: a\r\n\r\n", 400),
    ("words before the method", b"some words GET / HTTP/1.1\r\n" + HOST + END, 400),
    (
        "length and chunks in odd case",
        b"POST / HTTP/1.1\r\n" + HOST + b"cOntent-lengtH: 6\r\ntRansfer-encodinG: chunked\r\n\r\n"
        b"0\r\n\r\n",
        400,
    ),
    ("signed length", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na", 400),
    ("length list", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\na", 400),
    (
        "chunks in HTTP/1.0",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "gzip, chunked",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    (
        "chunked, identity",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        (400, 501),
    ),
    (
        "xchunked",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        (400, 501),
    ),
    (
        "space before the colon",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length : 1\r\n\r\na",
        400,
    ),
    ("folded header", b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\r\n b\r\n\r\n", 400),
    ("bare LF", b"GET / HTTP/1.1\nHost: a.example\n\n", 400),
    ("NUL in a value", b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\x00b\r\n\r\n", 400),
    ("bare CR in a value", b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\rb\r\n\r\n", 400),
]


@pytest.mark.parametrize(
    ("request_bytes", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_refused(request_bytes: bytes, status: int | tuple[int, ...]) -> None:
    async with (
        origin(answers(ok(), keep=True)) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(request_bytes + SMUGGLED)
        head = await visitor.head()
        length = int(header_values(head, b"Content-Length")[0])
        body = await visitor.reader.readexactly(length)
    assert status_of(head) in (status if isinstance(status, tuple) else (status,))
    assert b"aiohttp" not in head
    assert b"Server" not in head
    assert header_values(head, b"Cache-Control") == [b"no-store"]
    # Nothing of what was sent comes back, and nothing of it gets through.
    assert b"what is this" not in body
    assert b"Bad " not in body.replace(b"Bad request", b"")
    if status not in (405,):
        assert upstream.exchanges == []


NOT_SPOKEN = [
    (b"GET / HTTP/1.2", 505),
    (b"GET / HTTP/2.0", 505),
    (b"GET / HTTP/9.9", 505),
    (b"GET / HTTP/0.9", 400),
    (b"GET /", 400),
]


@pytest.mark.parametrize(("line", "status"), NOT_SPOKEN)
async def test_version_that_is_not_spoken(line: bytes, status: int) -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, line + END + HOST + END)
    assert status_of(response) == status
    assert response.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
    assert upstream.connections == 0


ACCEPTED = [
    ("port", b"GET / HTTP/1.1\r\nHost: a.example:8080\r\nConnection: close\r\n\r\n"),
    ("underscore", b"GET / HTTP/1.1\r\nHost: my_host.example\r\nConnection: close\r\n\r\n"),
    ("trailing dot", b"GET / HTTP/1.1\r\nHost: a.example.\r\nConnection: close\r\n\r\n"),
    ("empty line before", b"\r\n" + get()),
    ("odd case, a tab", b"GET / HTTP/1.1\r\nhOST:\ta.example\r\ncOnnection:\tclose\r\n\r\n"),
    ("no value", get(b"/", b"X-A:", b"X-B: ")),
]


@pytest.mark.parametrize("request_bytes", [x[1] for x in ACCEPTED], ids=[x[0] for x in ACCEPTED])
async def test_accepted(request_bytes: bytes) -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        assert status_of(await exchange(front.port, request_bytes)) == 200


async def test_a_head_that_stops_anywhere_is_waited_for() -> None:
    """Nothing is said before all of it is there, and then the response."""
    whole = get(b"/a", b"X-A: b")

    async def visit(port: int, cut: int) -> None:
        async with client(port) as visitor:
            await visitor.send(whole[:cut])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(visitor.reader.read(1), 1)
            await visitor.send(whole[cut:])
            assert status_of(await visitor.head()) == 200

    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        await asyncio.gather(*(visit(front.port, cut) for cut in range(len(whole))))


NO_SITE = [
    ("HTTP/1.0 without a Host", b"GET / HTTP/1.0\r\n\r\n"),
    ("IPv4", b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n\r\n"),
    ("IPv6", b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nConnection: close\r\n\r\n"),
]


@pytest.mark.parametrize("request_bytes", [x[1] for x in NO_SITE], ids=[x[0] for x in NO_SITE])
async def test_in_good_order_for_a_host_without_a_site(request_bytes: bytes) -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        assert status_of(await exchange(front.port, request_bytes)) == 421
    assert upstream.connections == 0


async def test_options_star_is_answered_here() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get(b"*", method=b"OPTIONS"))
    assert status_of(response) == 204
    assert header_values(response, b"Allow") != []
    assert upstream.connections == 0


TOO_LARGE = [
    (get(b"/" + b"a" * 20_000), 414),
    (get(b"/", b"X-A: " + b"a" * 40_000), 431),
    (get(b"/", b"X" * 40_000 + b": a"), 431),
    (get(b"/", *[b"X-A: a"] * 300), 431),
]


@pytest.mark.parametrize(("request_bytes", "status"), TOO_LARGE, ids=range(len(TOO_LARGE)))
async def test_too_large(request_bytes: bytes, status: int) -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        assert status_of(await exchange(front.port, request_bytes)) == status
    assert upstream.connections == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (b"text/html,application/xhtml+xml,*/*;q=0.8", b"text/html; charset=utf-8"),
        (b"application/json", b"text/plain; charset=utf-8"),
        (b"image/avif,*/*", b"text/plain; charset=utf-8"),
    ],
)
async def test_error_page(accept: bytes, kind: bytes) -> None:
    request = get(b"/", b"Expect: a-miracle", b"Accept: " + accept)
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, request)
    assert header_values(response, b"Content-Type") == [kind]
    assert header_values(response, b"Content-Security-Policy")[0].startswith(b"default-src 'none'")
    assert header_values(response, b"Cache-Control") == [b"no-store"]
    assert b"Reference: " in body_of(response)


async def test_loop_is_broken() -> None:
    once = get(b"/", b"CDN-Loop: edge.example; v=1, consent-proxy")
    twice = get(b"/", b"CDN-Loop: consent-proxy", b"CDN-Loop: consent-proxy")
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        assert status_of(await exchange(front.port, once)) == 200
        assert status_of(await exchange(front.port, twice)) == 508


@pytest.mark.parametrize(
    "request_line", [b"GET @x HTTP/1.1", b"GET /" + b"a" * 20_000 + b" HTTP/1.1", b"\x16\x03\x01"]
)
async def test_a_malformed_request_is_a_line_of_the_access_log(
    request_line: bytes, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    log = AccessLog()
    async with (
        origin(answers(ok())) as upstream,
        proxy(upstream.url, access=log, limits=Limits(grace=1)) as front,
    ):
        response = await exchange(front.port, request_line + b"\r\nHost: a\r\n\r\n")
    log.flush()
    line = json.loads(capsys.readouterr().out)
    assert line["status"] == status_of(response)
    assert line["client"] == "127.0.0.0/24"
    assert "Traceback" not in caplog.text and "Unhandled" not in caplog.text


async def test_access_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog()
    limits = Limits(grace=1)
    async with (
        origin(answers(ok())) as upstream,
        proxy(upstream.url, access=log, limits=limits) as front,
    ):
        await exchange(front.port, get(b'/a"b?email=me@example.com', b"Cookie: secret=1"))
    log.flush()
    line = json.loads(capsys.readouterr().out)
    assert line["path"] == '/a"b'
    assert (line["method"], line["status"], line["client"]) == ("GET", 200, "127.0.0.0/24")
    assert line["bytes"] > 5
    assert set(line) == {
        "time", "id", "site", "host", "method", "path", "status", "bytes", "ms", "cache",
        "upstream", "upstream_ms", "client",
    }  # fmt: skip
