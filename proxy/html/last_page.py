"""What a page has of the last page of its site, in stretches.

Each block is remembered with the one that was behind it (`BlockMemory.following`). So most of a
page is found by comparing bytes, from one block to the next: it is not searched for ends, and not
hashed.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.html.block_ends import ends_behind
from proxy.html.block_memory import Block, BlockMemory, KnownBlock, Site
from proxy.html.block_patch import PageOfSite, patched

_MOST_FOLLOWING = 1024
"""Blocks of the last page that are looked for behind one that this page has not."""
_HEAD = 64
"""Bytes of a block by which it is looked for."""
_MOST_ALIKE = 4
"""Blocks that begin alike, of those that are looked for."""


_MAX_MISSES = 8
"""How often in a row what follows some block was not what did, with other words."""


class Stretch(NamedTuple):
    """A part of a page: a block that the last page had, or all that stands between two of these."""

    start: int
    ends: list[int]
    """Where blocks of what is not known are to end."""
    known: KnownBlock | None


def stretches_of(page: PageOfSite, site: Site, memory: BlockMemory) -> list[Stretch]:
    """A page in stretches, in order. Those that are known may be read in another way than this page
    is, and with other elements open around them.
    """
    body, url = page.body, page.url
    stretches: list[Stretch] = []
    heads: dict[bytes, list[KnownBlock]] | None = None
    before: Site | Block = site
    known = memory.following(before)
    at, size = 0, len(body)
    while at < size:
        found = known
        if known is not None and not _stands_at(at, known, body, url):
            if known.block.parts:
                known = memory.unfolded(known)
                continue
            found = _patched(before, known, at, page, memory)
        if known is not None and found is not None:
            end = at + len(found.block.text)
            stretches.append(Stretch(at, [], found))
            before = known.block
            known = memory.following(before)
        else:
            if heads is None:
                heads = _heads(known, memory)
            ends, known = _until_known(at, heads, body, url)
            stretches.append(Stretch(at, ends, None))
            end = ends[-1]
        at = end
    return stretches


def _patched(
    before: Site | Block, known: KnownBlock, at: int, page: PageOfSite, memory: BlockMemory
) -> KnownBlock | None:
    """What was behind a block on the last page, with other words, if it stands at a place so."""
    if memory.misses(before) >= _MAX_MISSES:
        return None
    found = patched(known, at, page, memory)
    memory.count_miss(before, is_miss=found is None)
    return found


def _stands_at(at: int, known: KnownBlock, body: bytes, url: str) -> bool:
    """Whether a block stands at a place of a page of this address."""
    key, text = known.key, known.block.text
    end = at + len(text)
    return (
        body.startswith(text, at)
        # No block ends before a text: with its last blank that may be an event handler to us.
        and (end == len(body) if key.is_last else body.startswith(b"<", end))
        and (key.url is None or key.url == url)
    )


def _heads(known: KnownBlock | None, memory: BlockMemory) -> dict[bytes, list[KnownBlock]]:
    """The rest of the last page, by how its blocks begin."""
    heads: dict[bytes, list[KnownBlock]] = {}
    for _ in range(_MOST_FOLLOWING):
        if known is None:
            break
        alike = heads.setdefault(known.block.text[:_HEAD], [])
        if len(alike) < _MOST_ALIKE:
            alike.append(known)
        is_run = known.block.parts
        known = memory.unfolded(known) if is_run else memory.following(known.block)
    return heads


def _until_known(
    start: int, heads: dict[bytes, list[KnownBlock]], body: bytes, url: str
) -> tuple[list[int], KnownBlock | None]:
    """The ends of blocks behind a place, as far as to where one of the last page stands; and that,
    or None where none does.
    """
    if not heads:
        return [*ends_behind(start, body)], None
    ends: list[int] = []
    for at in ends_behind(start, body):
        ends.append(at)
        for known in heads.get(body[at : at + _HEAD], ()):
            if _stands_at(at, known, body, url):
                return ends, known
    return ends, None
