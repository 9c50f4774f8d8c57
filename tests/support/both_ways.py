"""What a visitor gets, an origin is asked and a log says: for comparing a short way with the full
path.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.http.access_record import Access
from tests.support.forwarding import Visit
from tests.support.waiting import PATIENCE


def fields(head: bytes) -> list[bytes]:
    lines = head.rstrip(b"\r\n").split(b"\r\n")
    return [line for line in lines if not line.lower().startswith(b"x-request-id:")]


def told(access: Access) -> tuple[object, ...]:
    return (
        access.method, access.target, access.status, access.site, access.cache, access.page,
        access.unreadable_choice, access.logged_path, access.device, bool(access.upstream),
        access.upstream_seconds is None,
    )  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What the origin sends to one request, in pieces that end at `cuts`; then it hangs up, or
    goes on.
    """

    data: bytes
    cuts: tuple[int, ...] = ()
    closes: bool = False

    async def send(self, visit: Visit) -> bool:
        """Whether the connection stays open."""
        at = 0
        for cut in (*self.cuts, len(self.data)):
            if cut > at:
                await visit.send(self.data[at:cut])
                await asyncio.sleep(0.001)
            at = max(at, cut)
        return not self.closes


async def at_once() -> None:
    """Wait for nothing."""


async def raw(port: int, request: bytes, is_read: Callable[[], Awaitable[None]] = at_once) -> bytes:
    """All that comes for a request; the fields of its heads sorted. "reset" where the connection
    was. Nothing is sent behind the request before `is_read` returns.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(request)
    await is_read()
    # The end of a response is that of its connection: a second request, which is malformed.
    writer.write(b"nonsense\r\n\r\n")
    data = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while piece := await reader.read(1 << 16):
                data += piece
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()
    heads, rest = b"", _NAME.sub(b"a name", data)
    while rest.startswith(b"HTTP/1.1 "):
        head, _, rest = rest.partition(b"\r\n\r\n")
        heads += b"\r\n".join([*sorted(head.split(b"\r\n")), b"", b""])
    return heads + rest


_NAME = re.compile(rb"\b[0-9a-f]{16}\b")
