"""Compile a page block by block: of what it shares with earlier pages nothing is read again.

The pages of a site share most of their bytes: head, navigation, footer. A page that does is cut
into blocks (`block_ends`), each is compiled behind the start tags of what is open around it
(`block_compile`), and what comes of that is remembered by its bytes (`block_memory`). The page is
put together from its blocks, and is what `compile_page` makes of all of it; where one may depend on
the rest of the page, that compiles the page as a whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from consent_rules.matching.vendor_index import Place, PlaceKind
from proxy.html.block_compile import BlockReading, block_of
from proxy.html.block_ends import Surroundings, block_ends, possible_ends
from proxy.html.block_memory import Block, BlockMemory, NoBlock
from proxy.html.boundary import Boundary, hinted_at
from proxy.html.compile import MAX_NESTED, compile_page, finished_gates, outside
from proxy.html.frameworks import Hydration, hydration_of
from proxy.html.gates import Gate, Page
from proxy.html.inline_remnants import Named, code_of, is_in
from proxy.html.owners import Owner, unknown_host
from proxy.html.parse_cost import MAX_DRAWINGS_BY_SELECT, check_cost, is_cheap
from proxy.html.resource import ResourceKind
from proxy.html.scan import MAX_DEFERRED_NAMES, is_read_twice
from proxy.html.source import Source, read_source

_LEAST_PAGE = 8192
"""Bytes. A smaller page is compiled as a whole."""
_MOST_ENDS = 256
_FEW_ENDS = 8
"""Of those that `block_ends` names, how many one block may go on over, and mostly does."""


def compile_by_blocks(
    body: bytes, content_type: str, url: str, boundary: Boundary, memory: BlockMemory
) -> Page:
    """Compile a page, as `compile_page` does. Raises what that raises."""
    page = None
    if len(body) >= _LEAST_PAGE and not (boundary.libraries or boundary.pins.scripts):
        source = read_source(body, content_type)
        if source.body is body:
            page = _by_blocks(source, url, boundary, memory)
    return compile_page(body, content_type, url, boundary) if page is None else page


def _by_blocks(source: Source, url: str, boundary: Boundary, memory: BlockMemory) -> Page | None:
    """A page of which most is known; None where it has to be compiled as a whole. Raises
    CostlyPageError.
    """
    body = source.body
    ends = block_ends(body)
    digests = [hashlib.sha256(body[start:end]).digest() for start, end in pairwise((0, *ends))]
    seen = memory.seen(boundary.identity, digests)
    cut = _Cut(source, ends, digests, seen)
    if not _is_worthwhile(cut):
        return None
    hydration = hydration_of(body)
    places = boundary.index.places_in(body) if hydration is Hydration.NONE else ()
    if not all(map(_is_of_one_element, places)):
        return None
    reading = BlockReading(url, boundary, hydration, places, is_read_twice(body))
    found = _placed(cut, reading, memory)
    if isinstance(found, NoBlock) or not _may_be_joined(found, body, reading):
        return None
    return _joined(found, source, reading, memory)


_COMBINED = re.compile(r"[\s>+~,:]")


def _is_of_one_element(place: Place) -> bool:
    """Whether an element is such a place whatever the rest of the page is: no script elsewhere
    names it, and no selector looks around it.
    """
    return place.kind is PlaceKind.ELEMENT and _COMBINED.search(place.text) is None


class _Cut(NamedTuple):
    """A page, where its blocks are to end, the digests of these, and whether earlier pages had
    them.
    """

    source: Source
    ends: list[int]
    digests: list[bytes]
    seen: list[bool]

    def start(self, number: int) -> int:
        return self.ends[number - 1] if number else 0


def _is_worthwhile(cut: _Cut) -> bool:
    """Whether earlier pages of the site had a quarter of a page's bytes."""
    spans = zip(pairwise((0, *cut.ends)), cut.seen, strict=True)
    return 4 * sum(end - start for (start, end), is_seen in spans if is_seen) >= cut.ends[-1]


class _Placed(NamedTuple):
    """A block of a page, and where it stands."""

    start: int
    end: int
    block: Block


def _placed(cut: _Cut, reading: BlockReading, memory: BlockMemory) -> list[_Placed] | NoBlock:
    """The blocks of a page, in order; or why one has none."""
    placed: list[_Placed] = []
    around: Surroundings | None = None
    first = 0
    while first < len(cut.ends):
        last, found = _block_from(first, around, cut, reading, memory)
        if isinstance(found, NoBlock):
            return found
        placed.append(_Placed(cut.start(first), cut.ends[last], found))
        around, first = found.behind, last + 1
    return placed


def _block_from(
    first: int, around: Surroundings | None, cut: _Cut, reading: BlockReading, memory: BlockMemory
) -> tuple[int, Block | NoBlock]:
    """The number of the end of the block that begins behind another one, and what it compiles to:
    it ends at the first end where one may, mostly the first. What no page had is one block: each
    has a fixed cost.
    """
    ends, seen = cut.ends, cut.seen
    shortest = first
    while not seen[first] and shortest + 1 < len(ends) and not seen[shortest + 1]:
        shortest += 1
    digest = hashlib.sha256(b"".join(cut.digests[first:shortest]))
    url, boundary, *way = reading
    site = boundary.identity, _origin(url), cut.source.charset
    is_possible = _possible(first, around, cut)
    for last in range(shortest, min(shortest + _MOST_ENDS, len(ends))):
        digest.update(cut.digests[last])
        is_last = last == len(ends) - 1
        if is_last and not first:
            break  # it would be all of the page
        key: tuple[object, ...] = digest.digest(), around, is_last, *way, *site
        found = memory.get(key)
        if found is NoBlock.BY_ADDRESS:
            key = (*key, url)
            found = memory.get(key)
        if found is None and not (is_last or last == shortest or is_possible(last)):
            found = NoBlock.GOES_ON
            memory.keep(key, found)
        if found is None:
            span = cut.start(first), ends[last]
            is_new = not all(seen[first : last + 1])
            if is_new and 2 * (span[1] - span[0]) > ends[-1]:
                break  # the page is compiled as soon
            found, by_address = block_of(cut.source, span, around, reading, is_last=is_last)
            if by_address:
                memory.keep(key, NoBlock.BY_ADDRESS)
                key = (*key, url)
            memory.keep(key, found)
        if found is not NoBlock.GOES_ON:
            return last, found
    return shortest, NoBlock.UNSUITED


def _possible(first: int, around: Surroundings | None, cut: _Cut) -> Callable[[int], bool]:
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


def _origin(url: str) -> str:
    """All of an absolute URL that is before its path, as it is written."""
    return "/".join(url.split("/", 3)[:3])


def _may_be_joined(placed: Sequence[_Placed], body: bytes, reading: BlockReading) -> bool:
    """Whether what is bounded for a page is within its bounds. Raises CostlyPageError as `scan`."""
    blocks = [one.block for one in placed if one.block.is_counted]
    if sum(one.nested for one in blocks) > MAX_NESTED:
        return False
    if len(frozenset[str]().union(*(one.loaded for one in blocks))) > MAX_DEFERRED_NAMES:
        return False
    if reading.read_twice and not _are_in_order(blocks):
        return False
    drawings = sum(one.drawings for one in blocks)
    if drawings > MAX_DRAWINGS_BY_SELECT and any(one.has_select for one in blocks):
        return False
    # Where none is left open behind any block, none is in the page.
    is_balanced = all(one.is_balanced for one in blocks)
    if not is_balanced and not is_cheap(
        sum(one.block.formatting for one in placed), sum(one.block.tags for one in placed)
    ):
        check_cost(body.lower(), ())
    return True


def _are_in_order(blocks: Sequence[Block]) -> bool:
    """Whether what blocks list is in the order of the page's: that is of one reading of it, and of
    the other.
    """
    listed = ([one.marks for one in blocks], [one.frames for one in blocks])
    return all(sum(map(bool, one)) <= 1 for one in listed)


def _joined(
    placed: Sequence[_Placed], source: Source, reading: BlockReading, memory: BlockMemory
) -> Page:
    counted = [one for one in placed if one.block.is_counted]
    blocks = [one.block for one in counted]
    boundary = reading.boundary
    body, head, foot = source.body, placed[0].block, placed[-1].block
    body_at = next(
        (start + one.body_at for start, _, one in counted if one.body_at is not None), None
    )
    foot_at = body_at if foot.foot_at is None else placed[-1].start + foot.foot_at
    gates = [gate.moved(start) for start, _, one in placed for gate in one.gates]
    if any(one.hinted for one in blocks):
        gates = _with_hint_owners(gates, placed)
    finished = finished_gates(gates, body, boundary, _named_in(placed, body, memory))
    return Page(
        body=body,
        gates=finished,
        owners=frozenset[Owner]().union(*(gate.needs for gate in finished)),
        head_at=head.head_at,
        foot_at=foot_at,
        is_document=any(one.is_document for one in blocks),
        has_base=False,
        language=head.language,
        marks=tuple(dict.fromkeys(mark for one in blocks for mark in one.marks)),
        frames=tuple(dict.fromkeys(frame for one in blocks for frame in one.frames)),
        label=source.label,
        wire="",
        transcoded=False,
        declaration_at=tuple(start + at for start, _, one in counted for at in one.declaration_at),
        hydration=reading.hydration,
    )


def _with_hint_owners(gates: list[Gate], placed: Sequence[_Placed]) -> list[Gate]:
    """The gates, hints with those whom the page asks at the hosts that they name."""
    hosts = {unknown_host(host) for one in placed for host in one.block.hinted}
    asked: dict[Owner, frozenset[Owner]] = {}
    for _, _, one in placed:
        for host in hosts & one.asked_at.keys():
            asked[host] = asked.get(host, frozenset()) | one.asked_at[host]
    if not asked:
        return gates
    return [
        gate.needing(hinted_at(gate.needs, asked)) if gate.kind is ResourceKind.HINT else gate
        for gate in gates
    ]


def _named_in(placed: Sequence[_Placed], body: bytes, memory: BlockMemory) -> Named:
    """What asks the code outside of the gates of blocks, each of which remembers what it was
    asked.
    """

    @cache
    def code(number: int) -> bytes:
        start, end, block = placed[number]
        return code_of(outside(block.gates, body[start:end]))

    with_code = [number for number, one in enumerate(placed) if one.block.has_code]

    def is_named(name: str, following: re.Pattern[bytes]) -> bool:
        query = name, following  # one for all blocks
        for number in with_code:
            block = placed[number].block
            known = block.asked.get(query)
            if known is None:
                known = is_in(code(number), name, following)
                memory.keep_answer(block, query, known)
            if known:
                return True
        return False

    return is_named
