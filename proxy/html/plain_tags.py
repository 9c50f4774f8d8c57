"""Plainly written start tags: what is read from them depends on nothing but their text.

The pages of a site share most of their tags (header, navigation, footer, icons), and on one page
many are alike. What such a tag asks for is remembered by its text, and so is what closes it
(`CompileContext.finished`). Everything else is read in full, which is also how each answer is
found the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy.html.deferred import may_be_filled
from proxy.html.elements import resources_of
from proxy.html.owners import Owner
from proxy.html.preload_scanner import SCANNED
from proxy.html.resource import Closing, Reading, Resource, ResourceKind
from proxy.html.tree import Element, is_html

_MAX_TAGS = 8192
"""Tags that are remembered for each way in which they may be read."""
_MAX_READINGS = 4
_MAX_LENGTH = 1024
"""Characters of such a tag."""

# Names of letters, digits, hyphens and underscores alone: those the search for the names of
# deferred addresses (`deferring_names`) finds in the page whenever a tag of it has them.
_PLAIN = re.compile(
    r"<([a-z][a-z0-9-]*)"
    r"(?>(?:[\t\n\f ]+[a-z_][a-z0-9_-]{0,63}"
    r"(?:[\t\n\f ]*=[\t\n\f ]*(?:\"[^\">]*\"|'[^'>]*'|[^\t\n\f \"'<>=`]+))?)*)[\t\n\f ]*/?>",
    re.IGNORECASE | re.ASCII,
)
_ATTRIBUTE = re.compile(
    r"[\t\n\f ]([a-z_][a-z0-9_-]*)"
    r"(?:[\t\n\f ]*=[\t\n\f ]*(?:\"[^\">]*\"|'[^'>]*'|[^\t\n\f \"'<>=`]+))?",
    re.IGNORECASE | re.ASCII,
)
_BY_MORE_THAN_TAG = frozenset({"html", "body", "base", "meta", "style", "frameset"})
"""Elements that take attributes of other tags, that count by their order, or by their text."""
_BY_TEXT = frozenset(
    {
        ResourceKind.INLINE_SCRIPT,
        ResourceKind.MARKED_SCRIPT,
        ResourceKind.IMPORT_MAP,
        ResourceKind.SPECULATION_RULES,
        ResourceKind.NESTED_PAGE,
    }
)
"""Resources that may be longer than the tag, or are made of what stands behind it."""


@dataclass(frozen=True, slots=True, eq=False)
class TagResource:
    """A resource of each tag of one text."""

    kind: ResourceKind
    attribute: str
    closing: Closing
    urls: tuple[str, ...]
    text: str
    marks: frozenset[Owner]

    def of(self, element: Element, start: int) -> Resource:
        """The resource of one such tag, which begins at an offset of the parsed text."""
        return Resource(
            self.kind,
            element,
            self.attribute,
            self.closing,
            self.urls,
            self.text,
            marks=self.marks,
            plain=(self, start),
        )


_Known = dict[str, "tuple[TagResource, ...] | None"]
_KNOWN: dict[tuple[str, bool], _Known] = {}
"""By charset, and by whether relative URLs of a style count."""


Starts = dict[tuple[int, int], int]
"""Offsets of a text by their line, from 1 on, and their column."""


def starts_of(text: str, offsets: Iterable[int]) -> Starts:
    """Where some offsets of a text are, by which the parser tells the place of a tag: in a fiftieth
    of the time that it takes for the whole place.
    """
    starts: Starts = {}
    line, line_start, before = 1, 0, 0
    for offset in sorted(offsets):
        further = text.count("\n", before, offset)
        if further:
            line += further
            line_start = text.rfind("\n", before, offset) + 1
        starts[line, offset - line_start] = before = offset
    return starts


class PlainTags:
    """The tags of one page as one kind of browser reads it, of which some `starts` are known.

    `may_repeat` says whether a tag that was looked at may have an attribute twice that a preload
    scanner looks at.
    """

    __slots__ = ("_known", "_reading", "_starts", "may_repeat")

    def __init__(self, reading: Reading, starts: Starts) -> None:
        self._reading = reading
        self._starts = starts
        self.may_repeat = False
        key = reading.source.charset, reading.relative_css
        known = _KNOWN.get(key)
        if known is None:
            if len(_KNOWN) >= _MAX_READINGS:
                _KNOWN.clear()
            known = _KNOWN[key] = {}
        self._known = known

    def resources_of(
        self, element: Element, tag: str, position: tuple[int, int] | None
    ) -> Iterable[Resource]:
        """What `elements.resources_of` finds. `position`: the element's line and column."""
        start = None if position is None else self._starts.get(position)
        if start is None or tag in _BY_MORE_THAN_TAG or not is_html(element):
            self.may_repeat = self.may_repeat or tag in SCANNED
            return resources_of(element, tag, self._reading)
        text = self._reading.text
        # A tag that is remembered ends with its first `>`.
        written = text[start : text.find(">", start) + 1]
        if written not in self._known:
            return self._found(element, tag, written, start)
        known = self._known[written]
        if known is None:
            return resources_of(element, tag, self._reading)
        return [one.of(element, start) for one in known]

    def _found(self, element: Element, tag: str, written: str, start: int) -> Iterable[Resource]:
        resources = [*resources_of(element, tag, self._reading)]
        if plain_tag(written) != tag:
            self.may_repeat = self.may_repeat or tag in SCANNED
            return resources
        if len(self._known) >= _MAX_TAGS:
            self._known.clear()
        if not is_by_tag(tag, resources):
            self._known[written] = None
            return resources
        known = self._known[written] = tuple(
            TagResource(one.kind, one.attribute, one.closing, one.urls, one.text, one.marks)
            for one in resources
        )
        return [one.of(element, start) for one in known]


def plain_tag(written: str) -> str:
    """The name of a start tag that is plainly written, in lower case; "" of any other, and of one
    that has an attribute twice.
    """
    plain = _PLAIN.fullmatch(written) if len(written) <= _MAX_LENGTH else None
    if plain is None or _has_repeated(plain):
        return ""
    name = plain[1].lower()
    return "" if name in _BY_MORE_THAN_TAG else name


def _has_repeated(plain: re.Match[str]) -> bool:
    names = [name.lower() for name in _ATTRIBUTE.findall(plain.string, plain.end(1))]
    return len(set(names)) < len(names)


def is_by_tag(tag: str, resources: list[Resource]) -> bool:
    """Whether resources are those of every tag of this text, whatever stands around it."""
    if tag == "script" and not any(
        one.kind is ResourceKind.SCRIPT and one.attribute == "src" for one in resources
    ):
        return False  # its text may be code
    return not any(
        one.kind in _BY_TEXT
        or (one.kind is ResourceKind.DEFERRED and may_be_filled(tag, one.attribute))
        for one in resources
    )
