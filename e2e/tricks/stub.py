"""The closed hosts, played on loopback ports: one a trick, so that what arrives tells which.

What counts is what reaches a socket: a connection, a first line, a datagram. Nothing is taken
from the browser's word.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

_PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_TLS_HANDSHAKE = 0x16
_PORTS = (80, 443, 8443)
_TYPES = {"js": "text/javascript", "css": "text/css", "html": "text/html", "json": "text/json"}


@dataclass(slots=True)
class Arrivals:
    """What reached one closed host. `requests` are first lines (or what else came first)."""

    connections: int = 0
    requests: list[str] = field(default_factory=list)
    first_at: float = 0.0
    """When the first of them came, by the monotonic clock; 0.0 while nothing has."""
    _any: asyncio.Event = field(default_factory=asyncio.Event)
    _request: asyncio.Event = field(default_factory=asyncio.Event)

    def connected(self) -> None:
        self.first_at = self.first_at or time.monotonic()
        self.connections += 1
        self._any.set()

    def asked(self, what: str) -> None:
        self.first_at = self.first_at or time.monotonic()
        self.requests.append(what)
        self._any.set()
        self._request.set()

    def fired(self, connection: bool) -> bool:
        """Whether what a trick makes has arrived."""
        return bool(self.requests) or (connection and bool(self.connections))

    async def wait(self, *, connection: bool, seconds: float) -> None:
        """Until something has arrived: a request, or a connection if that is enough."""
        event = self._any if connection else self._request
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), max(0.0, seconds))


@dataclass(slots=True)
class ClosedHost:
    """One closed host: its port, for TCP and UDP, and what arrived.

    With an `address` it answers there too, at the ports that the rows' URLs have: for browsers
    that cannot be told a port.
    """

    address: str = ""
    port: int = 0
    arrivals: Arrivals = field(default_factory=Arrivals)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _datagrams: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        first = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = first.sockets[0].getsockname()[1]
        self._servers.append(first)
        for port in _PORTS if self.address else ():
            self._servers.append(await asyncio.start_server(self._answer, self.address, port))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # the same number may be taken for UDP
            self._datagrams, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self.arrivals), ("127.0.0.1", self.port)
            )

    def stop(self) -> None:
        for server in self._servers:
            server.close()
        if self._datagrams is not None:
            self._datagrams.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrivals.connected()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._answer_one(reader, writer):
                pass
        writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        start = await reader.read(1)
        if not start:
            return False
        if start[0] == _TLS_HANDSHAKE:
            self.arrivals.asked("a TLS handshake")
            return False
        if not start.isalpha():
            self.arrivals.asked(f"bytes that begin with {start!r}")
            return False
        head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip().split("\r\n")
        self.arrivals.asked(line)
        headers = {k.strip().lower(): v.strip() for k, _, v in (f.partition(":") for f in fields)}
        if length := int(headers.get("content-length", "0")):
            await reader.readexactly(length)
        writer.write(_reply(line, headers))
        await writer.drain()
        return "upgrade" not in headers


def _reply(line: str, headers: dict[str, str]) -> bytes:
    target = line.split()[1] if line.count(" ") >= 2 else "/"
    kind = _TYPES.get(target.partition("?")[0].rpartition(".")[2], "image/gif")
    body = _PIXEL if kind == "image/gif" else b" "
    origin = headers.get("origin", "*")
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n"
        "Access-Control-Allow-Headers: *\r\nAccess-Control-Allow-Private-Network: true\r\n"
        "Cache-Control: no-store\r\n\r\n"
    ).encode() + body


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._arrivals.asked(f"a datagram of {len(data)} bytes")
