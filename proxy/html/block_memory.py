"""What blocks of pages compile to, remembered by their bytes and by what is open around them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

from proxy.html.block_ends import Surroundings
from proxy.html.gates import Gate
from proxy.html.owners import Owner
from proxy.html.page_signs import Signs, Way
from proxy.html.tool_signs import ToolSigns
from proxy.html.word_places import Zone

NameQuery = tuple[str, "re.Pattern[bytes]"]
"""A name that code may have, and what is to follow it."""

_MAX_ASKED = 256
_ANSWER_BYTES = 150
_FOLLOWING_BYTES = 200
_MAX_RUNS = 256
_MAX_RUNS_OF_BLOCK = 4
_MAX_ZONES = 64
_ZONE_BYTES = 300
_MAX_NAME_LENGTH = 100
"""What is asked of a block, as far as it is remembered."""
_MAX_SEEN = 2**13
"""Blocks that were on some page, whether they were compiled on their own or not."""


class NoBlock(Enum):
    """Why there is no block of these bytes."""

    GOES_ON = auto()
    """No block may end there."""
    BY_ADDRESS = auto()
    """There is one, but for each address of a page: it has URLs relative to that."""
    UNSUITED = auto()
    """What it compiles to depends on the rest of the page."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A compiled part of a page. Offsets begin at its start."""

    text: bytes
    gates: tuple[Gate, ...]
    """In order, without what closed scripts leave behind: that depends on the page."""
    behind: Surroundings | None
    """What is open behind it; None at the page's end."""
    hinted: frozenset[str]
    asked_at: dict[Owner, frozenset[Owner]]
    """The hosts of its hints, and whom it asks at hosts, of which vendors own parts. The gates are
    those of a page that asks nobody there."""
    marks: tuple[str, ...]
    frames: tuple[str, ...]
    declaration_at: tuple[int, ...]
    is_document: bool
    language: str
    head_at: int | None
    body_at: int | None
    foot_at: int | None
    nested: int
    tags: int
    formatting: int
    """Tags, and those of formatting elements: what a page costs to parse depends on both."""
    is_balanced: bool
    """Whether each of those is closed in the block."""
    drawings: int
    has_select: bool
    loaded: frozenset[str]
    """Names of attributes that may hold what a script loads."""
    signs: Signs
    has_code: bool
    """Whether there is code outside of its gates."""
    tools: ToolSigns
    asked: dict[NameQuery, bool] = field(default_factory=dict)
    """What that names, as far as it was asked."""
    zones: dict[tuple[int, int], Zone] = field(default_factory=dict)
    """Where words of it stand, as far as others stood there on later pages."""
    pattern: Block | None = None
    """The block that this one was patched from, which is remembered instead."""
    parts: tuple[KnownBlock, ...] = ()
    """The blocks that this one is a run of (`block_runs`)."""
    is_counted: bool = field(init=False)
    """Whether it has anything that is listed or counted for the page, beside its gates and tags."""

    def __post_init__(self) -> None:
        listed = self.hinted or self.marks or self.frames or self.declaration_at or self.loaded
        counted = self.nested or self.drawings or self.has_select or self.is_document
        object.__setattr__(self, "is_counted", bool(listed or counted) or not self.is_balanced)

    @property
    def size(self) -> int:
        texts = (*self.marks, *self.frames, *self.loaded, self.language)
        return (
            1000
            + len(self.text)
            + sum(map(_size_of, self.gates))
            + sum(100 + len(text) for text in texts)
            + _ANSWER_BYTES * len(self.asked)
            + _ZONE_BYTES * len(self.zones)
        )


def _size_of(gate: Gate) -> int:
    size = 400 + len(gate.closed) + len(gate.opened or b"")
    if gate.embed is not None:
        embed = gate.embed
        size += 300 + sum(map(len, (embed.width, embed.height, embed.title, embed.address)))
    return size


class Site(NamedTuple):
    """Whose pages share blocks: those of a boundary, of one origin and charset."""

    boundary: object
    origin: str
    charset: str


class BlockKey(NamedTuple):
    """All that a block depends on."""

    digest: bytes
    around: Surroundings | None
    is_last: bool
    way: Way
    site: Site
    url: str | None = None
    """The page's address, for a block that depends on that."""


class KnownBlock(NamedTuple):
    """A block, and by what it is remembered."""

    key: BlockKey
    block: Block


_Ends = tuple[Block, Block, int]
"""The first and the last of some blocks, and how many they are."""


def _ends_of(blocks: tuple[Block, ...]) -> _Ends:
    return blocks[0], blocks[-1], len(blocks)


class BlockMemory:
    """The blocks of one worker, within a budget of bytes. Two tables change places, so that what
    was not asked for lately goes; each operation is one of a dict, so threads may share it.
    """

    def __init__(self, budget: int) -> None:
        self._half = budget // 2
        self._size = 0
        self._new: dict[tuple[object, ...], Block | NoBlock] = {}
        self._old: dict[tuple[object, ...], Block | NoBlock] = {}
        self._after: dict[Hashable, KnownBlock] = {}
        self._after_before: dict[Hashable, KnownBlock] = {}
        self._misses: dict[Hashable, int] = {}
        self._runs: dict[_Ends, KnownBlock] = {}
        self._runs_met: dict[_Ends, int] = {}
        self._joined: dict[Block, int] = {}
        self._seen: dict[Hashable, None] = {}
        self._seen_before: dict[Hashable, None] = {}

    def get(self, key: tuple[object, ...]) -> Block | NoBlock | None:
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: tuple[object, ...], found: Block | NoBlock) -> None:
        url = key.url if isinstance(key, BlockKey) else None
        self._grow(500 + len(url or "") + (found.size if isinstance(found, Block) else 0))
        self._new[key] = found

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._half:
            self._old, self._new, self._size = self._new, {}, 0
            self._after_before, self._after = self._after, {}
            self._runs, self._runs_met, self._joined = {}, {}, {}

    def following(self, before: Block | Site) -> KnownBlock | None:
        """The block that was behind another one when that was last met, or the first of the last
        page of a site.
        """
        found = self._after.get(before)
        if found is None:
            found = self._after_before.get(before)
            if found is not None:
                self.keep(found.key, found.block)
                self._after[before] = found
        return found

    def keep_following(self, before: Block | Site, found: KnownBlock) -> None:
        self._after[before] = found
        self._size += _FOLLOWING_BYTES

    def unfolded(self, run: KnownBlock) -> KnownBlock:
        """The first of the blocks that a run was made of, with the others behind it."""
        parts = run.block.parts
        for one, behind in pairwise(parts):
            known = self.following(one.block)
            if known is None or known.block is not behind.block:
                self.keep_following(one.block, behind)
        behind_run = self.following(run.block)
        if behind_run is not None:
            self.keep_following(parts[-1].block, behind_run)
        return parts[0]

    def count_run(self, blocks: tuple[Block, ...]) -> int:
        """How often blocks were met behind one another."""
        if len(self._runs_met) >= _MAX_RUNS:
            self._runs_met.clear()
        key = _ends_of(blocks)
        times = self._runs_met[key] = self._runs_met.get(key, 0) + 1
        return times

    def may_join(self, blocks: tuple[Block, ...]) -> bool:
        """Whether none of some blocks is in several runs already: where pages of several kinds take
        turns, what they have in common is always another run.
        """
        return all(self._joined.get(one, 0) < _MAX_RUNS_OF_BLOCK for one in blocks)

    def run(self, blocks: tuple[Block, ...]) -> KnownBlock | None:
        """Blocks that stand behind one another, as one, where that was made."""
        found = self._runs.get(_ends_of(blocks))
        is_same = found is not None and tuple(part.block for part in found.block.parts) == blocks
        return found if is_same else None

    def keep_run(self, blocks: tuple[Block, ...], run: KnownBlock) -> None:
        self._grow(run.block.size)
        self._runs[_ends_of(blocks)] = run
        for one in blocks:
            self._joined[one] = self._joined.get(one, 0) + 1

    def misses(self, before: Block | Site) -> int:
        """How often in a row what was behind a block could not be patched."""
        return self._misses.get(before, 0)

    def count_miss(self, before: Block | Site, *, is_miss: bool) -> None:
        if not is_miss:
            self._misses.pop(before, None)
            return
        if len(self._misses) >= _MAX_SEEN:
            self._misses.clear()
        self._misses[before] = self._misses.get(before, 0) + 1

    def keep_answer(self, block: Block, query: NameQuery, answer: bool) -> None:
        if len(block.asked) < _MAX_ASKED and len(query[0]) <= _MAX_NAME_LENGTH:
            block.asked[query] = answer
            self._size += _ANSWER_BYTES

    def keep_zone(self, block: Block, word: tuple[int, int], zone: Zone) -> None:
        if len(block.zones) >= _MAX_ZONES:
            block.zones.clear()
        block.zones[word] = zone
        self._size += _ZONE_BYTES

    def seen(self, boundary: object, hashes: Iterable[int]) -> list[bool]:
        """Which parts earlier pages of a site had."""
        now, before = self._seen, self._seen_before
        keys = [(boundary, one) for one in hashes]
        return [key in now or key in before for key in keys]

    def mark_seen(self, boundary: object, hashes: Iterable[int]) -> None:
        self._seen.update(dict.fromkeys([(boundary, one) for one in hashes]))
        if len(self._seen) > _MAX_SEEN:
            self._seen_before, self._seen = self._seen, {}
