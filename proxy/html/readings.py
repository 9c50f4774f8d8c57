"""Two readings of one page: as a browser with JavaScript builds its tree, and as one without.

They disagree where a <noscript> ends, and with it about all that follows an element which is not
closed in there. What closes a resource of one reading must not take away what the other shows.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy.html.tree import Document, Element, is_html, location_of

_RAW = frozenset({"script", "style", "iframe", "noembed", "noframes"})
"""Elements whose content is text that is not shown."""

_SELECTOR = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
"""Names of elements that are selectors as they are."""

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Readings:
    """The trees of a page that was read twice. Offsets are those of the parsed text."""

    without_scripts: Document
    with_scripts: Document
    length: int
    _known: dict[tuple[bool, str], list[_Span]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _places: dict[tuple[bool, str], frozenset[tuple[int, int] | None]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def is_tag_in_both(self, element: Element, tag: str, *, scripting: bool) -> bool:
        """Whether the tag of an element is one in the other reading, too. Then it ends there in the
        same place: what is replaced within it is shown by neither. Its line and column are known
        in a fiftieth of the time of its span.
        """
        position = element.position
        if position is None or _SELECTOR.fullmatch(tag) is None:
            return False
        other = not scripting
        places = self._places.get((other, tag))
        if places is None:
            document = self.with_scripts if other else self.without_scripts
            places = frozenset([one.position for one in document.select(tag)])
            self._places[other, tag] = places
        return position in places

    def is_hidden_in_other(self, start: int, end: int, *, scripting: bool, tag: str) -> bool:
        """Whether a span of one reading holds nothing that the other one shows: only tags, and
        content of elements that show none. `tag`: of the element that the span is of.

        Mostly the other reading has an element of this kind in this place. Only where it has not,
        all its elements are asked for their places, which costs as much as to parse the page.
        """
        other = not scripting
        if _SELECTOR.fullmatch(tag) and self._is_within(start, end, other, tag):
            return True
        return self._is_within(start, end, other, "*")

    def _is_within(self, start: int, end: int, other: bool, tag: str) -> bool:
        spans = self._known.get((other, tag))
        if spans is None:
            document = self.with_scripts if other else self.without_scripts
            hidden = _hidden(document.select(tag), self.length, scripting=other)
            spans = self._known[other, tag] = _merged(hidden)
        at = bisect_right(spans, (start, self.length + 1)) - 1
        return at >= 0 and spans[at][0] <= start and end <= spans[at][1]


def _hidden(elements: Iterable[Element], length: int, *, scripting: bool) -> Iterator[_Span]:
    for element in elements:
        location = location_of(element)
        if location is None:
            continue
        start, end_tag = location.start_tag, location.end_tag
        yield start.start_offset, start.end_offset
        if end_tag is not None:
            yield end_tag.start_offset, end_tag.end_offset
        if _shows_nothing(element, scripting=scripting):
            yield start.end_offset, length if end_tag is None else end_tag.start_offset


def _shows_nothing(element: Element, *, scripting: bool) -> bool:
    if not is_html(element):
        # To a parser its content is markup like any other, to a browser it is code.
        return element.tag == "style" and all(not isinstance(one, Element) for one in element)
    return element.tag in _RAW or (scripting and element.tag == "noscript")


def _merged(spans: Iterator[_Span]) -> list[_Span]:
    """Spans in order, those that touch made one."""
    merged: list[_Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged
