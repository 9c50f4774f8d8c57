"""Parse the URLs of a srcset (HTML Standard, 4.8.4.3.10)."""

from __future__ import annotations

import re

_BEFORE = re.compile(r"[\t\n\f\r ,]*")
_URL = re.compile(r"[^\t\n\f\r ]+")
# Up to the comma that ends a candidate; commas in parentheses do not.
_DESCRIPTORS = re.compile(r"(?:[^,(]|\([^)]*(?:\)|\Z))*,?")


def srcset_urls(value: str) -> tuple[str, ...]:
    """Every candidate's URL, also of those whose descriptors are wrong."""
    found: list[str] = []
    position = 0
    while True:
        position = _skipped(_BEFORE, value, position)
        url = _URL.match(value, position)
        if url is None:
            return tuple(found)
        found.append(url[0].rstrip(","))
        position = url.end()
        if not url[0].endswith(","):
            position = _skipped(_DESCRIPTORS, value, position)


def _skipped(pattern: re.Pattern[str], value: str, position: int) -> int:
    match = pattern.match(value, position)
    return match.end() if match is not None else position
