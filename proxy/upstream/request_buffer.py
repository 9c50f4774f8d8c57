"""The part of a request's body that is read before an upstream connection is taken.

A visitor who sends slowly would hold the connection meanwhile. In memory at first, then in a file
that has no name, so that nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO

IN_MEMORY = 64 * 1024
_STEP = 64 * 1024


@dataclass(slots=True)
class DiskBudget:
    """Bytes that all buffers of a worker may have on disk. Beyond it bodies are streamed."""

    limit: int = 2**30
    used: int = 0

    @property
    def is_spent(self) -> bool:
        return self.used >= self.limit


class RequestBuffer:
    """Bytes in their order, written once; read once, or again while `rereadable` is set."""

    def __init__(self, budget: DiskBudget) -> None:
        self.size = 0
        self.rereadable = False
        self._was_read = False
        self._budget = budget
        self._chunks: list[bytes] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self._filed = 0

    async def add(self, chunk: bytes) -> None:
        """Raises OSError where the disk is full."""
        self._chunks.append(chunk)
        self._held += len(chunk)
        self.size += len(chunk)
        if self._held > IN_MEMORY:
            await self._write()

    async def _write(self) -> None:
        file = self._file
        if file is None:
            file = self._file = await asyncio.to_thread(tempfile.TemporaryFile)
        await asyncio.to_thread(file.write, b"".join(self._chunks))
        self._budget.used += self._held
        self._filed += self._held
        self._chunks, self._held = [], 0

    async def read(self) -> AsyncIterator[bytes]:
        """All bytes, from the first on; none is left afterwards unless `rereadable` is set."""
        file, chunks, at = self._file, self._chunks, 0
        if file is not None:
            await asyncio.to_thread(file.flush)
            # Into memory of the loop's thread: what another one allocates, glibc keeps for it, and
            # each of them would come to hold as much as its busiest moment needed.
            read = bytearray(_STEP)
            # By position: a reader that was cancelled may still be at work in its thread.
            while size := await asyncio.to_thread(os.preadv, file.fileno(), [read], at):
                yield bytes(memoryview(read)[:size])
                at += size
        for chunk in chunks:
            yield chunk
        self._was_read = True
        if not self.rereadable:
            self.close()

    def forget(self) -> None:
        """What was read is not needed again."""
        self.rereadable = False
        if self._was_read:
            self.close()

    def close(self) -> None:
        """Give back memory and disk."""
        self._chunks, self._held = [], 0
        if self._file is not None:
            self._file.close()
            self._file = None
            self._budget.used -= self._filed
            self._filed = 0
