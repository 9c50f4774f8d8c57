"""Canonical JSON: equal values have equal bytes, so that a hash of them means something.

The subset of RFC 8785 (JCS) in which nothing is left to a library's taste: objects with ASCII
names, arrays, strings, integers that a double holds exactly, booleans and null. There are no
fractions, whose ECMAScript formatting is the hard part of JCS. Within the subset the bytes are
those of JCS, so any JCS implementation reproduces them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | bool | None

_MAX_INTEGER = 2**53 - 1
"""The largest integer that I-JSON (RFC 7493, 2.2) carries without loss."""


class CanonicalError(ValueError):
    """A value outside the subset, or bytes that are not in canonical form."""


def canonical(value: Json) -> bytes:
    """The canonical bytes of a value. Raises CanonicalError for one outside the subset."""
    _check(value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8")


def read_canonical(data: bytes) -> dict[str, Any]:
    """The object with these canonical bytes. Raises CanonicalError for any others: a value must not
    have two spellings with different hashes.
    """
    try:
        value = json.loads(data)
        same = canonical(value) == data
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"not canonical JSON: {error}") from error
    if not same or not isinstance(value, dict):
        raise CanonicalError("not an object in canonical JSON")
    return value


def _check(value: Json) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):
        if abs(value) > _MAX_INTEGER:
            raise CanonicalError(f"{value} is no integer that a double holds")
    elif isinstance(value, Mapping):
        for name, member in value.items():
            # Sorted by UTF-16 code units in JCS, by code points here: the same for ASCII.
            if not isinstance(name, str) or not name.isascii():
                raise CanonicalError(f"{name!r} is no ASCII name")
            _check(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _check(member)
    elif value is not None:
        raise CanonicalError(f"{type(value).__name__} has no canonical form")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalError("a lone surrogate has no canonical form") from error
