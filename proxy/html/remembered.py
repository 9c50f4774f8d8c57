"""Answers about long texts, remembered by the text's hash.

The pages of a site share most of their inline scripts and styles. To search one takes several times
as long as to hash it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_T = TypeVar("_T")

_SHORT = 512
"""Characters. A shorter text is searched as fast as it is looked up."""
_MAX_ANSWERS = 512


class Remembered(Generic[_T]):
    """A pure function of a text (and of further values that can be hashed), whose answers for long
    texts are remembered.

    `may_keep` decides whether an answer is small enough; it must be one that nothing changes later.
    The hash is one for which nobody finds two texts of the same: what is remembered of one page
    decides about another.
    """

    __slots__ = ("_function", "_known", "_may_keep")

    def __init__(
        self, function: Callable[..., _T], may_keep: Callable[[_T], bool] = lambda _: True
    ) -> None:
        self._function = function
        self._may_keep = may_keep
        self._known: dict[Hashable, tuple[_T]] = {}

    def __call__(self, text: str, *further: Hashable) -> _T:
        if len(text) <= _SHORT:
            return self._function(text, *further)
        key = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), *further)
        known = self._known.get(key)
        if known is not None:
            return known[0]
        answer = self._function(text, *further)
        if self._may_keep(answer):
            if len(self._known) >= _MAX_ANSWERS:
                self._known.clear()
            self._known[key] = (answer,)
        return answer
