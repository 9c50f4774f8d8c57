"""The PROXY protocol, versions 1 and 2: who the visitor behind a load balancer is.

https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt. The header comes first on a connection,
ahead of TLS, once. It is read exactly: what follows it stays in the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

_log = logging.getLogger("consent_proxy.server")

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIRST = 15
"""Bytes that each header has at least: "PROXY UNKNOWN\\r\\n"; version 2 has 16."""
_MAX_LINE = 107
_MAX_V2 = 4096
"""Bytes behind the first 16. With a client's certificate and AWS's fields they are below 1,000."""
_V1 = re.compile(rb"PROXY (TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_LOCAL, _PROXY = 0x20, 0x21
_NAMES_NOBODY = frozenset({0x00, 0x31})  # unspecified; a Unix socket
_ADDRESS_BYTES = {0x11: 4, 0x21: 16}
_SSL_TLV = 0x20
_CLIENT_SSL = 0x01


class ProxyHeaderError(ValueError):
    """What a connection began with is no PROXY header."""


@dataclass(frozen=True, slots=True)
class Client:
    """Whom a header names. `secure`: the load balancer says that it ended TLS (version 2)."""

    address: str
    secure: bool = False


def parse_v1(line: bytes) -> Client | None:
    """The client of a line that ends in CRLF; None for UNKNOWN. Raises ProxyHeaderError."""
    if _UNKNOWN.fullmatch(line):
        return None
    found = _V1.fullmatch(line)
    if found is None:
        raise ProxyHeaderError("malformed line")
    family = IPv4Address if found[1] == b"TCP4" else IPv6Address
    try:
        source, _ = (family(found[at].decode("ascii")) for at in (2, 3))
    except ValueError:
        raise ProxyHeaderError("malformed address") from None
    if max(int(found[4]), int(found[5])) > 65535:
        raise ProxyHeaderError("malformed port")
    return Client(str(source))


def length_v2(head: bytes) -> int:
    """How many bytes follow the first 16 of a header. Raises ProxyHeaderError."""
    length = int.from_bytes(head[14:16], "big")
    if head[12] not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"version and command {head[12]:#04x} are not known")
    if length > _MAX_V2:
        raise ProxyHeaderError(f"{length} bytes are too many")
    return length


def parse_v2(head: bytes, rest: bytes) -> Client | None:
    """The client of a binary header; None where it names nobody, as those of health checks do.
    Raises ProxyHeaderError.
    """
    command, family = head[12], head[13]
    if command == _LOCAL or family in _NAMES_NOBODY:
        return None
    size = _ADDRESS_BYTES.get(family)
    if size is None:
        raise ProxyHeaderError(f"address family and protocol {family:#04x} are not those of TCP")
    if len(rest) < 2 * size + 4:
        raise ProxyHeaderError("truncated addresses")
    return Client(str(ip_address(rest[:size])), _is_secure(rest[2 * size + 4 :]))


def _is_secure(fields: bytes) -> bool:
    at, secure = 0, False
    while at < len(fields):
        length = int.from_bytes(fields[at + 1 : at + 3], "big")
        end = at + 3 + length
        if at + 3 > len(fields) or end > len(fields):
            raise ProxyHeaderError("truncated fields")
        if fields[at] == _SSL_TLV and length >= 5:
            secure = bool(fields[at + 3] & _CLIENT_SSL)
        at = end
    return secure


async def read_header(sock: socket.socket) -> Client | None:
    """Read a connection's header, and nothing behind it. Raises ProxyHeaderError, OSError."""
    begun = await _exactly(sock, _FIRST)
    if begun.startswith(SIGNATURE):
        head = begun + await _exactly(sock, 16 - _FIRST)
        return parse_v2(head, await _exactly(sock, length_v2(head)))
    if begun.startswith(b"PROXY "):
        return parse_v1(await _line(sock, begun))
    raise ProxyHeaderError("there is none")


async def _exactly(sock: socket.socket, number: int) -> bytes:
    loop, found = asyncio.get_running_loop(), b""
    while len(found) < number:
        more = await loop.sock_recv(sock, number - len(found))
        if not more:
            raise ProxyHeaderError("the connection was closed within it")
        found += more
    return found


async def _line(sock: socket.socket, begun: bytes) -> bytes:
    while not begun.endswith(b"\n"):
        if len(begun) >= _MAX_LINE:
            raise ProxyHeaderError("the line is too long")
        begun += await _exactly(sock, 1)
        if begun.endswith(b"\n"):
            break
        with contextlib.suppress(BlockingIOError):
            waiting = sock.recv(_MAX_LINE - len(begun), socket.MSG_PEEK) if _room(begun) else b""
            end = waiting.find(b"\n") + 1 or len(waiting)
            begun += sock.recv(end) if end else b""
    return begun


def _room(begun: bytes) -> bool:
    return len(begun) < _MAX_LINE


class ConnectionFactory(Protocol):
    """Makes the protocol of a connection from the client that its header names."""

    def __call__(self, client: Client | None = None, /) -> asyncio.Protocol: ...


def accept_proxied(
    listener: socket.socket,
    make: ConnectionFactory,
    may_send: Callable[[str], bool],
    tls: ssl.SSLContext | None,
    seconds: float,
) -> Callable[[], None]:
    """Accept connections that begin with a PROXY header; the returned function ends that, and
    closes the listener.

    `may_send` says of a peer's address ("": of a Unix socket) whether it may send one: others are
    closed at once, as is what sends no header within `seconds`.
    """
    loop = asyncio.get_running_loop()
    greeted: set[asyncio.Task[None]] = set()
    warn = _Warnings()

    async def accept() -> None:
        while True:
            try:
                sock, peer = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    continue  # that connection is gone already
                _log.error("no connection can be accepted: %s", error.strerror)
                await asyncio.sleep(1)
                continue
            address = peer[0] if isinstance(peer, tuple) else ""
            if not may_send(address):
                warn.untrusted(address)
                sock.close()
                continue
            task = loop.create_task(greet(sock))
            greeted.add(task)
            task.add_done_callback(greeted.discard)

    async def greet(sock: socket.socket) -> None:
        sock.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                client = await read_header(sock)
        except (OSError, TimeoutError, ProxyHeaderError) as error:
            sock.close()
            warn.malformed(error)
            return
        with contextlib.suppress(OSError):  # of the TLS handshake: the transport is closed
            await loop.connect_accepted_socket(
                partial(make, client),
                sock,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else seconds,
            )

    accepting = loop.create_task(accept())

    def stop() -> None:
        accepting.add_done_callback(lambda _: listener.close())
        accepting.cancel()

    return stop


class _Warnings:
    """What is wrong with connections, a line a minute at most: anybody can make one."""

    def __init__(self) -> None:
        self._next = 0.0

    def _is_due(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return False
        self._next = now + 60
        return True

    def untrusted(self, address: str) -> None:
        if not self._is_due():
            return
        peer = "a peer on the Internet"  # perhaps a visitor, whose address is in no log
        with contextlib.suppress(ValueError):
            if ip_address(address).is_private:
                peer = address
        _log.warning(
            "%s is not in trusted_proxies: with proxy_protocol only those may connect. Its "
            "connection is closed",
            peer,
        )

    def malformed(self, error: Exception) -> None:
        if isinstance(error, ProxyHeaderError) and self._is_due():
            _log.warning(
                "a connection of a trusted proxy was closed, for it had no PROXY header (%s). "
                "Let that proxy send one (nginx: proxy_protocol on; HAProxy: send-proxy-v2), or "
                "set proxy_protocol = false",
                error,
            )
