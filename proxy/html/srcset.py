"""Parse the URLs of a srcset (HTML Standard, 4.8.4.3.10)."""

from __future__ import annotations

import re
from functools import lru_cache

_URL = re.compile(r"[\t\n\f\r ,]*+([^\t\n\f\r ]+)")
# Up to the comma that ends a candidate; commas in parentheses do not.
_DESCRIPTORS = re.compile(r"(?:[^,(]|\([^)]*(?:\)|\Z))*,?")


_MAX_REMEMBERED_LENGTH = 768
"""Characters of a value that is remembered: real ones have 100 to 800."""


def srcset_urls(value: str) -> tuple[str, ...]:
    """Every candidate's URL, also of those whose descriptors are wrong."""
    if len(value) <= _MAX_REMEMBERED_LENGTH:
        return _remembered(value)
    return _candidates(value)


def _candidates(value: str) -> tuple[str, ...]:
    found: list[str] = []
    position = 0
    while (match := _URL.match(value, position)) is not None:
        url, position = match[1], match.end()
        if url[-1] == ",":
            url = url.rstrip(",")
        elif (descriptors := _DESCRIPTORS.match(value, position)) is not None:
            position = descriptors.end()
        found.append(url)
    return tuple(found)


_remembered = lru_cache(maxsize=1024)(_candidates)
