"""Small numbers of a set of tables that are published together: which cells are not shown.

A number below `SMALL` may tell of one visitor. It is not shown, and where a sum would give it away
by subtraction another cell of that sum is not shown either (complementary suppression, as
statistical offices do it). What is held is each sum on its own: the cells that it hides are none,
or two and more which are `SMALL` together.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

SMALL = 5

_Cell = TypeVar("_Cell", bound=Hashable)


class Hidden(StrEnum):
    """Why a cell is not shown, as readers see it."""

    SMALL = f"fewer than {SMALL}"
    COMPLEMENT = "not shown"
    """It is not small, but a small one could be computed from it."""


def hidden_cells(
    values: Mapping[_Cell, int], sums: Iterable[Sequence[_Cell]]
) -> dict[_Cell, Hidden]:
    """The cells to hide. `sums` are the total and its parts; the parts of a sum add up to it. Zeros
    are shown: they are about nobody.
    """
    hidden = {cell: Hidden.SMALL for cell, value in values.items() if 0 < value < SMALL}
    lines = [tuple(one) for one in sums]
    lines_of: dict[_Cell, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        for cell in line:
            lines_of[cell].append(number)
    waiting = deque(dict.fromkeys(number for cell in hidden for number in lines_of[cell]))
    queued = set(waiting)
    while waiting:
        number = waiting.popleft()
        queued.discard(number)
        for cell in _complements(lines[number], values, hidden):
            hidden[cell] = Hidden.COMPLEMENT
            again = [one for one in lines_of[cell] if one not in queued]
            waiting.extend(again)
            queued.update(again)
    return hidden


def _complements(
    line: Sequence[_Cell], values: Mapping[_Cell, int], hidden: Mapping[_Cell, Hidden]
) -> list[_Cell]:
    """The cells of one sum to hide besides: the smallest parts first, its total last."""
    total, parts = line[0], line[1:]
    within = [cell for cell in parts if cell in hidden]
    if not within and total not in hidden:
        return []
    shown = sorted((c for c in parts if values[c] and c not in hidden), key=lambda c: values[c])
    chosen: list[_Cell] = []
    if total in hidden:
        # The parts give it away where all of them are shown.
        return [] if within or not shown else shown[:1]
    while len(within) + len(chosen) < 2 or sum(values[c] for c in within + chosen) < SMALL:
        if not shown:
            return [*chosen, total]
        chosen.append(shown.pop(0))
    return chosen
