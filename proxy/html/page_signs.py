"""How the blocks of a page are read, as far as the rest of the page decides that.

The signs that decide it are looked for in each block once: a page of known blocks is not
searched for them again. No sign stands across the end of a block, for there a tag begins
(`block_ends`), and a sign has a tag's start in its first place alone; but for marks of content that
are searched for in scripts, and no block ends in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from consent_rules.matching.vendor_index import Place, VendorIndex
from proxy.html.frameworks import Hydration, has_marks, hydration_of
from proxy.html.scan import is_read_twice, noscripts_in


class Way(NamedTuple):
    """How all blocks of a page are read."""

    hydration: Hydration
    places: tuple[Place, ...]
    """Marks of content that the page has."""
    read_twice: bool


class Signs(NamedTuple):
    """What a page has, or a part of one, that may decide how all of it is read."""

    has_marks: bool
    """Of frameworks (`frameworks.has_marks`)."""
    has_places: bool
    """Marks of content (`VendorIndex.places_in`)."""
    noscripts: tuple[int, ...]
    """The offsets of its <noscript> tags."""


def signs_of(page: bytes, index: VendorIndex) -> Signs:
    """The signs of a page, or of a part of one."""
    return Signs(has_marks(page), bool(index.places_in(page)), noscripts_in(page))


def way_of(page: bytes, parts: Iterable[tuple[int, Signs]], index: VendorIndex) -> Way:
    """How the blocks of a page are read. `parts`: where each begins, in order, and its signs."""
    marked = placed = False
    noscripts: list[int] = []
    for start, signs in parts:
        marked = marked or signs.has_marks
        placed = placed or signs.has_places
        noscripts += [start + at for at in signs.noscripts]
    hydration = hydration_of(page) if marked else Hydration.NONE
    places = index.places_in(page) if placed and hydration is Hydration.NONE else ()
    return Way(hydration, places, is_read_twice(page, noscripts))
