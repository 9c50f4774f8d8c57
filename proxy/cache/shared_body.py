"""A body that is still arriving, read by several visitors at once.

The fetch reads as fast as the upstream sends; each visitor reads at their own pace. A body that
turns out too large to store is streamed to the leader only, at that visitor's pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import ClientPayloadError

from proxy.upstream.body import BodySource

_SLICE = 256 * 1024
"""Maximum bytes of one read."""


class SharedBody:
    """The bytes of a body so far.

    `whole`: it is complete. `too_large`: it is collected no further. `private`: it contains values
    of the leader's request, so that followers may not read on. `failure`: the upstream's connection
    broke.
    """

    def __init__(self, source: BodySource) -> None:
        self.source = source
        self.chunks: list[bytes] = []
        self.size = 0
        self.whole = False
        self.too_large = False
        self.private = False
        self.failure: BaseException | None = None
        self._tail = b""
        self._changed: asyncio.Event = asyncio.Event()

    def add(self, chunk: bytes, values: Sequence[bytes] = ()) -> None:
        """Append bytes; where they contain one of `values`, the body is private."""
        if values and not self.private:
            text = self._tail + chunk
            if any(value in text for value in values):
                self.make_private()
            self._tail = text[1 - max(map(len, values)) :]
        self.chunks.append(chunk)
        self.size += len(chunk)
        self._wake()

    def finish(self) -> bytes:
        """The body is complete. Returns it."""
        body = b"".join(self.chunks)
        self.whole = True
        self._wake()
        return body

    def give_up(self) -> None:
        """Stop collecting."""
        self.too_large = True
        self._wake()

    def make_private(self) -> None:
        self.private = True
        self._wake()

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self._wake()

    def _wake(self) -> None:
        # Who waits holds the old event; the next to wait gets a new one.
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        await self._changed.wait()


class SharedBodyReader:
    """One visitor's position in a shared body. A `BodySource`. `is_leader` is for the visitor whose
    request is in flight.
    """

    __slots__ = ("_body", "_is_leader", "_next")

    def __init__(self, body: SharedBody, *, is_leader: bool) -> None:
        self._body = body
        self._is_leader = is_leader
        self._next = 0

    @property
    def declared_length(self) -> int | None:
        return self._body.source.declared_length

    def read_nowait(self) -> bytes:
        chunks = self._body.chunks
        if self._is_withdrawn():
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
        body = self._body
        if self._next < len(body.chunks):
            return False
        if body.too_large:
            return body.source.at_eof()
        return body.whole

    async def readany(self) -> bytes:
        """The next bytes; b"" at the end. Raises the upstream's failure."""
        body = self._body
        while self._next >= len(body.chunks) and not self._is_withdrawn():
            if body.too_large:
                return await body.source.readany()
            if body.whole:
                return b""
            if body.failure is not None:
                raise body.failure
            await body.change()
        return self.read_nowait()

    def _is_withdrawn(self) -> bool:
        return not self._is_leader and (self._body.private or self._body.too_large)
