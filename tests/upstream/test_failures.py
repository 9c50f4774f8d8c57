"""Upstreams and visitors that break off, stall or talk nonsense."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings

import pytest
from yarl import URL

from proxy.http.access_record import Access
from proxy.runtime import Runtime
from proxy.server.serve import Limits
from proxy.upstream.timeouts import Timeouts
from tests.support.certificates import self_signed
from tests.support.forwarding import (
    TEXT,
    Proxy,
    Script,
    Visit,
    answers,
    body_of,
    client,
    exchange,
    get,
    ok,
    origin,
    proxy,
    status_of,
    unchunk,
)
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

QUICK = Timeouts(connect=0.5, queue=0.3, first_byte=0.4, idle=0.4, body_idle=0.4, write=0.4)


def reason(front: Proxy) -> str:
    """What the product logged of its last failure."""
    return front.logged[-1]


async def test_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with proxy(URL(f"http://127.0.0.1:{port}")) as front:
        response = await exchange(front.port, get())
    assert status_of(response) == 502
    assert "check that it is running" in reason(front)


async def test_unknown_name() -> None:
    async with proxy(URL("http://no-such-host.invalid")) as front:
        response = await exchange(front.port, get())
    assert status_of(response) == 502
    assert "cannot be resolved" in reason(front)


async def test_upstream_that_starts_late_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with proxy(URL(f"http://127.0.0.1:{port}")) as front:
        pending = asyncio.ensure_future(exchange(front.port, get(method=b"POST")))
        await asyncio.sleep(0.1)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok())
            writer.close()

        async with await asyncio.start_server(connected, "127.0.0.1", port):
            assert status_of(await pending) == 200


async def test_tls_to_a_plain_upstream() -> None:
    async def script(visit: Visit) -> None:
        await visit.reader.read(10)
        await visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with (
        origin(script) as upstream,
        proxy(upstream.url.with_scheme("https")) as front,
    ):
        response = await exchange(front.port, get())
    assert status_of(response) == 502
    assert "write http://" in reason(front)


def silent(*_: object) -> Script:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.reader.read()

    return script


async def interim_without_end(visit: Visit) -> None:
    await visit.request()
    while not visit.writer.transport.is_closing():
        await visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.001)


ALMOST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Lo"

GZIP_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"

HEAD_FAILURES = [
    ("silent before the head", silent(), 504, "no response head within"),
    ("closes before the head", answers(b""), 502, "closed the connection before its response"),
    ("closes within the head", answers(ALMOST), 502, "closed the connection"),
    ("garbage", answers(b"dfa72496 what\r\n\r\n"), 502, "malformed response"),
    ("TLS alert", answers(b"\x15\x03\x01\x00\x02\x02\x46"), 502, "malformed response"),
    ("bad status", answers(b"HTTP/1.1 2OO OK\r\n\r\n"), 502, "malformed response"),
    (
        "two lengths",
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello"),
        502,
        "malformed response",
    ),
    (
        "length and chunks",
        answers(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        502,
        "malformed response",
    ),
    (
        "NUL in a header",
        answers(b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n"),
        502,
        "malformed response",
    ),
    (
        "control in a header",
        answers(b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 0\r\n\r\n"),
        502,
        "",
    ),
    ("head too large", answers(ok(b"x", b"X-A: " + b"a" * 70_000)), 502, "malformed response"),
    ("too many headers", answers(ok(b"x", *[b"X-A: a"] * 500)), 502, "malformed response"),
    (
        "gzip as a transfer coding",
        answers(GZIP_CHUNKED),
        502,
        "transfer coding",
    ),
    (
        "gzip as a transfer coding, until close",
        answers(ok(b"x").replace(b"Content-Length: 1", b"Transfer-Encoding: gzip")),
        502,
        "transfer coding",
    ),
    (
        "chunked twice",
        answers(
            ok(b"x", *[b"Transfer-Encoding: chunked"] * 2).replace(b"Content-Length: 1", b"X: y")
        ),
        502,
        "",
    ),
    ("interim responses without end", interim_without_end, 502, "TooManyInterimResponses"),
    (
        "unasked 101",
        answers(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", keep=True),
        502,
        "101",
    ),
]


@pytest.mark.parametrize(
    ("script", "status", "why"),
    [row[1:] for row in HEAD_FAILURES],
    ids=[row[0] for row in HEAD_FAILURES],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_no_usable_head(script: Script, status: int, why: str, method: bytes) -> None:
    async with origin(script) as upstream, proxy(upstream.url, timeouts=QUICK) as front:
        response = await exchange(front.port, get(method=method))
    assert status_of(response) == status
    assert why in reason(front)
    assert upstream.connections == 1  # a failing upstream gets no second helping
    assert str(upstream.port).encode() not in body_of(response)


def in_pieces(*pieces: bytes, keep: bool = False) -> Script:
    async def script(visit: Visit) -> None:
        await visit.request()
        for piece in pieces:
            await visit.send(piece)
            await asyncio.sleep(0.05)
        if keep:
            await visit.reader.read()

    return script


LENGTH = TEXT + b"Content-Length: 100\r\n\r\n"
CHUNKS = TEXT + b"Transfer-Encoding: chunked\r\n\r\n"

CUT = [
    ("short length", answers(LENGTH + b"partial")),
    ("short length, in pieces", in_pieces(LENGTH, b"par", b"tial")),
    ("no body at all", in_pieces(LENGTH)),
    ("chunks without the end", answers(CHUNKS + b"5\r\nhello\r\n")),
    ("end within a chunk", in_pieces(CHUNKS, b"9\r\nhello")),
    ("chunk size is no number", in_pieces(CHUNKS, b"5\r\nhello\r\n", b"zz\r\nabc")),
    ("chunk size is no number, stays", in_pieces(CHUNKS, b"5\r\nhe", b"llo\r\nzz\r\n", keep=True)),
    ("chunk longer than its size", in_pieces(CHUNKS, b"5\r\nhelloXX\r\n0\r\n\r\n", keep=True)),
    ("stalls within the body", answers(LENGTH + b"partial", keep=True)),
]


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("script", [row[1] for row in CUT], ids=[row[0] for row in CUT])
async def test_a_part_never_looks_complete(script: Script, version: bytes) -> None:
    request = get().replace(b"HTTP/1.1", b"HTTP/" + version)
    async with origin(script) as upstream, proxy(upstream.url, timeouts=QUICK) as front:
        with pytest.raises(ConnectionResetError):
            await exchange(front.port, request, seconds=3)


UNTYPED = b"HTTP/1.1 200 OK\r\n"
HTML = UNTYPED + b"Content-Type: text/html\r\n"


@pytest.mark.parametrize("head", [UNTYPED, HTML], ids=["no type", "html"])
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\n<p>partial",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n<p>ab\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n<p>ab\r\nzz\r\n",
    ],
    ids=["short length", "no last chunk", "bad chunk"],
)
async def test_a_part_of_a_page_never_looks_complete(head: bytes, rest: bytes) -> None:
    """What may be a page is read before it is sent: there is an error page, or a reset."""
    async with (
        origin(answers(head + rest)) as upstream,
        proxy(upstream.url, timeouts=QUICK) as front,
    ):
        try:
            response = await exchange(front.port, get(), seconds=3)
        except ConnectionResetError:
            return
    assert status_of(response) == 502


async def test_reset_of_a_body_without_a_length() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(TEXT + b"\r\npartial")
        await asyncio.sleep(0.1)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        sock = visit.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        visit.writer.transport.abort()

    async with origin(script) as upstream, proxy(upstream.url) as front:
        with pytest.raises(ConnectionResetError):
            await exchange(front.port, get())


async def test_the_proxy_goes_on_after_a_cut_answer() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        if visit.number == 1:
            await visit.send(LENGTH + b"partial")
        else:
            await visit.send(ok())

    async with origin(script) as upstream, proxy(upstream.url) as front:
        with pytest.raises(ConnectionResetError):
            await exchange(front.port, get())
        assert body_of(await exchange(front.port, get())) == b"hello"


async def test_event_stream_may_be_silent() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await asyncio.sleep(1.0)  # longer than the idle deadline
        await visit.send(b"data: 1\n\n")

    async with origin(script) as upstream, proxy(upstream.url, timeouts=QUICK) as front:
        response = await exchange(front.port, get())
    assert unchunk(body_of(response)) == b"data: 1\n\n"


@pytest.mark.parametrize(("method", "status"), [(b"GET", 200), (b"HEAD", 200), (b"POST", 502)])
async def test_kept_connection_that_was_just_closed(method: bytes, status: int) -> None:
    """A GET is sent again on a new connection; what may have had an effect is not."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(ok(b""))
        if visit.number == 1:
            await visit.head()  # take the second request, then hang up without an answer

    async with origin(script) as upstream, proxy(upstream.url) as front:
        assert status_of(await exchange(front.port, get())) == 200
        response = await exchange(front.port, get(method=method))
        assert status_of(response) == status
        assert upstream.connections == (2 if status == 200 else 1)


@pytest.mark.parametrize("first", [b"GET", b"HEAD"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_bytes_that_nobody_asked_for_reach_nobody(first: bytes, method: bytes) -> None:
    """A second answer to one request must not become the answer to another visitor's."""

    async def script(visit: Visit) -> None:
        await visit.request()
        if visit.number == 1:
            await visit.send(ok(b""))
            await asyncio.sleep(0.05)
            await visit.send(ok(b"poison" if first == b"GET" else b""))
            await visit.reader.read()
        else:
            await visit.send(ok())

    async with origin(script) as upstream, proxy(upstream.url) as front:
        assert status_of(await exchange(front.port, get(method=first))) == 200
        await asyncio.sleep(0.2)
        assert body_of(await exchange(front.port, get(method=method))) == b"hello"
        assert upstream.connections == 2


async def test_visitor_who_leaves_ends_the_request_to_the_upstream() -> None:
    arrived, lost = asyncio.Event(), asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        arrived.set()
        await visit.reader.read()
        lost.set()

    async with origin(script) as upstream, proxy(upstream.url) as front:
        async with asyncio.timeout(PATIENCE):
            async with client(front.port) as visitor:
                await visitor.send(get())
                await arrived.wait()
            await lost.wait()


async def test_visitor_who_leaves_while_the_answer_streams() -> None:
    lost = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                await visit.send(b"x" * 65536)
        except ConnectionError:
            lost.set()

    async with origin(script) as upstream, proxy(upstream.url) as front:
        async with client(front.port) as visitor:
            await visitor.send(get())
            await visitor.head()
        async with asyncio.timeout(PATIENCE):
            await lost.wait()


async def test_visitor_who_does_not_read_is_cut_off() -> None:
    lost = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                await visit.send(b"x" * 65536)
        except ConnectionError:
            lost.set()

    limits = Limits(write=0.3, grace=1)
    async with (
        origin(script) as upstream,
        proxy(upstream.url, limits=limits) as front,
        client(front.port) as visitor,
    ):
        await visitor.send(get())
        async with asyncio.timeout(PATIENCE):
            await lost.wait()


async def test_visitor_who_reads_slowly_gets_everything() -> None:
    body = b"x" * 150_000
    limits = Limits(write=0.7, grace=1)
    async with (
        origin(answers(ok(body))) as upstream,
        proxy(upstream.url, limits=limits, send_buffer=4096) as front,
        client(front.port, receive_buffer=4096) as visitor,
    ):
        await visitor.send(get())
        await visitor.head()
        size = 0
        while chunk := await visitor.reader.read(2048):
            size += len(chunk)
            await asyncio.sleep(0.02)
    assert size == len(body)


@pytest.mark.parametrize("first", [True, False], ids=["first request", "later request"])
async def test_trickled_head_does_not_extend_its_deadline(first: bool) -> None:
    limits = Limits(head=0.5, grace=1)
    async with (
        origin(answers(ok(), keep=True)) as upstream,
        proxy(upstream.url, limits=limits) as front,
        client(front.port) as visitor,
    ):
        if not first:
            await visitor.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            assert status_of(await visitor.head()) == 200
            await asyncio.sleep(0.6)  # idle time does not count
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionError):
            for byte in get(b"/", b"X-Long: " + b"x" * 100):
                await visitor.send(bytes([byte]))
                await asyncio.sleep(0.05)
        assert 0.4 < asyncio.get_running_loop().time() - began < 3
    assert len(upstream.exchanges) == (0 if first else 1)


async def test_exception_in_the_handler_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Runtime:
        raise ZeroDivisionError("secret detail")

    async with proxy(URL("http://127.0.0.1:1"), current=broken) as front:
        response = await exchange(front.port, get(b"/", b"Accept: text/html"))
    assert status_of(response) == 500
    assert b"secret" not in response
    assert "ZeroDivisionError" in caplog.text


async def test_access_is_reported_with_status() -> None:
    seen: list[tuple[str, int]] = []

    def access(told: Access) -> None:
        assert told.seconds >= 0
        seen.append((told.target, told.status))

    async with origin(silent()) as upstream, proxy(upstream.url, access=access) as front:
        async with client(front.port) as visitor:
            await visitor.send(get(b"/left"))
            await asyncio.sleep(0.1)
        await exchange(front.port, get(b"/x y"))
        await asyncio.sleep(0.05)
    assert ("/left", 499) in seen
    assert 400 in [status for _, status in seen]


async def test_upstream_of_an_old_tls_version() -> None:
    certificate, key = self_signed("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with certificate, key:
        context.load_cert_chain(certificate.name, key.name)

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        async with proxy(URL(f"https://127.0.0.1:{port}")) as front:
            response = await exchange(front.port, get())
    assert status_of(response) == 502
    assert "enable TLS 1.2 or 1.3 there" in reason(front)


async def test_tls_upstream_with_an_unknown_certificate(tmp_path: object) -> None:
    certificate, key = self_signed("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with certificate, key:
        context.load_cert_chain(certificate.name, key.name)

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        async with proxy(URL(f"https://127.0.0.1:{port}")) as front:
            response = await exchange(front.port, get())
    assert status_of(response) == 502
    assert "certificate" in reason(front)
