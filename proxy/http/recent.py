"""A bounded mapping that is quick to read."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Recent(Generic[_T]):
    """A mapping that approximates least-recently-used eviction with two generations: the older one
    is dropped when the younger is full. A look-up costs one of a dictionary; no list of uses is
    updated.
    """

    __slots__ = ("_limit", "_old", "_size", "_young")

    def __init__(self, limit: int) -> None:
        self._limit = limit // 2
        self._size = 0
        self._young: dict[Hashable, tuple[_T, int]] = {}
        self._old: dict[Hashable, tuple[_T, int]] = {}

    def get(self, key: Hashable) -> _T | None:
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is None:
                return None
            self.put(key, *found)
        return found[0]

    def put(self, key: Hashable, value: _T, size: int = 1) -> None:
        if size > self._limit:
            return
        if self._size + size > self._limit:
            self._old, self._young, self._size = self._young, {}, 0
        self._size += size
        self._young[key] = (value, size)


def size_of_texts(parts: Iterable[Hashable]) -> int:
    """The bytes of the texts in a key, nested ones too."""
    size = 0
    for part in parts:
        if isinstance(part, (bytes, str)):
            size += len(part)
        elif isinstance(part, tuple):
            size += size_of_texts(part)
    return size
