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
_TIME = struct.Struct("<d")
_RECENT = 32
_PREFIX = 1024
_MESSAGE = struct.Struct(f"<dH{_PREFIX}s")
_MESSAGES_AT = _SLOTS * _TIME.size
_COUNT_AT = _MESSAGES_AT + _RECENT * _MESSAGE.size
_COUNT = struct.Struct("<Q")
_SIZE = _COUNT_AT + _COUNT.size


@dataclass(frozen=True, slots=True)
class PrefixPurge:
    """A purge of everything under a prefix ("host/path") that was requested before `at`."""

    at: float
    prefix: str


class InvalidationTable:
    """Shared by the workers that are forked after it is made."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    def slot(self, place: str) -> int:
        """The slot of a URL ("host/path?query")."""
        return (crc32(place.encode("utf-8", "surrogatepass")) & (_SLOTS - 1)) * _TIME.size

    def invalidated_at(self, slot: int) -> float:
        """When a URL was last invalidated; 0.0 for never."""
        time_: float = _TIME.unpack_from(self._memory, slot)[0]
        return time_

    def invalidate(self, place: str) -> None:
        """Invalidate a URL."""
        _TIME.pack_into(self._memory, self.slot(place), time.monotonic())

    def purge_prefix(self, prefix: str) -> None:
        """Invalidate everything that starts so; a very long prefix is shortened."""
        text = prefix.encode("utf-8", "surrogatepass")[:_PREFIX]
        count = self.count()
        # Two purges at the same moment may take the same place. The admin listener is one
        # operator's, and the second one's result says how much is left.
        at = _MESSAGES_AT + (count % _RECENT) * _MESSAGE.size
        _MESSAGE.pack_into(self._memory, at, time.monotonic(), len(text), text)
        _COUNT.pack_into(self._memory, _COUNT_AT, count + 1)

    def count(self) -> int:
        """The number of prefix purges so far."""
        number: int = _COUNT.unpack_from(self._memory, _COUNT_AT)[0]
        return number

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
