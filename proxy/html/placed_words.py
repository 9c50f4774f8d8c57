"""Whether words that change are part of what may be a place of vendors' content.

A place is found by a selector (`content_places`), of which the index of vendors looks for the
longest word alone, as a page has it in its bytes. To the parser a tag may be one without that: so
where a page has places at all, the tags around the words are read as it reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import unescape

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.vendor_index import Place, PlaceKind

_QUOTED = lazy_pattern(r"[\"']([^\"']+)[\"']")


def tags_around(text: bytes, words: Iterable[tuple[int, int]]) -> bytes | None:
    """All from the start of the tag before a word to that behind it; None where none is before."""
    parts: list[bytes] = []
    for start, end in words:
        opened, following = text.rfind(b"<", 0, start), text.find(b"<", end)
        if opened < 0:
            return None
        parts.append(text[opened:following] if following >= 0 else text[opened:])
    return b"\0".join(parts)


def may_be_placed(around: bytes, places: Iterable[Place]) -> bool:
    """Whether tags may be such places of a page, or have a value by which another tag is one: with
    their character references resolved and, on a page without a doctype, of classes and ids in
    whatever case.
    """
    read = unescape(around.decode("latin-1")).lower()
    words = (word for place in places for word in (place.token, *_QUOTED.findall(place.text)))
    return any(word.lower() in read for word in words)


def is_of_element(place: Place) -> bool:
    """Whether a place is found by its tags, and not by the name that a script has for it."""
    return place.kind is PlaceKind.ELEMENT
