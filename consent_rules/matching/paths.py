"""Path globs: matching, coverage and overlap."""

from __future__ import annotations

import re
from functools import lru_cache

from consent_rules.matching.hosts import spellings

_ANYTHING = "\ue000"
"""Stands for "whatever a star matched" when one glob is held against another."""


@lru_cache(maxsize=4096)
def path_covers(outer: str, inner: str) -> bool:
    """Whether every path that the glob `inner` names is named by `outer` too."""
    regex = glob_regex(outer)
    return all(regex.match(spelling.replace("*", _ANYTHING)) for spelling in spellings(inner))


@lru_cache(maxsize=4096)
def paths_meet(one: str, other: str) -> bool:
    """Whether some path is named by both globs."""
    return any(_globs_meet(a, b) for a in spellings(one) for b in spellings(other))


def _globs_meet(a: str, b: str) -> bool:
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


@lru_cache(maxsize=4096)
def glob_regex(pattern: str) -> re.Pattern[str]:
    """A path glob, `*` standing for any run of characters; `/x/*` also matches `/x`."""
    body = ".*".join(re.escape(part) for part in pattern.split("*"))
    if pattern.endswith("/*") and len(pattern) > 2:
        body = body.removesuffix("/.*") + "(?:/.*)?"
    return re.compile(body + r"\Z", re.DOTALL)
