"""The product's own handler on a listener, a scripted origin, a client that sends raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from yarl import URL

from consent_rules.config.load import load_config
from proxy.app import make_handler
from proxy.cookies.signing_keys import first_keys
from proxy.http.access_record import AccessHook
from proxy.runtime import Runtime, build_runtime
from proxy.server.listener import open_listener
from proxy.server.serve import Limits, serve
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.slots import UNBOUNDED
from proxy.upstream.timeouts import DEFAULT_TIMEOUTS, Timeouts
from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Exchange:
    """One request as the origin got it. `body` is decoded when it came in chunks."""

    head: bytes
    body: bytes = b""
    chunked: bool = False

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        lines = self.head.rstrip(b"\r\n").split(b"\r\n")[1:]
        return [(name.lower(), value) for name, _, value in (x.partition(b": ") for x in lines)]

    def values(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.headers if known == name.lower()]


Script = Callable[["Visit"], Awaitable[None]]


@dataclass
class Origin:
    """An origin that does what `script` says on each connection, and remembers what it was sent."""

    script: Script
    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> URL:
        return URL(f"http://127.0.0.1:{self.port}")


@dataclass
class Visit:
    """One connection to an origin."""

    origin: Origin
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> Exchange:
        """Read one request with its body. IncompleteReadError when the proxy hangs up."""
        exchange = Exchange(await self.head())
        length = exchange.values(b"content-length")
        if exchange.values(b"transfer-encoding") == [b"chunked"]:
            exchange = Exchange(exchange.head, await self._chunks(), chunked=True)
        elif length:
            exchange = Exchange(exchange.head, await self.reader.readexactly(int(length[0])))
        self.origin.exchanges.append(exchange)
        return exchange

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
            if not size:
                return body
            body += data[:-2]

    async def send(self, data: bytes) -> None:
        if self.writer.transport.is_closing():  # uvloop's write would raise a RuntimeError
            raise ConnectionResetError("the connection is closed")
        self.writer.write(data)
        await self.writer.drain()


@contextlib.asynccontextmanager
async def origin(script: Script) -> AsyncIterator[Origin]:
    running = Origin(script)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        try:
            await script(Visit(running, reader, writer, running.connections))
        except (asyncio.IncompleteReadError, ConnectionError):
            running.lost.set()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()


def answers(*responses: bytes, keep: bool = False) -> Script:
    """Answer each request of a connection with the next of `responses`, then hang up."""

    async def script(visit: Visit) -> None:
        for response in responses:
            await visit.request()
            await visit.send(response)
        if keep:
            await visit.reader.read()

    return script


TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
"""The start of an answer that is no page, and so is relayed as it comes."""


def ok(body: bytes = b"hello", *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


CONFIG = """
[policy]
controller = "Example"
version = "2026-01-01"
url = "/privacy"

[proxy]
cache_bytes = {cache_bytes}
{proxy}trusted_proxies = []

[[site]]
name = "www"
hosts = ["*.example.com", "*.example", "localhost", "127.0.0.1", "none"]
upstream = "{upstream}"
audience = "marketing"
mode = "{mode}"
"""
"""One site without tags: what is left is forwarding."""


def forwarding_runtime(
    upstream_url: URL,
    timeouts: Timeouts | None = DEFAULT_TIMEOUTS,
    *,
    mode: str = "enforce",
    cache_bytes: int = 0,
    proxy: str = "",
) -> Runtime:
    """One site that answers to the hosts of these tests, with nothing stored unless `cache_bytes`
    says so. `proxy` are further lines of its table; `timeouts` None leaves what they say.
    """
    now = datetime.datetime.now(datetime.UTC)
    text = CONFIG.format(
        upstream=str(upstream_url).rstrip("/"), mode=mode, cache_bytes=cache_bytes, proxy=proxy
    )
    config = load_config(text, "forwarding.toml", today=now.date()).config
    with tempfile.TemporaryDirectory() as folder:
        keys = first_keys(Path(folder) / config.preferences.keys, now)
        runtime = build_runtime(config, Path(folder), lambda: keys)
    return runtime if timeouts is None else replace(runtime, timeouts=timeouts)


class _Reasons(logging.Handler):
    """What the product logs of failures."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Proxy:
    port: int
    stop: asyncio.Event
    done: asyncio.Task[None]
    pool: UpstreamPool
    logged: list[str]
    """Messages of the product at level WARNING and above."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def proxy(
    upstream_url: URL,
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    limits: Limits | None = None,
    access: AccessHook | None = None,
    current: Callable[[], Runtime] | None = None,
    send_buffer: int = 0,
    verify_tls: bool = True,
) -> AsyncIterator[Proxy]:
    """A running proxy in front of `upstream_url`. `current` replaces the runtime made for it."""
    stop = asyncio.Event()
    listener = open_listener("127.0.0.1:0")
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    if current is None:
        runtime = forwarding_runtime(upstream_url, timeouts)

        def current() -> Runtime:
            return runtime

    reasons, logger = _Reasons(), logging.getLogger("consent_proxy")
    logger.addHandler(reasons)
    async with (
        UpstreamPool(limits=lambda: current().upstream_limits, verify_tls=verify_tls) as requests,
        UpstreamPool(limits=lambda: UNBOUNDED) as tunnels,
    ):
        done = asyncio.ensure_future(
            serve(
                make_handler(current, requests, tunnels),
                listener,
                stop=stop,
                limits=limits or Limits(grace=2.0, linger=0.5),
                access=access,
            )
        )
        try:
            yield Proxy(listener.getsockname()[1], stop, done, requests, reasons.lines)
        finally:
            stop.set()
            await done
            logger.removeHandler(reasons)


@dataclass
class Client:
    """A connection to the proxy on which the test writes what it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        if self.writer.transport.is_closing():  # uvloop's write would raise a RuntimeError
            raise ConnectionResetError("the connection is closed")
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self, seconds: float = PATIENCE) -> bytes:
        """All until the proxy closes. ConnectionResetError when it cuts off."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()


@contextlib.asynccontextmanager
async def client(port: int, *, receive_buffer: int = 0) -> AsyncIterator[Client]:
    sock = socket.socket()
    if receive_buffer:  # only what is set before connecting bounds the window
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=receive_buffer or 1 << 20)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def exchange(port: int, request: bytes, seconds: float = 5) -> bytes:
    """Send `request` on a connection of its own and return all that comes back until it closes."""
    async with client(port) as connection:
        await connection.send(request)
        return await connection.rest(seconds)


def get(path: bytes = b"/", *headers: bytes, method: bytes = b"GET") -> bytes:
    """A request that asks for the connection to be closed after the answer."""
    lines = [
        method + b" " + path + b" HTTP/1.1",
        b"Host: www.example.com",
        b"Connection: close",
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def body_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def header_values(response: bytes, name: bytes) -> list[bytes]:
    head = response.partition(b"\r\n\r\n")[0]
    pairs = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    return [value for known, _, value in pairs if known.lower() == name.lower()]


def unchunk(body: bytes) -> bytes:
    """Decode a chunked body. ValueError when it does not end properly."""
    out = b""
    while True:
        size, found, body = body.partition(b"\r\n")
        if not found:
            raise ValueError("the chunked body is cut off")
        length = int(size, 16)
        if length == 0:
            if body != b"\r\n":
                raise ValueError(f"after the last chunk: {body!r}")
            return out
        out += body[:length]
        body = body[length + 2 :]
