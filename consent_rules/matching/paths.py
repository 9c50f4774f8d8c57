"""Path globs: matching in linear time, coverage and overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from consent_rules.matching.hosts import spellings

_ANYTHING = "\ue000"
"""Stands for "whatever a star matched" when one glob is held against another."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PathGlob:
    """A path glob, `*` matching any run of characters; `/x/*` also matches `/x`.

    The parts between the stars are searched for from left to right, each behind the last: the
    leftmost match of a part leaves the most to those behind it, so there is no backtracking.
    """

    pattern: str
    _spellings: tuple[tuple[str, ...], ...]
    within: str
    """The longest text that every matching path contains; "" if there is none."""

    def match(self, path: str) -> bool:
        """Whether the whole path is named."""
        if self.within not in path:
            return False
        for pieces in self._spellings:  # noqa: SIM110 - a page asks this 1,500 times
            if _fits(pieces, path):
                return True
        return False


@lru_cache(maxsize=4096)
def path_glob(pattern: str) -> PathGlob:
    """A compiled pattern."""
    known = tuple(tuple(one.split("*")) for one in spellings(pattern))
    shared = (
        piece
        for piece in known[0]
        if all(any(piece in other for other in pieces) for pieces in known[1:])
    )
    return PathGlob(pattern, known, max(shared, key=len, default=""))


def _fits(pieces: tuple[str, ...], path: str) -> bool:
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return path == first
    end = len(path) - len(last)
    at = len(first)
    if end < at or not path.startswith(first) or not path.endswith(last):
        return False
    for piece in pieces[1:-1]:
        found = path.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


class GlobSet(Generic[_T]):
    """Globs matched against one path at a cost that does not grow with their number, except for
    those that have a star elsewhere than as a last `/*`.

    Paths are compared without a trailing slash: servers take `/pay` and `/pay/` for one page.
    """

    __slots__ = ("_below", "_deepest", "_exact", "_loose")

    def __init__(self, patterns: Iterable[tuple[str, _T]]) -> None:
        """`patterns` are globs, each with what `find` returns for it."""
        self._exact: dict[str, _T] = {}
        self._below: dict[str, _T] = {}
        self._loose: list[tuple[PathGlob, _T]] = []
        for pattern, found in patterns:
            prefix = pattern.removesuffix("/*")
            if "*" not in pattern:
                self._exact.setdefault(pattern.rstrip("/"), found)
            elif "*" not in prefix and not prefix.endswith("/"):
                self._below.setdefault(prefix, found)
            else:
                self._loose.append((path_glob(pattern), found))
        self._deepest = max((prefix.count("/") for prefix in self._below), default=0)

    def __bool__(self) -> bool:
        return bool(self._exact or self._below or self._loose)

    def find(self, path: str) -> _T | None:
        """The value of a glob that matches the path; None when none does."""
        bare = path.rstrip("/")
        found = self._exact.get(bare)
        if found is not None:
            return found
        if self._below:
            found = self._find_below(bare)
            if found is not None:
                return found
        for glob, what in self._loose:
            if glob.match(bare) or glob.match(f"{bare}/"):
                return what
        return None

    def _find_below(self, bare: str) -> _T | None:
        end = 0
        for _ in range(self._deepest + 1):
            found = self._below.get(bare[:end])
            if found is not None:
                return found
            if end == len(bare):
                return None
            end = bare.find("/", end + 1)
            if end < 0:
                end = len(bare)
        return None


@lru_cache(maxsize=4096)
def path_covers(outer: str, inner: str) -> bool:
    """Whether every path that the glob `inner` matches is matched by `outer` too."""
    glob = path_glob(outer)
    return all(glob.match(spelling.replace("*", _ANYTHING)) for spelling in spellings(inner))


@lru_cache(maxsize=4096)
def paths_overlap(one: str, other: str) -> bool:
    """Whether some path matches both globs."""
    return any(_globs_overlap(a, b) for a in spellings(one) for b in spellings(other))


def _globs_overlap(a: str, b: str) -> bool:
    # meets[j]: whether the rest of `a` and the rest `b[j:]` can be the same text.
    below = [False] * len(b) + [True]
    for j in range(len(b) - 1, -1, -1):
        below[j] = b[j] == "*" and below[j + 1]
    for char in reversed(a):
        row = [False] * len(b) + [char == "*" and below[-1]]
        for j in range(len(b) - 1, -1, -1):
            if char == "*":
                row[j] = below[j] or row[j + 1]
            elif b[j] == "*":
                row[j] = row[j + 1] or below[j]
            else:
                row[j] = char == b[j] and below[j + 1]
        below = row
    return below[0]


MAX_COMMON = 32
"""Globs that say what two others have in common."""


@lru_cache(maxsize=4096)
def common_paths(one: str, other: str) -> tuple[str, ...]:
    """Globs of the paths that both globs name; the globs themselves where one covers the other.

    Letters of `one` stand for those of `other` in either case. Where there would be more than
    MAX_COMMON, `other` stands for all.
    """
    if path_covers(one, other):
        return (other,)
    if path_covers(other, one):
        return (one,)
    found: list[str] = []
    for a in spellings(one):
        for b in spellings(other):
            common = _common(a, b)
            if common is None:
                return (other,)
            found.extend(common)
    # `/x/*` names `/x` too, which the two may not have in common; `/x/**` does not.
    whole = frozenset(found)
    return widest(
        f"{glob}*" if len(glob) > 2 and glob.endswith("/*") and glob[:-2] not in whole else glob
        for glob in found
    )


def widest(patterns: Iterable[str]) -> tuple[str, ...]:
    """The globs that no other one of them covers, each once."""
    every = list(dict.fromkeys(patterns))
    return tuple(
        page
        for number, page in enumerate(every)
        if not any(
            path_covers(other, page) and (not path_covers(page, other) or at < number)
            for at, other in enumerate(every)
            if at != number
        )
    )


def _common(a: str, b: str) -> tuple[str, ...] | None:
    # below[j]: what `a[i:]` and `b[j:]` have in common.
    below: list[tuple[str, ...]] = [()] * len(b) + [("",)]
    for j in range(len(b) - 1, -1, -1):
        below[j] = below[j + 1] if b[j] == "*" else ()
    for char in reversed(a):
        row: list[tuple[str, ...]] = [()] * (len(b) + 1)
        row[-1] = below[-1] if char == "*" else ()
        for j in range(len(b) - 1, -1, -1):
            if char == "*" and b[j] == "*":
                found = (*_after("*", below[j]), *_after("*", row[j + 1]))
            elif char == "*":
                found = (*below[j], *_after(b[j], row[j + 1]))
            elif b[j] == "*":
                found = (*row[j + 1], *_after(char, below[j]))
            else:
                found = _after(char, below[j + 1]) if char.lower() == b[j].lower() else ()
            row[j] = tuple(dict.fromkeys(found))
            if len(row[j]) > MAX_COMMON:
                return None
        below = row
    return below[0]


def _after(char: str, rest: Iterable[str]) -> tuple[str, ...]:
    return tuple(r if char == "*" and r.startswith("*") else char + r for r in rest)
