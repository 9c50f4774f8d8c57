"""Requests in one packet with malformed bytes, malformed bodies, heads that are too large."""

from __future__ import annotations

import asyncio
import contextlib
import re
from itertools import pairwise

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.request_parser import RequestParser
from proxy.server.serve import Limits
from tests.support.forwarding import Client, Visit, client, ok, origin, proxy
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

GET = b"GET /a HTTP/1.1\r\nHost: www.example.com\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: www.example.com\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
END = b"\r\n"


async def echo(visit: Visit) -> None:
    while True:
        request = await visit.request()
        await asyncio.sleep(0.01)
        await visit.send(ok(request.body, b"Content-Type: text/plain"))


async def statuses(port: int, *packets: bytes) -> list[int]:
    """The statuses of the responses to these packets, on one connection, until it is closed. They
    are read as they come: what is sent to a connection that was closed after its response resets
    it, and a reset takes away what was not read.
    """
    got = bytearray()

    async def read(visitor: Client) -> None:
        with contextlib.suppress(ConnectionResetError):
            while chunk := await visitor.reader.read(1 << 16):
                got.extend(chunk)

    async with client(port) as visitor, asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(read(visitor))
        for packet in packets:
            with contextlib.suppress(ConnectionError):
                await visitor.send(packet)
            await asyncio.sleep(0.02)
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", got)]


CASES = [
    ("bytes after a close", [GET + CLOSE + END + b"xyz"], [200]),
    ("later bytes after a close", [GET + CLOSE + END, b"xyz"], [200]),
    ("a request after a close", [GET + CLOSE + END + GET + END], [200]),
    ("lines after a close", [GET + CLOSE + END + b"\r\n\r\n"], [200]),
    ("bytes after a body and a close", [POST + CLOSE + b"Content-Length: 3\r\n\r\nabcXYZ"], [200]),
    ("a malformed request behind a good one", [GET + END + b"BAD\x01 /\r\n\r\n"], [200, 400]),
    ("the same in two packets", [GET + END, b"BAD\x01 /\r\n\r\n"], [200, 400]),
    ("behind two", [GET + END + GET + END + b"\x01\r\n\r\n"], [200, 200, 400]),
    ("behind a head in two packets", [GET, END + b"\x01\r\n\r\n"], [200, 400]),
    (
        "behind a body",
        [POST + b"Content-Length: 3\r\n\r\nabc" + GET + END + b"\x01\r\n\r\n"],
        [200, 200, 400],
    ),
    (
        "behind chunks",
        [POST + CHUNKED + b"\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n" + GET + b"Host: b\r\n\r\n"],
        [200, 400],
    ),
    (
        "behind blank lines",
        [b"\r\n\r\n" + POST + b"Content-Length: 0\r\n\r\nG", b"\x01"],
        [200, 400],
    ),
    ("behind an upgrade", [GET + UPGRADE + END + GET + END + GET + CLOSE + END], [200, 200, 200]),
    ("a part of one", [GET + UPGRADE + END + GET, CLOSE + END], [200, 200]),
    ("a malformed one", [GET + UPGRADE + END + b"\x01\r\n\r\n"], [200, 400]),
    ("a malformed chunk", [POST + CHUNKED + b"\r\nzz\r\n"], [400]),
    ("later", [POST + CHUNKED + b"\r\n3\r\nabc\r\n", b"zz\r\n"], [400]),
    ("behind a good request", [GET + END + POST + CHUNKED + b"\r\nzz\r\n"], [200, 400]),
    ("longer than its size", [POST + CHUNKED + b"\r\n3\r\nabcd\r\n0\r\n\r\n"], [400]),
    ("a size of many digits", [POST + CHUNKED + b"\r\nfffffffffffffffff\r\nabc"], [400]),
    ("a malformed trailer", [POST + CHUNKED + b"\r\n3\r\nabc\r\n0\r\nX: \0y\r\n\r\n"], [400]),
    ("later", [POST + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n", b"X y\r\n\r\n"], [400]),
]


@pytest.mark.parametrize(("packets", "expected"), [r[1:] for r in CASES], ids=[r[0] for r in CASES])
async def test_good_requests_are_answered_whatever_follows(
    packets: list[bytes], expected: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    async with origin(echo) as upstream, proxy(upstream.url) as front:
        began = asyncio.get_running_loop().time()
        got = await statuses(front.port, *packets)
        assert asyncio.get_running_loop().time() - began < 10
    # Of a malformed body, what it was may be told once more for the bytes that follow.
    assert got == expected
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


@given(
    st.lists(
        st.sampled_from(
            [
                GET + END,
                GET + b"X-A: b\r\n" + END,
                GET + UPGRADE + END,
                b"\r\n\r\n" + GET + END,
                POST + b"Content-Length: 3\r\n\r\nabc",
                POST + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n",
                POST + CHUNKED + b"\r\n4\r\n\r\n\r\n\r\n0\r\nX: y\r\n\r\n",
            ]
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([b"", b"\x01\r\n\r\n", b"GET\r\n\r\n", GET + b"Host: b\r\n\r\n"]),
    st.lists(st.integers(1, 400), max_size=3),
)
def test_packets_make_no_difference(good: list[bytes], bad: bytes, cuts: list[int]) -> None:
    """However the bytes are cut into packets: each good request is found, then the fault."""
    stream = b"".join(good) + bad
    ends = [0, *sorted(cuts), len(stream)]

    async def run() -> tuple[list[bytes], bool]:
        loop = asyncio.get_running_loop()
        protocol = BaseProtocol(loop)

        def make() -> HttpRequestParser:
            return HttpRequestParser(protocol, loop, 65536, payload_exception=ValueError)

        parser = RequestParser(make, 65536, None)
        found: list[StreamReader] = []
        failed = False
        for begin, end in pairwise(ends):
            if begin >= end or failed:
                continue
            try:
                found += [body for _, body in parser.feed_data(stream[begin:end])[0]]
                if parser.error is not None:
                    parser.feed_data(b"")
            except HttpProcessingError:
                failed = True
        return [await body.read() for body in found], failed

    bodies, failed = asyncio.run(run())
    assert bodies == [body_sent(one) for one in good]
    assert failed is bool(bad)


def body_sent(request: bytes) -> bytes:
    if b"\r\n4\r\n" in request:
        return END + END
    return b"abc" if b"abc" in request else b""


FIELD = b"X-Field: " + b"x" * 1000 + b"\r\n"


@pytest.mark.parametrize("packet", [500, 50_000, 1_000_000])
@pytest.mark.parametrize(("fields", "status"), [(60, 200), (70, 431)])
async def test_the_head_has_a_bound_as_a_whole(packet: int, fields: int, status: int) -> None:
    head = GET + CLOSE + FIELD * fields + END
    packets = [head[at : at + packet] for at in range(0, len(head), packet)]
    async with (
        origin(echo) as upstream,
        proxy(upstream.url) as front,
        client(front.port) as visitor,
    ):
        for one in packets:
            await visitor.send(one)
        got = await visitor.rest(PATIENCE)
    assert b" %d " % status in got.partition(b"\r\n")[0]


async def test_a_pipelined_head_has_the_same_bound() -> None:
    limits = Limits(head_bytes=10_000, grace=1)
    async with (
        origin(echo) as upstream,
        proxy(upstream.url, limits=limits) as front,
    ):
        assert await statuses(front.port, GET + END + GET + FIELD * 12 + END) == [200, 431]


NOT_ASCII = [
    (b"/caf\xc3\xa9?q=\xff", b"/caf%C3%A9?q=%FF"),
    (b"/\xe4\xb8\xad%41", b"/%E4%B8%AD%41"),
]


@pytest.mark.parametrize(("target", "sent"), NOT_ASCII)
async def test_targets_beyond_ascii_are_percent_encoded(target: bytes, sent: bytes) -> None:
    head = b" HTTP/1.1\r\nHost: www.example.com\r\n"
    get, post = b"GET " + target + head, b"POST " + target + head
    chunks = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    async with origin(echo) as upstream, proxy(upstream.url) as front:
        assert await statuses(front.port, get + CLOSE + END) == [200]
        assert await statuses(front.port, get + END + GET + END, get + CLOSE + END) == [200] * 3
        assert (
            await statuses(front.port, post + chunks, b"0\r\n\r\n" + GET + CLOSE + END) == [200] * 2
        )
        assert await statuses(front.port, get + END + b"\x01\r\n\r\n") == [200, 400]
        targets = [one.line.split(b" ")[1] for one in upstream.exchanges]
        assert targets == [sent, sent, b"/a", sent, sent, b"/a", sent]
        assert upstream.exchanges[4].body == b"abc"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"FROB / HTTP/1.1", 501),
        (b"X-FOO /a HTTP/1.1", 501),
        (b"get / HTTP/1.1", 400),
        (b"what is this", 400),
        (b"F\xc3\xa9 / HTTP/1.1", 400),
        (b"GET / HTTP/1.\xc3", 400),
    ],
)
async def test_unknown_methods(line: bytes, status: int) -> None:
    async with origin(echo) as upstream, proxy(upstream.url) as front:
        got = await statuses(front.port, line + b"\r\nHost: www.example.com\r\n\r\n")
    assert got == [status]
