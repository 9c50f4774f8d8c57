"""PROXY headers: the parser by its properties, and connections that begin with one."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.certificates import ServerCertificates, listening_context, read_certificate
from proxy.server.proxy_protocol import (
    SIGNATURE,
    Client,
    ProxyHeaderError,
    length_v2,
    parse_v1,
    parse_v2,
    read_header,
)
from proxy.server.serve import Front, Limits, serve
from tests.support.certificates import issue
from tests.support.processes import LocalOrigin, running
from tests.support.tls_client import client_context
from tests.support.waiting import PATIENCE

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)
PORT = st.integers(0, 65535)
SECURE = b"\x20\0\x05\x01\0\0\0\0"
"""The field PP2_TYPE_SSL of a connection over TLS."""


def v2(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, fields: bytes = b"", command: int = 0x21
) -> bytes:
    rest = address.packed * 2 + b"\0\1\0\2" + fields
    family = 0x11 if address.version == 4 else 0x21
    return SIGNATURE + bytes((command, family)) + len(rest).to_bytes(2, "big") + rest


def parsed(header: bytes) -> Client | None:
    """What the parser makes of a whole header of version 2."""
    head, rest = header[:16], header[16:]
    assert length_v2(head) == len(rest)
    return parse_v2(head, rest)


@given(st.one_of(V4, V6), PORT)
def test_version_1_names_the_client(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    line = f"PROXY TCP{address.version} {address} {address} {port} 443\r\n".encode()
    assert parse_v1(line) == Client(str(address))
    other = line.replace(b"TCP4", b"TCP9").replace(b"TCP6", b"TCP4").replace(b"TCP9", b"TCP6")
    for wrong in (
        line[:-1], line[:-2] + b"\n", line.lower(), b" " + line, line[:-2] + b" 1\r\n",
        line.replace(b" 443", b" 65536"), line.replace(b" 443", b"  443"), other,
    ):  # fmt: skip
        with pytest.raises(ProxyHeaderError):
            parse_v1(wrong)


FIELD = st.tuples(
    st.integers(0, 255).filter(lambda kind: kind != 0x20), st.binary(max_size=60)
).map(lambda field: bytes((field[0],)) + len(field[1]).to_bytes(2, "big") + field[1])


@given(st.one_of(V4, V6), st.lists(FIELD, max_size=4), st.booleans())
def test_version_2_names_the_client(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, fields: list[bytes], secure: bool
) -> None:
    text = b"".join(fields) + (SECURE if secure else b"")
    assert parsed(v2(address, text)) == Client(str(address), secure)
    assert parsed(v2(address, text, command=0x20)) is None  # LOCAL
    if text:
        with pytest.raises(ProxyHeaderError):
            parsed(v2(address, text[:-1]))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_client_nobody_or_an_error(data: bytes) -> None:
    with contextlib.suppress(ProxyHeaderError):
        parse_v1(data)
    with contextlib.suppress(ProxyHeaderError):
        parse_v1(b"PROXY " + data + b"\r\n")
    head = SIGNATURE + data[:4].ljust(4, b"\0")
    with contextlib.suppress(ProxyHeaderError):
        if length_v2(head) <= len(data) - 4:
            parse_v2(head, data[4 : 4 + length_v2(head)])


@given(st.one_of(V4, V6), st.booleans(), st.binary(max_size=200), st.integers(1, 40))
def test_nothing_behind_the_header_is_read(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, old: bool, behind: bytes, piece: int
) -> None:
    header = v2(address, SECURE)
    if old:
        header = f"PROXY TCP{address.version} {address} {address} 1 2\r\n".encode()

    async def read() -> Client | None:
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            reading = asyncio.create_task(read_header(here))
            data = header + behind
            for at in range(0, len(data), piece):
                there.sendall(data[at : at + piece])
                await asyncio.sleep(0)
            there.shutdown(socket.SHUT_WR)
            client = await reading
            rest = b"".join(iter(lambda: here.recv(4096), b""))
            assert rest == behind
            return client

    assert asyncio.run(read()) == Client(str(address), not old)


REFUSED = {
    "no header": b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "a line without an end": b"PROXY TCP4 " + b"1" * 200,
    "a malformed address": b"PROXY TCP4 999.0.0.1 10.0.0.1 1 2\r\n",
    "a header too long": SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 100,
    "another version": SIGNATURE + b"\x31\x11\0\x0c" + b"x" * 12,
    "another command": SIGNATURE + b"\x22\x11\0\x0c" + b"x" * 12,
    "UDP": SIGNATURE + b"\x21\x12\0\x0c" + b"x" * 12,
    "truncated": SIGNATURE + b"\x21\x11\0\x04" + b"x" * 4,
    "a TLS handshake": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"x" * 50,
}
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"


@dataclass
class Served:
    port: int
    trusts: set[str]


@contextlib.asynccontextmanager
async def served(folder: Path | None = None, *, seconds: float = PATIENCE) -> AsyncIterator[Served]:
    """A server that says whom it takes the visitor for; with TLS where there is a folder."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=f"{request.remote} {request.scheme}")

    context: ssl.SSLContext | None = None
    if folder is not None:
        issue("a.example").write(folder, "a")
        certificates = ServerCertificates(
            [read_certificate(folder / "a.pem", folder / "a.key")], "1.2"
        )
        context = listening_context(lambda: certificates, "1.2")
    listener = socket.create_server(("127.0.0.1", 0))
    found = Served(listener.getsockname()[1], {"127.0.0.1"})
    front = Front(tls=context, takes_proxy_header=lambda peer: peer in found.trusts)
    stop = asyncio.Event()
    serving = asyncio.create_task(
        serve(handler, listener, stop=stop, limits=Limits(head=seconds), front=front)
    )
    try:
        yield found
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await serving


async def sent(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("header", "visitor"),
    [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n", b"203.0.113.7 http"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 80\r\n", b"2001:db8::7 http"),
        (b"PROXY UNKNOWN\r\n", b"127.0.0.1 http"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", b"127.0.0.1 http"),
        (v2(ipaddress.ip_address("203.0.113.7")), b"203.0.113.7 http"),
        (v2(ipaddress.ip_address("2001:db8::7"), SECURE), b"2001:db8::7 https"),
        (v2(ipaddress.ip_address("203.0.113.7"), command=0x20), b"127.0.0.1 http"),
    ],
)
async def test_the_visitor_is_whom_the_header_names(header: bytes, visitor: bytes) -> None:
    async with served() as front:
        assert (await sent(front.port, header + GET)).endswith(b"\r\n\r\n" + visitor)


@pytest.mark.parametrize("name", REFUSED)
async def test_a_connection_without_a_good_header_is_closed(name: str) -> None:
    async with served() as front:
        assert await sent(front.port, REFUSED[name] + GET) == b""


async def test_nobody_waits_for_a_header_for_ever() -> None:
    async with served(seconds=0.2) as front:
        assert await sent(front.port, b"PROXY TCP4 203") == b""


async def test_who_is_not_trusted_may_send_none(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as front:
        front.trusts.clear()
        assert await sent(front.port, b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n" + GET) == b""
        assert await sent(front.port, GET) == b""
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "127.0.0.1 is not in trusted_proxies" in line] == lines[:1]


async def test_it_stands_ahead_of_tls(tmp_path: Path) -> None:
    def visit(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
            plain.sendall(b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\r\n")
            with client_context().wrap_socket(plain, server_hostname="a.example") as secured:
                secured.sendall(GET)
                return b"".join(iter(lambda: secured.recv(4096), b""))

    async with served(tmp_path) as front:
        answer = await asyncio.to_thread(visit, front.port)
    assert answer.endswith(b"\r\n\r\n203.0.113.7 https")


class Origin(LocalOrigin):
    def do_GET(self) -> None:  # noqa: N802
        names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "X-Forwarded-Host")
        told = "|".join(self.headers.get(name, "") for name in names).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)


@pytest.mark.slow
def test_the_upstream_gets_the_address(tmp_path: Path) -> None:
    """What the visitor claims counts only where that address is a trusted proxy's, too."""
    claims = (
        b"GET /%d HTTP/1.1\r\nHost: www.example.com\r\nX-Forwarded-For: 198.51.100.1\r\n"
        b"X-Forwarded-Proto: https\r\nX-Real-IP: 198.51.100.2\r\nConnection: close\r\n\r\n"
    )
    with running(tmp_path, 1, proxy="proxy_protocol = true", origin=Origin) as (
        process,
        _,
        _,
        port,
    ):
        for number, (client, told) in enumerate(
            (
                (b"203.0.113.7", b"203.0.113.7|http||www.example.com"),
                (b"127.0.0.1", b"198.51.100.1, 127.0.0.1|https|198.51.100.2|www.example.com"),
            )
        ):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as visitor:
                visitor.sendall(b"PROXY TCP4 %b 10.0.0.1 5000 80\r\n" % client + claims % number)
                answer = b"".join(iter(lambda: visitor.recv(4096), b""))
            assert answer.rpartition(b"\r\n\r\n")[2] == told
        assert process.stop() == 0
        assert "Traceback" not in process.log
