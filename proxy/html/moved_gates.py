"""The gates of a text at their places in one that differs from it by a few words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from proxy.html.changed_words import Change
from proxy.html.gates import Gate
from proxy.html.pictures import asks_for_same_size
from proxy.html.resource import Closing, ResourceKind

# What is closed by these does not hold a word of the page's own that may have changed.
_KEEPS_NOTHING = frozenset(
    {
        Closing.REMOVE,
        Closing.NEUTRAL,
        Closing.PLACEHOLDER,
        Closing.EMPTY,
        Closing.FORM_ACTION,
    }
)


class Offsets:
    """Where what stood at an offset of the one text stands in the other."""

    __slots__ = ("_ends", "changes")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self._ends = [change.end for change in changes]

    def __call__(self, offset: int) -> int:
        passed = bisect_right(self._ends, offset)
        if not passed:
            return offset
        return offset + self.changes[passed - 1].new_end - self._ends[passed - 1]


def moved_gates(
    gates: Sequence[Gate], there: Offsets, old: bytes, new: bytes
) -> tuple[Gate, ...] | None:
    """The gates at their places; None where one may hold another word now."""
    changes = there.changes
    first, last = changes[0].start, changes[-1].end
    by = changes[-1].new_end - last
    found: list[Gate] = []
    for gate in gates:
        code = gate.code
        if gate.end <= first and code[1] <= first:
            found.append(gate)
        elif last <= gate.start and (last <= code[0] or not code[1]):
            found.append(gate.moved(by) if by else gate)
        elif any(_is_disturbed(gate, change) for change in changes):
            return None
        else:
            start, end = there(gate.start), there(gate.end)
            if gate.kind is ResourceKind.IMAGE and not gate.is_pixel:
                was, now = old[gate.start : gate.end], new[start:end]
                # An image of which nothing is shown shows a picture once its size is known.
                if was != now and not asks_for_same_size(was, now):
                    return None
            if code[1]:
                code = there(code[0]), there(code[1])
            found.append(replace(gate, start=start, end=end, code=code))
    return tuple(found)


def _is_disturbed(gate: Gate, change: Change) -> bool:
    """Whether what stands in a closed gate's place may be another now."""
    # Of a script's code the rest of the page may need something.
    if change.start < gate.code[1] and gate.code[0] < change.end:
        return True
    if change.end <= gate.start or gate.end <= change.start:
        return False
    return gate.closing not in _KEEPS_NOTHING
