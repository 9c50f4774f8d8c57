"""Blocks that stand behind one another on page after page, as one.

What is known of a page costs as much as there are blocks in it, be it as it was. Blocks that were
behind one another on several pages in a row are joined once: the next page has the run at once, by
one comparison. Where it does not stand as it was, its parts are looked for one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from proxy.html.block_memory import Block, BlockMemory, KnownBlock, Site
from proxy.html.owners import Owner
from proxy.html.page_cut import Placed
from proxy.html.page_signs import Signs
from proxy.html.tool_signs import signs_of_all

_LEAST_BLOCKS = 4
_LEAST_TIMES = 2
"""Pages in a row that have the same blocks, after the one that they were on first."""


def keep_order(placed: Sequence[Placed], site: Site, memory: BlockMemory) -> None:
    """Remember what is behind what, for the next page."""
    before: Site | Block = site
    run: list[KnownBlock] = []
    before_run = before
    for one in placed:
        last, block = memory.following(before), one.block.pattern or one.block
        known = KnownBlock(one.key, block)
        is_as_last = last is not None and last.block is block
        if not is_as_last:
            memory.keep_following(before, known)
        if not is_as_last or block is not one.block or block.parts:
            _keep_run(before_run, run, known, memory)
            run, before_run = [], block
        else:
            run.append(known)
        before = block
    _keep_run(before_run, run, None, memory)


def _keep_run(
    before: Site | Block, parts: list[KnownBlock], behind: KnownBlock | None, memory: BlockMemory
) -> None:
    """Remember blocks as one, if they were as often behind one another."""
    if len(parts) < _LEAST_BLOCKS:
        return
    blocks = tuple([part.block for part in parts])
    if memory.count_run(blocks) < _LEAST_TIMES:
        return
    run = memory.run(blocks)
    if run is None:
        if not memory.may_join(blocks):
            return
        run = run_of(parts)
        memory.keep_run(blocks, run)
    memory.keep_following(before, run)
    if behind is not None:
        memory.keep_following(run.block, behind)


def run_of(parts: Sequence[KnownBlock]) -> KnownBlock:
    """Blocks that stand behind one another, as one."""
    blocks = [part.block for part in parts]
    starts = [0, *accumulate(len(one.text) for one in blocks)]
    placed = [*zip(starts, blocks, strict=False)]
    first, last = blocks[0], blocks[-1]
    bodies = [start + one.body_at for start, one in placed if one.body_at is not None]
    asked_at: dict[Owner, frozenset[Owner]] = {}
    for one in blocks:
        for host, owners in one.asked_at.items():
            asked_at[host] = asked_at.get(host, frozenset()) | owners
    block = Block(
        text=b"".join([one.text for one in blocks]),
        gates=tuple([gate.moved(start) for start, one in placed for gate in one.gates]),
        behind=last.behind,
        hinted=frozenset[str]().union(*(one.hinted for one in blocks)),
        asked_at=asked_at,
        marks=tuple([mark for one in blocks for mark in one.marks]),
        frames=tuple([frame for one in blocks for frame in one.frames]),
        declaration_at=tuple([start + at for start, one in placed for at in one.declaration_at]),
        is_document=any(one.is_document for one in blocks),
        language=first.language,
        head_at=first.head_at,
        body_at=bodies[0] if bodies else None,
        foot_at=None if last.foot_at is None else placed[-1][0] + last.foot_at,
        nested=sum(one.nested for one in blocks),
        tags=sum(one.tags for one in blocks),
        formatting=sum(one.formatting for one in blocks),
        is_balanced=all(one.is_balanced for one in blocks),
        drawings=sum(one.drawings for one in blocks),
        has_select=any(one.has_select for one in blocks),
        loaded=frozenset[str]().union(*(one.loaded for one in blocks)),
        signs=Signs(
            any(one.signs.has_marks for one in blocks),
            any(one.signs.has_places for one in blocks),
            tuple([start + at for start, one in placed for at in one.signs.noscripts]),
        ),
        has_code=any(one.has_code for one in blocks),
        tools=signs_of_all(one.tools for one in blocks),
        parts=tuple(parts),
    )
    digests = b"".join([part.key.digest for part in parts])
    urls = [part.key.url for part in parts if part.key.url is not None]
    key = parts[0].key._replace(
        digest=digests, is_last=parts[-1].key.is_last, url=urls[0] if urls else None
    )
    return KnownBlock(key, block)
