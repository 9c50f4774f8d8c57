"""Compile a page block by block: of what it shares with earlier pages nothing is read again.

The pages of a site share most of their bytes: head, navigation, footer. A page that does is cut
into blocks (`block_ends`), each is compiled behind the start tags of what is open around it
(`block_compile`), and what comes of that is remembered by its bytes (`block_memory`). The page is
put together from its blocks, and is what `compile_page` makes of all of it; where one may depend on
the rest of the page, that compiles the page as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from consent_rules.matching.vendor_index import Place, PlaceKind
from proxy.html.block_compile import BlockReading
from proxy.html.block_ends import Surroundings, block_ends
from proxy.html.block_memory import Block, BlockMemory, KnownBlock, NoBlock, Site
from proxy.html.block_patch import PageOfSite
from proxy.html.block_runs import keep_order
from proxy.html.boundary import Boundary, hinted_at
from proxy.html.compile import MAX_NESTED, compile_page, finished_gates, outside
from proxy.html.gates import Gate, Page
from proxy.html.inline_remnants import Named, code_of, is_in
from proxy.html.last_page import stretches_of
from proxy.html.owners import Owner, unknown_host
from proxy.html.page_cut import Cut, Placed, blocks_in, cut_at
from proxy.html.page_signs import Way, signs_of, way_of
from proxy.html.parse_cost import MAX_DRAWINGS_BY_SELECT, check_cost, is_cheap
from proxy.html.resource import ResourceKind
from proxy.html.scan import MAX_DEFERRED_NAMES
from proxy.html.source import Source, read_source
from proxy.html.tool_signs import signs_of_all

_LEAST_PAGE = 8192
"""Bytes. A smaller page is compiled as a whole."""


def compile_by_blocks(
    body: bytes, content_type: str, url: str, boundary: Boundary, memory: BlockMemory
) -> Page:
    """Compile a page, as `compile_page` does. Raises what that raises."""
    page = source = None
    if len(body) >= _LEAST_PAGE and not (boundary.libraries or boundary.pins.scripts):
        source = read_source(body, content_type)
        if source.body is body:
            page = _by_blocks(source, url, boundary, memory)
    return page or compile_page(body, content_type, url, boundary, source=source)


def _by_blocks(source: Source, url: str, boundary: Boundary, memory: BlockMemory) -> Page | None:
    """A page of which most is known; None where it has to be compiled as a whole. Raises
    CostlyPageError.
    """
    body = source.body
    site = Site(boundary.identity, _origin(url), source.charset)
    page = PageOfSite(body, url, boundary, source.charset)
    parts = [
        _Part(start, cut_at(start, ends, source, site, memory) if known is None else known)
        for start, ends, known in stretches_of(page, site, memory)
    ]
    found = _found(parts, body, url, boundary, memory)
    if found is NoBlock.GOES_ON:
        # A piece that is new does not end as the one that was in its place.
        parts = [_Part(0, cut_at(0, block_ends(body), source, site, memory))]
        found = _found(parts, body, url, boundary, memory)
    for _, part in parts:
        if isinstance(part, Cut):
            memory.mark_seen(site.boundary, part.hashes)
    if isinstance(found, NoBlock) or not _may_be_joined(found.placed, body, found.reading.way):
        return None
    keep_order(found.placed, site, memory)
    return _joined(found.placed, source, found.reading, memory)


def _origin(url: str) -> str:
    """All of an absolute URL that is before its path, as it is written."""
    return "/".join(url.split("/", 3)[:3])


class _Part(NamedTuple):
    """A part of a page: a block that is known to stand there, or what is to be cut into blocks."""

    start: int
    part: KnownBlock | Cut


class _Found(NamedTuple):
    """The blocks of a page, in order, and how they are read."""

    placed: list[Placed]
    reading: BlockReading


def _found(
    parts: Sequence[_Part], body: bytes, url: str, boundary: Boundary, memory: BlockMemory
) -> _Found | NoBlock:
    """The blocks of a page's parts; or why there are none: what is known stands there in another
    state of the parser, or the page is to be compiled as a whole.
    """
    if not _is_worthwhile(parts, len(body)):
        return NoBlock.UNSUITED
    index = boundary.index
    signs = [
        (start, part.block.signs if isinstance(part, KnownBlock) else signs_of(part.text, index))
        for start, part in parts
    ]
    way = way_of(body, signs, index)
    if not all(map(_is_of_one_element, way.places)):
        return NoBlock.UNSUITED
    reading = BlockReading(url, boundary, way)
    placed: list[Placed] = []
    around: Surroundings | None = None
    for start, part in parts:
        if isinstance(part, Cut):
            new = blocks_in(part, around, reading, memory)
            if isinstance(new, NoBlock):
                return new
            placed += new
        elif part.key.around != around or part.key.way != way:
            return NoBlock.GOES_ON
        else:
            placed.append(Placed(start, start + len(part.block.text), part.block, part.key))
        around = placed[-1].block.behind
    return _Found(placed, reading)


_COMBINED = re.compile(r"[\s>+~,:]")


def _is_of_one_element(place: Place) -> bool:
    """Whether an element is such a place whatever the rest of the page is: no script elsewhere
    names it, and no selector looks around it.
    """
    return place.kind is PlaceKind.ELEMENT and _COMBINED.search(place.text) is None


def _is_worthwhile(parts: Sequence[_Part], size: int) -> bool:
    """Whether earlier pages of the site had a quarter of a page's bytes, and no half of it is new
    in one part: such a page is compiled as soon as a whole.
    """
    known = 0
    for _, part in parts:
        if isinstance(part, KnownBlock):
            known += len(part.block.text)
            continue
        for length, is_seen in part.runs():
            if not is_seen and 2 * length > size:
                return False
            known += length if is_seen else 0
    return 4 * known >= size


def _may_be_joined(placed: Sequence[Placed], body: bytes, way: Way) -> bool:
    """Whether what is bounded for a page is within its bounds. Raises CostlyPageError as `scan`."""
    blocks = [one.block for one in placed if one.block.is_counted]
    if sum(one.nested for one in blocks) > MAX_NESTED:
        return False
    if len(frozenset[str]().union(*(one.loaded for one in blocks))) > MAX_DEFERRED_NAMES:
        return False
    if way.read_twice and not _are_in_order(blocks):
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
    placed: Sequence[Placed], source: Source, reading: BlockReading, memory: BlockMemory
) -> Page:
    counted = [(start, one) for start, _, one, _ in placed if one.is_counted]
    blocks = [one for _, one in counted]
    boundary = reading.boundary
    body, head, foot = source.body, placed[0].block, placed[-1].block
    body_at = next((start + one.body_at for start, one in counted if one.body_at is not None), None)
    foot_at = body_at if foot.foot_at is None else placed[-1].start + foot.foot_at
    gates = [gate.moved(start) for start, _, one, _ in placed for gate in one.gates]
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
        declaration_at=tuple(start + at for start, one in counted for at in one.declaration_at),
        hydration=reading.way.hydration,
        tools=signs_of_all(one.block.tools for one in placed),
    )


def _with_hint_owners(gates: list[Gate], placed: Sequence[Placed]) -> list[Gate]:
    """The gates, hints with those whom the page asks at the hosts that they name."""
    hosts = {unknown_host(host) for one in placed for host in one.block.hinted}
    asked: dict[Owner, frozenset[Owner]] = {}
    for one in [one.block for one in placed if one.block.asked_at]:
        for host in hosts & one.asked_at.keys():
            asked[host] = asked.get(host, frozenset()) | one.asked_at[host]
    if not asked:
        return gates
    return [
        gate.needing(hinted_at(gate.needs, asked)) if gate.kind is ResourceKind.HINT else gate
        for gate in gates
    ]


def _named_in(placed: Sequence[Placed], body: bytes, memory: BlockMemory) -> Named:
    """What asks the code outside of the gates of blocks, each of which remembers what it was
    asked.
    """

    @cache
    def code(number: int) -> bytes:
        start, end, block, _ = placed[number]
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
