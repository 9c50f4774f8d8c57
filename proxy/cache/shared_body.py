"""A body that is still coming, read by several at once.

The one who fetches it reads as fast as the upstream sends; each visitor takes it at a pace of
their own. A body that turns out too large to keep goes on for the one who asked first only, at
that visitor's pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiohttp import ClientPayloadError

_SLICE = 256 * 1024
"""Bytes handed out at once of what is here already."""


class Source(Protocol):
    """Where bytes come from: aiohttp's StreamReader, or a `Reader`."""

    def read_nowait(self) -> bytes: ...
    def at_eof(self) -> bool: ...
    async def readany(self) -> bytes: ...


class SharedBody:
    """What has come of a body so far. `whole` once all of it is here, `too_large` once it will
    not be collected further, `failure` when it broke off.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.chunks: list[bytes] = []
        self.size = 0
        self.whole = False
        self.too_large = False
        self.private = False
        self._tail = b""
        self.failure: BaseException | None = None
        self._changed: asyncio.Event = asyncio.Event()

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.size += len(chunk)
        self._wake()

    def add_shown(self, chunk: bytes, values: Sequence[bytes]) -> None:
        """Add what has come; where one of `values` stands in it, it is no longer shared."""
        if values and not self.private:
            text = self._tail + chunk
            if any(value in text for value in values):
                self.make_private()
            self._tail = text[1 - max(map(len, values)) :]
        self.add(chunk)

    def finish(self) -> bytes:
        """All has come. Returns the body."""
        body = b"".join(self.chunks)
        self.whole = True
        self._wake()
        return body

    def give_up(self) -> None:
        """Collect no further."""
        self.too_large = True
        self._wake()

    def make_private(self) -> None:
        """What comes belongs to the visitor who asked first: no other reads on."""
        self.private = True
        self._wake()

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self._wake()

    def _wake(self) -> None:
        # Who waits holds the old event; the next to wait gets a new one.
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def over(self) -> bool:
        return self.whole or self.too_large or self.failure is not None

    async def change(self) -> None:
        await self._changed.wait()


class SharedBodyReader:
    """One visitor's place in a growing body. A `Source`."""

    def __init__(self, growing: SharedBody, *, shared: bool = False) -> None:
        self._growing = growing
        self._shared = shared
        self._next = 0

    def read_nowait(self) -> bytes:
        chunks = self._growing.chunks
        if self._shared and self._growing.private:
            raise ClientPayloadError("the rest of it belongs to the visitor who asked first")
        if self._next >= len(chunks):
            return b""
        taken: list[bytes] = []
        size = 0
        while self._next < len(chunks) and size < _SLICE:
            taken.append(chunks[self._next])
            size += len(chunks[self._next])
            self._next += 1
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def at_eof(self) -> bool:
        growing = self._growing
        if self._next < len(growing.chunks):
            return False
        if growing.too_large:
            return growing.source.at_eof()
        return growing.whole

    async def readany(self) -> bytes:
        """The next bytes; b"" at the end. Raises what the upstream's failure raised."""
        growing = self._growing
        while self._next >= len(growing.chunks) and not (self._shared and growing.private):
            if growing.too_large:
                return await growing.source.readany()
            if growing.whole:
                return b""
            if growing.failure is not None:
                raise growing.failure
            await growing.change()
        return self.read_nowait()
