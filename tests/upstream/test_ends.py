"""Where a response ends: what is cut off is never passed on as whole, what follows it is dropped.

RFC 9112, 6.3 and 8: a body ends by its length, by the last chunk, or, where it has neither, when
the upstream closes the connection in good order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct

import pytest
from yarl import URL

from tests.support.certificates import self_signed
from tests.support.forwarding import (
    Visit,
    body_of,
    exchange,
    forwarding_runtime,
    get,
    header_values,
    ok,
    origin,
    proxy,
    status_of,
    unchunk,
)
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

BODY = b"<!doctype html><title>Bill</title><p>the amount you owe is $1"
LARGE = BODY + b"y" * 400_000
UNTYPED = b"HTTP/1.1 200 OK\r\n"
LATER = 0.4
"""Seconds. More than a page is waited for before it is streamed."""


def reset(visit: Visit) -> None:
    """End a connection by a reset."""
    sock = visit.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visit.writer.transport.abort()


def framed(body: bytes, framing: str) -> bytes:
    """The framing fields of a body, and what arrives of it before it breaks off."""
    match framing:
        case "length":
            return b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body
        case "chunked":
            return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n"
        case _:
            return b"\r\n" + body


async def breaks_off(visit: Visit) -> None:
    """Answer a request for /KIND/FRAMING/END/SIZE with such a response."""
    path = (await visit.request()).line.split(b" ")[1].decode()
    _, kind, framing, end, size = path.split("/")
    head = UNTYPED + (b"Content-Type: %s\r\n" % kind.replace("-", "/", 1).encode() if kind else b"")
    head += b"Cache-Control: max-age=100\r\n"
    await visit.send(head + framed(LARGE if size == "large" else BODY, framing))
    await asyncio.sleep(LATER if end == "later" else 0.0)
    if end != "closed":
        reset(visit)


def looks_whole(response: bytes) -> bool:
    """Whether a client takes a response for a complete one."""
    if header_values(response, b"transfer-encoding"):
        return response.endswith(b"0\r\n\r\n")
    length = header_values(response, b"content-length")
    return not length or len(body_of(response)) >= int(length[0])


TYPES = [
    "text-html",
    "application-xhtml+xml",
    "image-svg+xml",
    "text-plain",
    "image-png",
    "",
]
ENDS = [
    *itertools.product(["until-close", "length", "chunked"], ["reset", "later"]),
    ("length", "closed"),
    ("chunked", "closed"),
]


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 26], ids=["no cache", "cache"])
async def test_a_body_that_breaks_off_never_looks_whole(cache_bytes: int, version: bytes) -> None:
    """Of any kind, small and large: an error or a reset, and a second visitor finds nothing."""
    wrong: list[str] = []
    async with origin(breaks_off) as upstream:
        runtime = forwarding_runtime(upstream.url, cache_bytes=cache_bytes)
        async with proxy(upstream.url, current=lambda: runtime) as front:

            async def visit(path: str) -> None:
                request = get(path.encode()).replace(b"HTTP/1.1", b"HTTP/" + version)
                for _ in range(2):
                    try:
                        response = await exchange(front.port, request, seconds=PATIENCE)
                    except ConnectionResetError:
                        continue
                    if response and status_of(response) != 502 and looks_whole(response):
                        wrong.append(path)

            paths = [
                f"/{kind}/{framing}/{end}/{size}"
                for kind, (framing, end), size in itertools.product(TYPES, ENDS, ["small", "large"])
            ]
            await asyncio.gather(*map(visit, paths))
        assert wrong == []
        assert upstream.connections == 2 * len(paths)


@pytest.mark.parametrize("says_so", [True, False], ids=["close_notify", "no close_notify"])
@pytest.mark.parametrize("kind", [b"text/html", b"text/plain"])
async def test_end_of_tls_without_a_close_notify(says_so: bool, kind: bytes) -> None:
    """RFC 9112, 9.8: anybody on the way can end a TCP connection; only the upstream can end its
    TLS connection.
    """
    certificate, key = self_signed("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with certificate, key:
        context.load_cert_chain(certificate.name, key.name)
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as sock:
                while b"\r\n\r\n" not in sock.recv(65536):
                    pass
                sock.sendall(UNTYPED + b"Content-Type: %s\r\n\r\n" % kind + BODY)
                if says_so:
                    sock.unwrap()

        served = asyncio.create_task(asyncio.to_thread(serve))
        url = URL(f"https://127.0.0.1:{listener.getsockname()[1]}")
        async with proxy(url, verify_tls=False) as front:
            try:
                response = await exchange(front.port, get(), seconds=30)
            except ConnectionResetError:
                response = b""
        await served
        listener.close()
    whole = response != b"" and status_of(response) == 200 and looks_whole(response)
    assert whole is says_so


NO_BODY = b"HTTP/1.1 204 No Content\r\n"
NOT_MODIFIED = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n'
TEXT = UNTYPED + b"Content-Type: text/plain\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n"

SLOPPY = [
    ("HEAD with a body", b"HEAD", TEXT + b"Content-Length: 5\r\n\r\n", b"hello", b""),
    ("HEAD with chunks", b"HEAD", TEXT + b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n", b""),
    ("204 with a body", b"GET", NO_BODY + b"Content-Length: 5\r\n\r\n", b"hello", b""),
    ("204 without a length", b"GET", NO_BODY + b"\r\n", b"hello", b""),
    ("204 with chunks", b"GET", NO_BODY + b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n", b""),
    ("304 with a body", b"GET", NOT_MODIFIED + b"Content-Length: 5\r\n\r\n", b"hello", b""),
    ("longer than its length", b"GET", TEXT + b"Content-Length: 5\r\n\r\nhello", b"!", b"hello"),
    ("H after its length", b"GET", TEXT + b"Content-Length: 5\r\n\r\nhello", b"H", b"hello"),
    ("none, with a body", b"GET", TEXT + b"Content-Length: 0\r\n\r\n", b"hello", b""),
    ("after the last chunk", b"GET", TEXT + CHUNKS + b"\r\n", b"hello", b"hello"),
    ("after the trailers", b"GET", TEXT + CHUNKS + b"X: y\r\n\r\n", b"hello", b"hello"),
    (
        "after an interim response",
        b"GET",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + TEXT + b"Content-Length: 5\r\n\r\nhello",
        b"!",
        b"hello",
    ),
    (
        "a whole response",
        b"GET",
        TEXT + b"Content-Length: 5\r\n\r\nhello",
        ok(b"poison", b"Content-Type: text/plain"),
        b"hello",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "message", "more", "body"),
    [row[1:] for row in SLOPPY],
    ids=[row[0] for row in SLOPPY],
)
async def test_bytes_after_a_response_are_dropped(
    method: bytes, message: bytes, more: bytes, body: bytes
) -> None:
    """Whenever they arrive: the visitor gets the response, nobody gets the bytes, and the log says
    once what the upstream does.
    """
    await asyncio.gather(
        *(
            _check_dropped(method, message, more, body, packets, pause)
            for packets, pause in (
                ([message + more], 0.05),
                ([message[:-1], message[-1:] + more], 0.05),
                ([message, more], 0.05),
                ([message, more], 0.0),
                ([bytes([one]) for one in message + more], 0.001),
            )
        )
    )


async def _check_dropped(
    method: bytes, message: bytes, more: bytes, body: bytes, packets: list[bytes], pause: float
) -> None:
    connections: asyncio.Queue[None] = asyncio.Queue()

    async def script(visit: Visit) -> None:
        await visit.request()
        with contextlib.suppress(ConnectionError):
            for packet in packets:
                await visit.send(packet)
                await asyncio.sleep(pause)
            assert await visit.reader.read() == b""
        connections.put_nowait(None)

    final = message.rpartition(b"HTTP/1.1")[2]
    async with origin(script) as upstream, proxy(upstream.url) as front:
        for _ in range(2):
            response = await exchange(front.port, get(method=method), seconds=30)
            got = response.rpartition(b"HTTP/1.1")[2]
            assert got[:4] == final[:4], (packets, response)
            got = body_of(got)
            assert (unchunk(got) if b"chunked" in response and got else got) == body
            async with asyncio.timeout(PATIENCE):
                await connections.get()  # it was closed, and not used again
        told = [line for line in front.logged if str(upstream.port) in line]
        assert len(told) == 1
        assert "sends bytes after its responses" in told[0]
