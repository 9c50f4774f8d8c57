"""Which of several servers gets a request: values in, a choice out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that may be chosen. `weight` is above 0; `in_use` is how many requests it has."""

    name: str
    weight: float
    in_use: int = 0


@dataclass(slots=True)
class Turns:
    """Smooth weighted round robin, as nginx has it: of weights 3 and 1, A A B A."""

    _credits: dict[str, float] = field(default_factory=dict)

    def next(self, candidates: Sequence[Candidate]) -> Candidate:
        """The next of the candidates, which need not be the same each time."""
        credits = {one.name: self._credits.get(one.name, 0.0) + one.weight for one in candidates}
        chosen = max(candidates, key=lambda one: credits[one.name])
        credits[chosen.name] -= sum(one.weight for one in candidates)
        self._credits.update(credits)
        return chosen


def least_connections(candidates: Sequence[Candidate], turns: Turns) -> Candidate:
    """The one with the fewest requests for its weight; those that are equal take turns."""
    least = min(one.in_use / one.weight for one in candidates)
    return turns.next([one for one in candidates if one.in_use / one.weight <= least])


def by_hash(candidates: Sequence[Candidate], key: str) -> Candidate:
    """The one of the highest weighted score (rendezvous hashing): without one of them only its keys
    go elsewhere, to all others alike.
    """
    return max(candidates, key=lambda one: _score(one, key))


def _score(candidate: Candidate, key: str) -> float:
    digest = blake2b(
        f"{candidate.name}\0{key}".encode("utf-8", "surrogateescape"), digest_size=8
    ).digest()
    position = (int.from_bytes(digest) + 1) / (2**64 + 1)  # within 0 and 1, neither of them
    return -candidate.weight / math.log(position)
