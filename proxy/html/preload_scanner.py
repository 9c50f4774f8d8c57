"""What a browser's preload scanner asks for and the tree does not hold.

Browsers look for addresses in a page's bytes before they build the tree ("speculative parsing",
HTML Standard, 13.2.6.4.1). Chromium's scanner sees each attribute of a tag, where the tree has the
first of a name only, and knows of no <frameset>. What is found here has no part in the tree: it may
be taken out of the page, and no browser shows another page for it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from proxy.html.resource import Closing, Reading, Resource, ResourceKind
from proxy.html.srcset import srcset_urls
from proxy.html.tree import Document, Element, location_of, parse_unplaced

_TAGS = "script,link,img,image,input,video,source,base"
_ADDRESSES = ("src", "href", "xlink:href", "poster")
_CANDIDATES = ("srcset", "imagesrcset")
SCANNED = frozenset((*_ADDRESSES, *_CANDIDATES))
_COUNTING = frozenset((*SCANNED, "rel", "type", "as", "media"))
"""Attributes by which the scanner tells whether and what to ask for."""

_NAME = re.compile(r"[^\s/>=\"']+\Z")
_MAX_NAME_LENGTH = 16
_REST = re.compile(r"\s*=\s*(?:\"[^\"]*\"?|'[^']*'?|[^\s>]+)|")


def repeated_attributes(document: Document, reading: Reading) -> Iterator[Resource]:
    """The attributes that a tag has a second time, where they might make the scanner ask for
    something.
    """
    places = sorted(set(_repeated(document, reading.text)))
    if not places:
        return
    for element in document.select(_TAGS):
        location = location_of(element)
        if location is None:
            continue
        first = bisect_left(places, location.start_tag.start_offset)
        last = bisect_left(places, location.start_tag.end_offset)
        if first < last:
            yield from _of_tag(element, places[first:last], reading)


def _repeated(document: Document, text: str) -> Iterator[int]:
    """The offsets of repeated attributes of a name that counts."""
    found = [one for one in document.errors if one.code == "duplicate-attribute"]
    lines = [0, *(line.end() for line in re.finditer("\n", text))] if found else []
    for one in found:
        end = lines[one.line - 1] + one.col
        name = _NAME.search(text, max(0, end - _MAX_NAME_LENGTH), end)
        if name is not None and name[0].lower() in _COUNTING:
            yield name.start()


def _of_tag(element: Element, places: list[int], reading: Reading) -> Iterator[Resource]:
    text = reading.text
    spans = []
    values = [(name, reading.value(element, name)) for name in (*_ADDRESSES, *_CANDIDATES)]
    for start in places:
        name_end = start
        while text[name_end] not in "\t\n\f\r />=":
            name_end += 1
        name = text[start:name_end].lower()
        rest = _REST.match(text, name_end)
        end = rest.end() if rest is not None else name_end
        spans.append((name, start, end))
        alone = parse_unplaced(f"<i {reading.source.word(text[start:end])}>", scripting=False)
        holder = alone.find("i")
        values.append((name, holder.attr(name) if holder is not None else None))
    urls: list[str] = []
    for name, value in values:
        if value and name in _CANDIDATES:
            urls += srcset_urls(value)
        elif value and name in _ADDRESSES:
            urls.append(value)
    if not urls:
        return
    for name, start, end in spans:
        yield Resource(
            ResourceKind.REPEATED, element, name, Closing.REMOVE, tuple(urls), repeated=(start, end)
        )


_FRAMESET = re.compile("<frameset(?=[\\s/>])", re.IGNORECASE)
_SELECTED = re.compile("(</?selected)content(?=[\\s/>])", re.IGNORECASE)


def without_framesets(text: str) -> str:
    """A page of the same length, as the scanner reads it: a tree would hold nothing behind."""
    return _FRAMESET.sub("<framesex", text)


def with_options_once(text: str) -> str:
    """A page of the same length whose <selectedcontent> is left as it is written: the parser puts
    the selected option in its place, which browsers do later.
    """
    return _SELECTED.sub(r"\1conten_", text)
