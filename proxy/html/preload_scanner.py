"""What a browser's preload scanner asks for and the tree does not hold.

Browsers look for addresses in a page's bytes before they build the tree ("speculative parsing",
HTML Standard, 13.2.6.4.1). Chromium's scanner sees each attribute of a tag, where the tree has the
first of a name only, and knows of no <frameset>. What is found here has no part in the tree: it may
be taken out of the page, and no browser shows another page for it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.resource import Closing, Reading, Resource, ResourceKind
from proxy.html.srcset import srcset_urls
from proxy.html.tree import Document, Element, location_of, parse_unplaced

SCANNED = {
    "script": ("src",),
    "link": ("href", "imagesrcset"),
    "img": ("src", "srcset", "href", "xlink:href"),  # an <image> is one of HTML's
    "image": ("href", "xlink:href"),
    "input": ("src",),
    "video": ("poster",),
    "source": ("srcset",),
    "base": ("href",),
}
"""The attributes by which a tag makes the scanner ask for something."""
SCANNED_TAGS = ",".join(SCANNED)
SCANNED_NAMES = frozenset(name for names in SCANNED.values() for name in names)
_COUNTING = frozenset((*SCANNED_NAMES, "rel", "type", "as", "media"))
"""Attributes by which the scanner tells whether and what to ask for."""

_NAME = lazy_pattern(r"[^\s/>=\"']+\Z")
_MAX_NAME_LENGTH = 16
_REST = lazy_pattern(r"\s*=\s*(?:\"[^\"]*\"?|'[^']*'?|[^\s>]+)|")


def repeated_attributes(document: Document, reading: Reading) -> Iterator[Resource]:
    """The attributes that a tag has a second time, where they might make the scanner ask for
    something.
    """
    repeated = Repeated.of(document, reading)
    for element in document.select(SCANNED_TAGS) if repeated.places else ():
        again = repeated.of_tag(element)
        # Whichever a scanner takes, a page that has two has no need of another host's.
        urls = _urls(_values(element, again, reading)) if again else ()
        for one in again if urls else ():
            yield Resource(
                ResourceKind.REPEATED, element, one.name, Closing.REMOVE, urls, repeated=one.span
            )


@dataclass(frozen=True, slots=True)
class Again:
    """An attribute that its tag has already; the tree has the first only."""

    name: str
    value: str | None
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Repeated:
    """Where the tags of a page have an attribute again, of a name that counts."""

    reading: Reading
    places: list[int]

    @classmethod
    def of(cls, document: Document, reading: Reading) -> Self:
        return cls(reading, sorted(set(_repeated(document, reading.text))))

    def of_tag(self, element: Element) -> list[Again]:
        location = location_of(element) if self.places else None
        if location is None:
            return []
        first = bisect_left(self.places, location.start_tag.start_offset)
        last = bisect_left(self.places, location.start_tag.end_offset)
        return [_again(start, self.reading) for start in self.places[first:last]]


def scanned_urls(element: Element, again: list[Again], reading: Reading) -> tuple[str, ...]:
    """What the scanner asks for by a tag: of attributes of one name it takes the first that is not
    empty.
    """
    taken = dict(reversed(_values(element, again, reading)))
    return _urls(taken.items())


def _values(element: Element, again: list[Again], reading: Reading) -> list[tuple[str, str]]:
    """What the attributes hold that make the scanner ask for something, in their order."""
    names = SCANNED[element.tag]
    found = [(name, reading.value(element, name)) for name in names]
    found += ((one.name, one.value) for one in again if one.name in names)
    return [(name, value) for name, value in found if value and value.strip()]


def _urls(values: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    urls: list[str] = []
    for name, value in values:
        urls += srcset_urls(value) if name.endswith("srcset") else (value,)
    return tuple(urls)


def _repeated(document: Document, text: str) -> Iterator[int]:
    """The offsets of repeated attributes of a name that counts."""
    found = [one for one in document.errors if one.code == "duplicate-attribute"]
    lines = [0, *(line.end() for line in re.finditer("\n", text))] if found else []
    for one in found:
        end = lines[one.line - 1] + one.col
        name = _NAME.search(text, max(0, end - _MAX_NAME_LENGTH), end)
        if name is not None and name[0].lower() in _COUNTING:
            yield name.start()


def _again(start: int, reading: Reading) -> Again:
    text = reading.text
    name_end = start
    while text[name_end] not in "\t\n\f\r />=":
        name_end += 1
    name = text[start:name_end].lower()
    rest = _REST.match(text, name_end)
    end = rest.end() if rest is not None else name_end
    alone = parse_unplaced(f"<i {reading.source.word(text[start:end])}>", scripting=False)
    holder = alone.find("i")
    return Again(name, holder.attr(name) if holder is not None else None, (start, end))


_FRAMESET = lazy_pattern("<frameset(?=[\\s/>])", re.IGNORECASE)
_SELECTED = lazy_pattern("(</?selected)content(?=[\\s/>])", re.IGNORECASE)


def without_framesets(text: str) -> str:
    """A page of the same length, as the scanner reads it: a tree would hold nothing behind."""
    return _FRAMESET.sub("<framesex", text)


def with_options_once(text: str) -> str:
    """A page of the same length whose <selectedcontent> is left as it is written: the parser puts
    the selected option in its place, which browsers do later.
    """
    return _SELECTED.sub(r"\1conten_", text)
