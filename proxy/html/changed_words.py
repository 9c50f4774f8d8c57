"""The words by which a text differs from an earlier one that is known.

A word is what stands between the bytes that end it. Texts that differ by more than words, or by
many of them, are not alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from consent_rules.lazy_pattern import lazy_pattern

_MAX_CHANGES = 48
_STEP = 4096
_SHORT = 64

# What a word is made of. None of these begins or ends a tag, a value or a character reference.
_WORD = lazy_pattern(rb"[A-Za-z0-9_+/=.:%,~-]*")
_WORD_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=.:%,~-")


@dataclass(frozen=True, slots=True)
class Change:
    """A word of the earlier page and the one in its stead. Offsets of the two pages."""

    start: int
    end: int
    new_start: int
    new_end: int


def changed_words(old: bytes, new: bytes, *, is_beginning: bool = False) -> list[Change] | None:
    """The words that differ, in order; None where more than words does. `is_beginning`: more may
    follow in `new`.
    """
    found: list[Change] = []
    at = there = floor = 0
    while True:
        same = same_length(old, at, new, there)
        at += same
        there += same
        if at == len(old) and (is_beginning or there == len(new)):
            return found
        start = at
        while start > floor and old[start - 1] in _WORD_BYTES:
            start -= 1
        end, new_end = _word_end(old, at), _word_end(new, there)
        new_start = there - (at - start)
        if old[end : end + 1] != new[new_end : new_end + 1]:
            return None
        if len(found) >= _MAX_CHANGES:
            return None
        # The hyphens of `<!--word-->` are the comment's, not the word's.
        if old[start - 2 : start + 2] == b"<!--" and at >= start + 2:
            start, new_start = start + 2, new_start + 2
        hyphens = old[end - 2 : end] == b"--" == new[new_end - 2 : new_end]
        if hyphens and old[end : end + 1] == b">" and at <= end - 2 and there <= new_end - 2:
            end, new_end = end - 2, new_end - 2
        if end == start or new_end == new_start:
            return None
        found.append(Change(start, end, new_start, new_end))
        at, there, floor = end, new_end, end


def _word_end(text: bytes, at: int) -> int:
    found = _WORD.match(text, at)
    return at if found is None else found.end()


def same_length(old: bytes, at: int, new: bytes, there: int) -> int:
    """How many bytes are the same from two places on."""
    limit = min(len(old) - at, len(new) - there)
    same = 0
    while same < limit:
        size = min(_STEP, limit - same)
        if new.startswith(old[at + same : at + same + size], there + same):
            same += size
            continue
        while size > _SHORT:
            half = size // 2
            if new.startswith(old[at + same : at + same + half], there + same):
                same += half
                size -= half
            else:
                size = half
        at, there = at + same, there + same
        return same + _same_of_short(old[at : at + size], new[there : there + size])
    return same


def _same_of_short(old: bytes, new: bytes) -> int:
    """How many bytes are the same from the beginning on, of two short texts of one length."""
    differ = int.from_bytes(old, "little") ^ int.from_bytes(new, "little")
    return ((differ & -differ).bit_length() - 1) // 8 if differ else len(old)


def trimmed(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Two words without what they have in common at both ends."""
    head = same_length(old, 0, new, 0)
    old, new = old[head:], new[head:]
    if not old or not new or old[-1] != new[-1]:
        return old, new
    tail = same_length(old[::-1], 0, new[::-1], 0)
    return old[: len(old) - tail], new[: len(new) - tail]
