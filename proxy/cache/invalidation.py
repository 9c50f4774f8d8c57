"""Invalidations that all workers share: purged URLs and unsafe methods (RFC 9111, 4.4).

Each worker stores its own responses, but a purge reaches one of them only. So the times of purges
and invalidations are in memory that is shared by all workers: made before they are forked, read
before every use. A response that was requested before its URL's time is not used, whether it is
stored already or still in flight. URLs share slots by a hash: a collision costs one more request to
the upstream, nothing else. Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass
from zlib import crc32

_SLOTS = 1 << 15
_NUMBER = 8
"""Bytes of a time or a count."""
_RECENT = 32
_PREFIX = 1024
_MESSAGE = struct.Struct(f"<dH{_PREFIX}s")
_MESSAGES_AT = _SLOTS * _NUMBER
_COUNT_AT = _MESSAGES_AT + _RECENT * _MESSAGE.size
_SIZE = _COUNT_AT + _NUMBER


@dataclass(frozen=True, slots=True)
class PrefixPurge:
    """A purge of everything under a prefix ("host/path") that was requested before `at`."""

    at: float
    prefix: str


class InvalidationTable:
    """Shared by the workers that are forked after it is made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)
        # Read for each hit: as numbers that stand there, without a call that unpacks them.
        view = memoryview(self._memory)
        self._times = view[:_MESSAGES_AT].cast("d")
        self._count = view[_COUNT_AT:].cast("Q")

    def slot(self, place: str) -> int:
        """The slot of a URL ("host/path?query")."""
        return crc32(place.encode("utf-8", "surrogatepass")) & (_SLOTS - 1)

    def invalidated_at(self, slot: int) -> float:
        """When a URL was last invalidated; 0.0 for never."""
        return self._times[slot]

    def invalidate(self, place: str) -> None:
        """Invalidate a URL."""
        self._times[self.slot(place)] = time.monotonic()

    def purge_prefix(self, prefix: str) -> None:
        """Invalidate everything that starts so; a very long prefix is shortened."""
        text = prefix.encode("utf-8", "surrogatepass")[:_PREFIX]
        count = self.count()
        # Two purges at the same moment may take the same place. The admin listener is one
        # operator's, and the second one's result says how much is left.
        at = _MESSAGES_AT + (count % _RECENT) * _MESSAGE.size
        _MESSAGE.pack_into(self._memory, at, time.monotonic(), len(text), text)
        self._count[0] = count + 1

    def count(self) -> int:
        """The number of prefix purges so far."""
        return self._count[0]

    def prefixes(self, since: int = 0) -> list[PrefixPurge]:
        """The purges after the first `since`. Where some were overwritten, the first one returned
        covers everything.
        """
        count = self.count()
        found: list[PrefixPurge] = []
        if count - since > _RECENT:
            since = count - _RECENT
            first = self._message(since)
            found.append(PrefixPurge(first.at, ""))
        found += [self._message(number) for number in range(since, count)]
        return found

    def _message(self, number: int) -> PrefixPurge:
        at, length, text = _MESSAGE.unpack_from(
            self._memory, _MESSAGES_AT + (number % _RECENT) * _MESSAGE.size
        )
        return PrefixPurge(at, text[:length].decode("utf-8", "surrogatepass"))
