"""Names for engines that cannot be told where hosts are: a DNS server in a namespace of its own.

`scripts/loopback-only COMMAND` runs a command where the only network is loopback and the system's
resolver is 127.0.0.1, port 53; there this server answers.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

from e2e.engines.driver import Name, NoBrowserError

_A, _IN = 1, 1
_RESPONSE, _ANSWER_HERE = 0x8180, 0xC00C
_QUESTION = 12
"""Where the question begins: behind the header (RFC 1035, 4.1.1)."""


def is_loopback_only() -> bool:
    """Whether this process runs under scripts/loopback-only."""
    return "nameserver 127.0.0.1\n" in Path("/etc/resolv.conf").read_text(encoding="utf-8")


def reply(query: bytes, names: Sequence[Name]) -> bytes:
    """The answer to a query: the address of the name that the host holds, else no record."""
    labels, at = [], _QUESTION
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    end = at + 5
    kind, _ = struct.unpack("!HH", query[at + 1 : end])
    host = ".".join(labels)
    address = next((name.address for name in names if name.host in host), "")
    found = bool(address) and kind == _A
    header = query[:2] + struct.pack("!HHHHH", _RESPONSE, 1, found, 0, 0)
    if not found:
        return header + query[_QUESTION:end]
    record = struct.pack("!HHHIH", _ANSWER_HERE, _A, _IN, 0, 4) + IPv4Address(address).packed
    return header + query[_QUESTION:end] + record


class _Resolver(asyncio.DatagramProtocol):
    def __init__(self, names: Sequence[Name]) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None
        self.closed = asyncio.Event()

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(reply(data, self._names), addr)


@asynccontextmanager
async def resolver(names: Sequence[Name]) -> AsyncIterator[None]:
    """Answer for these names. NoBrowserError outside of scripts/loopback-only."""
    if not is_loopback_only():
        raise NoBrowserError(
            "names lead to this machine only under scripts/loopback-only: `make test-engines` "
            "runs the tests there"
        )
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Resolver(names), ("127.0.0.1", 53), family=socket.AF_INET
    )
    try:
        yield
    finally:
        transport.close()
        # The port is free only then; the next one binds it at once.
        await protocol.closed.wait()
