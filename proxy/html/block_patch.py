"""Patch a known block onto a part of a page that differs by a few words: a token, a name, a count.

As for whole pages (`patch`): where each word stands is asked of the parser once for each place, and
where no word in it has a consequence, what the known block compiles to is that of the new one,
moved along. Here a word may also be part of an address of the site's own. In any doubt the answer
is None, and the block is compiled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from proxy.html.block_memory import Block, BlockMemory, KnownBlock
from proxy.html.boundary import Boundary
from proxy.html.changed_words import Change, changed_words
from proxy.html.compile import outside
from proxy.html.deferred import deferring_names
from proxy.html.elements import resources_of
from proxy.html.frameworks import has_marks
from proxy.html.inline_remnants import code_of, code_of_part
from proxy.html.moved_gates import Offsets, moved_gates
from proxy.html.page_signs import Signs
from proxy.html.placed_words import may_be_placed, tags_around
from proxy.html.plain_tags import is_by_tag, plain_tag
from proxy.html.resource import Reading, ResourceKind
from proxy.html.scan import slot_offset
from proxy.html.source import Source, text_of
from proxy.html.tool_signs import has_tool_signs, tool_signs
from proxy.html.tree import parse
from proxy.html.word_places import Place, Zone, may_be_another, zone_of

_MOST_LONGER = 1024
"""Bytes by which a block may be longer than the one that is known."""

_OF_NOBODY = frozenset(
    {
        ResourceKind.IMAGE,
        ResourceKind.MEDIA,
        ResourceKind.SCRIPT,
        ResourceKind.STYLE_SHEET,
        ResourceKind.LINK,
        ResourceKind.DEFERRED,
    }
)
"""Kinds of which a page says nothing but where they lead."""


class PageOfSite(NamedTuple):
    """A page that blocks are looked for in."""

    body: bytes
    url: str
    boundary: Boundary
    charset: str


def patched(known: KnownBlock, at: int, page: PageOfSite, memory: BlockMemory) -> KnownBlock | None:
    """A block that stands at a place of a page, if it differs from the known one by a few words."""
    block, key, body = known.block, known.key, page.body
    if key.way.read_twice or key.url not in {None, page.url}:
        return None
    text, is_last = block.text, key.is_last
    new = body[at:] if is_last else body[at : at + len(text) + _MOST_LONGER]
    if len(new) > len(text) + _MOST_LONGER:
        return None
    changes = changed_words(text, new, is_beginning=not is_last)
    if not changes:
        return None
    there = Offsets(changes)
    end = at + there(len(text))
    if not (is_last or body.startswith(b"<", end)):
        return None
    new = body[at:end]
    around = _around_both(text, new, changes)
    if around is None or not _reads_alike(known, new, changes, around, page.boundary):
        return None
    if not all(_is_harmless(known, new, there, one, page, memory) for one in changes):
        return None
    moved = _moved(block, new, there)
    if moved is None:
        return None
    if any(map(has_tool_signs, around)):
        moved = replace(moved, tools=tool_signs(new))
    return KnownBlock(key, moved)


def _reads_alike(
    known: KnownBlock,
    new: bytes,
    changes: list[Change],
    around: tuple[bytes, bytes],
    boundary: Boundary,
) -> bool:
    """Whether no word changes what is searched for in all bytes of a page, by what is around the
    words in both: none of that reaches beyond the start of a tag.
    """
    was, now = around
    both = was + b"\0" + now  # each search has a fixed cost
    return (
        not has_marks(both)
        and not boundary.index.places_in(both)
        and not (known.key.way.places and may_be_placed(both, known.key.way.places))
        and deferring_names(was.lower()) == deferring_names(now.lower())
        and (not known.key.is_last or _has_same_foot(known.block.text, new, changes))
    )


def _around_both(old: bytes, new: bytes, changes: list[Change]) -> tuple[bytes, bytes] | None:
    """The tags around the words of two texts; None where a word stands before all tags."""
    was = tags_around(old, [(one.start, one.end) for one in changes])
    now = tags_around(new, [(one.new_start, one.new_end) for one in changes])
    return None if was is None or now is None else (was, now)


def _has_same_foot(old: bytes, new: bytes, changes: list[Change]) -> bool:
    was, now = slot_offset(old.decode("latin-1")), slot_offset(new.decode("latin-1"))
    return Offsets(changes)(was) == now


def _is_harmless(
    known: KnownBlock,
    new: bytes,
    there: Offsets,
    change: Change,
    page: PageOfSite,
    memory: BlockMemory,
) -> bool:
    """Whether a word in the place of another has no consequence."""
    old = known.block.text
    zone = _zone(known, change, page, memory)
    if zone.place is Place.ADDRESS:
        start, end = zone.around
        return _is_of_nobody(new[there(start) : there(end)], page)
    return zone.place is not Place.SCRIPT and may_be_another(zone.place, change, old, new)


def _zone(known: KnownBlock, change: Change, page: PageOfSite, memory: BlockMemory) -> Zone:
    """Where a word of a known block stands; of addresses those of the site's own count."""
    place = change.start, change.end
    zone = known.block.zones.get(place)
    if zone is None:
        zone = _found_zone(known, place)
        start, end = zone.around
        if zone.place is Place.ADDRESS and not _is_of_nobody(known.block.text[start:end], page):
            zone = Zone(Place.SOMEWHERE)
        memory.keep_zone(known.block, place, zone)
    return zone


def _found_zone(known: KnownBlock, word: tuple[int, int]) -> Zone:
    block, around = known.block, known.key.around
    before = "" if around is None else around.markup
    shift = len(before)
    word = word[0] + shift, word[1] + shift
    found = zone_of(before + text_of(block.text), word, block.gates, shift)
    start, end = found.around
    return Zone(found.place, (start - shift, end - shift)) if end else found


def _is_of_nobody(tag: bytes, page: PageOfSite) -> bool:
    """Whether a tag is plainly written, and asks for nothing but what is the site's own, by
    addresses that are the same on each page of it.
    """
    text = text_of(tag)
    name = plain_tag(text)
    element = parse(text, scripting=False).select_one(name) if name else None
    if element is None:
        return False
    source = Source(tag, text, page.charset, "", "")
    reading = Reading(
        source, text, relative_css=False, has_select=False, deferring=deferring_names(tag.lower())
    )
    resources = [*resources_of(element, name, reading)]
    return is_by_tag(name, resources) and all(
        one.kind in _OF_NOBODY and all(_is_own(url, page) for url in one.urls) for one in resources
    )


def _is_own(url: str, page: PageOfSite) -> bool:
    if not url.startswith("/"):
        return False
    host, owner = page.boundary.host_and_owner(url, page.url)
    return owner is None and not page.boundary.index.has_path_rules(host)


def _moved(block: Block, new: bytes, there: Offsets) -> Block | None:
    """What a block compiles to with other words in it."""
    gates = moved_gates(block.gates, there, block.text, new)
    if gates is None:
        return None
    rest = outside(gates, new)
    asked = block.asked
    if code_of(outside(block.gates, block.text)) != code_of(rest):
        code, asked = code_of_part(rest), {}
        if code.is_any != block.has_code or not (code.is_ended or block.behind is None):
            return None

    def moved(at: int | None) -> int | None:
        return None if at is None else there(at)

    signs = block.signs
    return replace(
        block,
        text=new,
        gates=gates,
        declaration_at=tuple(map(there, block.declaration_at)),
        head_at=moved(block.head_at),
        body_at=moved(block.body_at),
        foot_at=moved(block.foot_at),
        asked=asked,
        signs=Signs(signs.has_marks, signs.has_places, tuple(map(there, signs.noscripts))),
        pattern=block,
    )
