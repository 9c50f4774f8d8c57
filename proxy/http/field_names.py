"""A set of field names that whole messages are held against, at the cost of one set operation."""

from __future__ import annotations

from collections.abc import Callable, Collection

_MAX_SPELLINGS = 4096
_MAX_LENGTH = 100


class FieldNames:
    """Field names, compared without regard to case (RFC 9110, 5.1).

    Messages bring the same few dozen names again and again, in few spellings: those that are known
    not to be in the set are remembered, within a bound. Not for several threads.
    """

    __slots__ = ("_contains", "_others")

    def __init__(self, contains: Callable[[str], bool]) -> None:
        """`contains` says of a name in lower case whether it is in the set."""
        self._contains = contains
        self._others: set[str] = set()

    def any_in(self, names: Collection[str]) -> bool:
        """Whether a message has a field of the set. `names` may be its header fields."""
        if self._others.issuperset(names):
            return False
        found = False
        for name in names:
            if self._contains(name.lower()):
                found = True
            elif len(self._others) < _MAX_SPELLINGS and len(name) <= _MAX_LENGTH:
                self._others.add(name)
        return found
