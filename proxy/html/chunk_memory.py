"""The compiled chunks of pages that were streamed, to be sent again while the bytes are the same.

A streamed page is compared chunk by chunk with the one that came from its address before. What a
chunk compiles to follows from the bytes up to its end and nothing else; so as long as these are
equal, byte for byte, the chunk of before is the chunk of now, whatever the header fields say and
wherever the network cut the bytes. At the first difference a compiler goes on from the state
that the earlier one had there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from cachetools import LRUCache

from proxy.html.incremental import CompiledChunk, IncrementalCompiler

_MAX_SHARE = 4
"""No page takes more than this part of the budget, and no more pages are recorded at a time."""
_COMPILER_BYTES = 2048


@dataclass(frozen=True, slots=True)
class KnownChunk:
    """A chunk, and the compiler's state behind it: to be copied, never to be used itself."""

    chunk: CompiledChunk
    after: IncrementalCompiler

    @property
    def size(self) -> int:
        page = self.chunk.page
        return len(page.body) + 400 * len(page.gates) + _COMPILER_BYTES


class RememberingCompiler:
    """An `IncrementalCompiler` that sends the chunks it knows again, and records those it compiles
    while these take no more than `limit` bytes. Not thread-safe.
    """

    def __init__(
        self, compiler: IncrementalCompiler, known: Sequence[KnownChunk] = (), limit: int = 0
    ) -> None:
        self._compiler = compiler
        self._known = known
        self._replayed = 0
        self._replays = bool(known)
        self._held: list[bytes] = []
        self._recorded: list[KnownChunk] | None = [] if limit else None
        self._room = limit
        self.at_end = False
        """Whether the last chunk was taken."""
        self.page: tuple[KnownChunk, ...] | None = None
        """The page's chunks, once the last is compiled, if any had to be and all were recorded."""

    @property
    def held(self) -> int:
        """Buffered bytes that are in no chunk yet."""
        return sum(map(len, self._held)) if self._replays else self._compiler.held

    @property
    def has_known(self) -> bool:
        """Whether a known chunk is buffered as a whole: nothing has to be read for it."""
        return self._replays and self._next_known(last=False) is not None

    def add(self, data: bytes) -> None:
        if self._replays:
            self._held.append(data)
        else:
            self._compiler.add(data)

    def replays(self, *, last: bool, overdue: bool) -> bool:
        """Whether the next chunk is known, or may still prove to be. If not, or if it is `overdue`,
        the compiler takes over.
        """
        if not self._replays:
            return False
        if self._next_known(last=last) is not None:
            return True
        expected = self._known[self._replayed].chunk.page.body
        if not last and not overdue and expected.startswith(self._joined()):
            return True
        self._take_over()
        return False

    def take(self, *, last: bool = False) -> CompiledChunk | None:
        """The next chunk; None until it is complete. See `IncrementalCompiler.take`."""
        if not self._replays:
            return self._compiled(last=last)
        known = self._next_known(last=last)
        if known is not None:
            self._held = [self._joined()[len(known.page.body) :]]
            self._replayed += 1
            self.at_end = self._replayed == len(self._known)
        return known

    def _next_known(self, *, last: bool) -> CompiledChunk | None:
        held, chunk = self._joined(), self._known[self._replayed].chunk
        is_last = self._replayed == len(self._known) - 1
        # The last one was compiled with the end behind it, no other one was.
        same = last and held == chunk.page.body if is_last else held.startswith(chunk.page.body)
        return chunk if same else None

    def _joined(self) -> bytes:
        if len(self._held) != 1:
            self._held = [b"".join(self._held)]
        return self._held[0]

    def _take_over(self) -> None:
        same = self._known[: self._replayed]
        if same:
            self._compiler = same[-1].after.resumed()
        self._compiler.add(self._joined())
        self._held, self._replays = [], False
        for one in same:
            self._record(one)

    def _compiled(self, *, last: bool) -> CompiledChunk | None:
        chunk = self._compiler.take(last=last)
        self.at_end = last
        if chunk is None or self._recorded is None:
            return chunk
        if not self._compiler.follows_from_chunks:
            self._recorded = None
            return chunk
        self._record(KnownChunk(chunk, self._compiler.resumed()))
        if last and self._recorded:
            self.page = tuple(self._recorded)
        return chunk

    def _record(self, chunk: KnownChunk) -> None:
        if self._recorded is None:
            return
        self._room -= chunk.size
        if self._room < 0:
            self._recorded = None
        else:
            self._recorded.append(chunk)


class ChunkMemory:
    """The streamed pages of one worker, within a budget of bytes. What is being recorded for those
    who come later takes no more than as much again.
    """

    def __init__(self, budget: int) -> None:
        self._pages: LRUCache[Hashable, tuple[KnownChunk, ...]] = LRUCache(
            budget, getsizeof=lambda page: sum(one.size for one in page)
        )
        self._largest = budget // _MAX_SHARE
        self._recording: WeakValueDictionary[Hashable, RememberingCompiler] = WeakValueDictionary()

    def compiler(self, address: Hashable, compiler: IncrementalCompiler) -> RememberingCompiler:
        """A compiler for a page of an address, which names all that decides beside the bytes."""
        # Of many who ask at once one records: each would hold the whole page until its end.
        records = address not in self._recording and len(self._recording) < _MAX_SHARE
        remembering = RememberingCompiler(
            compiler, self._pages.get(address, ()), self._largest if records else 0
        )
        if records:
            self._recording[address] = remembering
        return remembering

    def keep(self, address: Hashable, compiler: RememberingCompiler) -> None:
        """Its page is at its end."""
        if self._recording.get(address) is compiler:
            del self._recording[address]
        if compiler.page is not None:
            self._pages[address] = compiler.page
