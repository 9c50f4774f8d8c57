"""The tenth of the table that `make test` tries in Firefox and in WebKit."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from e2e.tricks.table import Trick


def tenth(rows: Iterable[Trick], engine: str) -> frozenset[int]:
    """Numbers of rows that count in the engine: every tenth, one of each channel at least, and all
    that have got through in it before.

    By the hash of the row's name: a row stays chosen, or is not, whatever other rows come.
    """
    counting = [t for t in rows if t.counts(engine) and engine not in t.later_than]
    chosen = {trick.number for trick in counting if engine in trick.leaked_in}
    chosen |= {trick.number for trick in counting if _hash(trick) % 10 == 0}
    lowest: dict[str, Trick] = {}
    for trick in sorted(counting, key=_hash):
        lowest.setdefault(trick.channel, trick)
    return frozenset(chosen | {trick.number for trick in lowest.values()})


def _hash(trick: Trick) -> int:
    return crc32(trick.id.encode())
