"""A relay in front of the proxy that makes a browser look like one without fetch metadata.

Safari before 16.4, and any browser at a host without TLS, send no `Sec-Fetch-*`.
"""

from __future__ import annotations

import asyncio
import contextlib

_DROPPED = ("sec-fetch-", "connection:")


def without_fetch_metadata(head: bytes) -> bytes:
    """A request's head without `Sec-Fetch-*`, the last one of its connection."""
    start, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [f for f in fields if not f.decode("latin-1").lower().startswith(_DROPPED)]
    upgrade = any(f.lower().startswith(b"upgrade:") for f in fields)
    kept.append(b"Connection: upgrade" if upgrade else b"Connection: close")
    return b"\r\n".join((start, *kept, b"", b""))


class Relay:
    """Listens on a port of loopback, and sends on what comes to `target`, another port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            back, on = await asyncio.open_connection("127.0.0.1", self._target)
            on.write(without_fetch_metadata(head))
            sending = asyncio.create_task(_pump(reader, on))
            await _pump(back, writer)
            sending.cancel()
            on.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
