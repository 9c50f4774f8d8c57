"""Find or compile the blocks of what pages of a site may share, by their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from proxy.html.block_compile import BlockReading, block_of
from proxy.html.block_ends import Surroundings, possible_ends
from proxy.html.block_memory import Block, BlockKey, BlockMemory, KnownBlock, NoBlock, Site
from proxy.html.source import Source

_MOST_ENDS = 256
_FEW_ENDS = 8
"""Of those that `block_ends` names, how many one block may go on over, and mostly does."""


class Cut(NamedTuple):
    """A page, or a part of one, where its blocks are to end, the hashes of these, and whether
    earlier pages seem to have had them. Python's own hashes, which take a third of the time: by
    them alone is decided whether blocks are worthwhile, not what any of them is.
    """

    source: Source
    site: Site
    begin: int
    ends: Sequence[int]
    hashes: list[int]
    seen: list[bool]

    @property
    def text(self) -> bytes:
        return self.source.body[self.begin : self.ends[-1]]

    def start(self, number: int) -> int:
        return self.ends[number - 1] if number else self.begin

    def digest(self, number: int) -> bytes:
        return hashlib.sha256(self.source.body[self.start(number) : self.ends[number]]).digest()

    def is_page_end(self, number: int) -> bool:
        return self.ends[number] == len(self.source.body)

    def runs(self) -> list[tuple[int, bool]]:
        """How long the parts are that earlier pages had, or not."""
        runs: list[tuple[int, bool]] = []
        for (start, end), is_seen in zip(
            pairwise((self.begin, *self.ends)), self.seen, strict=True
        ):
            before = runs.pop()[0] if runs and runs[-1][1] == is_seen else 0
            runs.append((before + end - start, is_seen))
        return runs


def cut_at(begin: int, ends: Sequence[int], source: Source, site: Site, memory: BlockMemory) -> Cut:
    spans = pairwise((begin, *ends))
    hashes = [hash(source.body[start:end]) for start, end in spans]
    return Cut(source, site, begin, ends, hashes, memory.seen(site.boundary, hashes))


class Placed(NamedTuple):
    """A block of a page, and where it stands."""

    start: int
    end: int
    block: Block
    key: BlockKey


def blocks_in(
    cut: Cut, around: Surroundings | None, reading: BlockReading, memory: BlockMemory
) -> list[Placed] | NoBlock:
    """The blocks of a cut, in order; or why one has none: that goes on behind the cut, or the page
    is to be compiled as a whole. `around`: what is open before the cut.
    """
    placed: list[Placed] = []
    first = 0
    while first < len(cut.ends):
        last, found = _block_from(first, around, cut, reading, memory)
        if isinstance(found, NoBlock):
            return found
        placed.append(Placed(cut.start(first), cut.ends[last], found.block, found.key))
        around, first = found.block.behind, last + 1
    return placed


def _block_from(
    first: int, around: Surroundings | None, cut: Cut, reading: BlockReading, memory: BlockMemory
) -> tuple[int, KnownBlock | NoBlock]:
    """The number of the end of the block that begins behind another one, and what it compiles to:
    it ends at the first end where one may, mostly the first. What no page had is one block: each
    has a fixed cost.
    """
    ends, seen = cut.ends, cut.seen
    start, size = cut.start(first), len(cut.source.body)
    shortest = first
    while not seen[first] and shortest + 1 < len(ends) and not seen[shortest + 1]:
        shortest += 1
    digest = hashlib.sha256(b"".join(map(cut.digest, range(first, shortest))))
    is_possible = _possible(first, around, cut)
    for last in range(shortest, min(shortest + _MOST_ENDS, len(ends))):
        digest.update(cut.digest(last))
        is_last = cut.is_page_end(last)
        if is_last and not start:
            return last, NoBlock.UNSUITED  # it would be all of the page
        key = BlockKey(digest.digest(), around, is_last, reading.way, cut.site)
        found = memory.get(key)
        if found is NoBlock.BY_ADDRESS:
            key = key._replace(url=reading.url)
            found = memory.get(key)
        if found is None and not (is_last or last == shortest or is_possible(last)):
            found = NoBlock.GOES_ON
            memory.keep(key, found)
        if found is None:
            is_new = not all(seen[first : last + 1])
            if is_new and 2 * (ends[last] - start) > size:
                return last, NoBlock.UNSUITED  # the page is compiled as soon
            span = start, ends[last]
            found, by_address = block_of(cut.source, span, around, reading, is_last=is_last)
            if by_address:
                memory.keep(key, NoBlock.BY_ADDRESS)
                key = key._replace(url=reading.url)
            memory.keep(key, found)
        if isinstance(found, Block):
            return last, KnownBlock(key, found)
        if found is not NoBlock.GOES_ON:
            return last, found
    return last, NoBlock.GOES_ON if last == len(ends) - 1 else NoBlock.UNSUITED


def _possible(first: int, around: Surroundings | None, cut: Cut) -> Callable[[int], bool]:
    """Tells of the number of an end whether it is one of `possible_ends`. They are looked for when
    the first is asked for, of a few, then of all that may be tried.
    """
    start = cut.start(first)
    found: set[int] = set()
    looked_at = 0

    def is_possible(number: int) -> bool:
        nonlocal found, looked_at
        if number >= looked_at:
            looked_at = number + (_MOST_ENDS if looked_at else _FEW_ENDS)
            ends = cut.ends[first:looked_at]
            text = cut.source.text[start : ends[-1]]
            found = possible_ends(around, text, [end - start for end in ends])
        return cut.ends[number] - start in found

    return is_possible
