"""Resource: an element, attribute or rule that fetches or runs code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from proxy.html.owners import Owner
from proxy.html.source import Source
from proxy.html.tree import Element, SourceLocation, location_of, parse_unplaced


class ResourceKind(StrEnum):
    """The kind of a resource, as `explain` names it."""

    SCRIPT = "script"
    INLINE_SCRIPT = "inline script"
    MARKED_SCRIPT = "marked script"
    IMPORT_MAP = "import map"
    SPECULATION_RULES = "speculation rules"
    IMAGE = "image"
    FRAME = "frame"
    NESTED_PAGE = "nested page"
    MEDIA = "media"
    OBJECT = "object"
    STYLE_SHEET = "style sheet"
    LINK = "link"
    HINT = "hint"
    CSS = "css"
    HIDER = "style that hides the page"
    FORM = "form"
    CONTENT = "content that a script makes"
    PING = "ping"
    REFRESH = "refresh"
    REFERRER = "referrer policy"
    HINT_DELEGATION = "client hints"
    DEFERRED = "deferred load"
    REPEATED = "repeated attribute"
    RESERVED_NAME = "name of our own"
    POLICY = "content security policy"


class Closing(StrEnum):
    """The form of a closed resource."""

    REMOVE = "the element is taken out"
    HIDDEN = "what only a preload scanner takes for a tag names an address that holds nothing"
    NEUTRAL = "the element stays without its address, as a type that nothing runs or fetches"
    EMPTY = "the attribute is emptied"
    PLACEHOLDER = "the element stays without its address and shows a placeholder"
    CSS_URL = "the URL is taken out of the style"
    STYLE_ATTRIBUTE = "the URLs are taken out of the attribute"
    NESTED = "the nested page is gated"
    FORM_ACTION = "the form leads to the preferences, beside the page, and says whose it is"
    OWN_FORM_ACTION = "the form leads to the preferences"
    PICTURE = "the image's address is that of a picture of its size, with its alternative text"
    IMPORT_MAP = "the entries are taken out"
    AMENDED = "it lets the banner's forms work, too"
    OWN_ADDRESS = "the address is that under which the site serves the same file"
    INERT = "it stays as the page has it, and is not run"


CLOSED_TYPE = "application/consent-closed"
"""The `type` of a closed script: nothing runs it, and no loader looks for it."""

RESERVED_ID = re.compile(r"yc(?:-[a-z0-9])?")
"""The ids of our own elements. One of the page's would stand in for ours, and a control that names
one as its `form` would choose in the visitor's name.
"""


@dataclass(slots=True)
class Resource:
    """One thing on a page that fetches or runs code.

    `urls` are absolute or relative as written, character references resolved. `text` is set for
    inline scripts, nested pages and style attributes. `css` is the span of a URL within a <style>,
    in offsets of the parsed text, `repeated` that of an attribute which its tag has already: the
    tree has the first only.
    """

    kind: ResourceKind
    element: Element
    attribute: str
    closing: Closing
    urls: tuple[str, ...] = ()
    text: str = ""
    css: tuple[int, int] | None = None
    repeated: tuple[int, int] | None = None
    imported: bool = False
    marks: frozenset[Owner] = frozenset()
    """What must be open for a marked script, if no vendor owns it; for content that a script makes,
    whose script that is."""
    scripting: bool = False
    """Whether it was found as a browser with JavaScript reads the page."""

    plain: tuple[object, int] | None = None
    """For a resource of a plainly written tag (`plain_tags`): what all tags of this text have in
    common, and where this one begins in the parsed text."""

    _location: SourceLocation | bool | None = False
    """False before it was asked for."""

    @property
    def tag(self) -> str:
        return self.element.tag

    @property
    def location(self) -> SourceLocation | None:
        """The place of its element (`tree.location_of`). The parser makes it anew at each
        access, with the span of each attribute.
        """
        if isinstance(self._location, bool):
            self._location = location_of(self.element)
        return self._location


@dataclass(frozen=True, slots=True)
class Picture:
    """What stands for a closed image. `alt` is the alternative text where the page has none."""

    address: str
    alt: str = ""


@dataclass(slots=True)
class Reading:
    """The page as one kind of browser reads it. `text` is what the parser saw.

    `base` is the first <base href> met so far, None before that. `relative_css` is set where a
    relative URL of a style may lead to another host. `deferring` are the names of attributes that
    may hold what a script of the page loads.
    """

    source: Source
    text: str
    relative_css: bool
    has_select: bool
    deferring: frozenset[str]
    base: str | None = None
    marks: list[str] = field(default_factory=list)

    def value(self, element: Element, name: str) -> str | None:
        """An attribute's value in the page's charset; None where there is none."""
        value = element.attr(name)
        if value is None or value.isascii():
            return value
        word = self.source.word(value)
        return word if "\ufffd" not in word else self._reread(element, name, word)

    def _reread(self, element: Element, name: str, otherwise: str) -> str:
        # Character references and raw bytes in one value: decode first, then resolve.
        location = location_of(element)
        span = location.attrs.get(name) if location is not None else None
        if span is None:
            return otherwise
        raw = self.source.word(self.text[span.start_offset : span.end_offset])
        alone = parse_unplaced(f"<i {raw}>", scripting=False).find("i")
        again = alone.attr(name) if alone is not None else None
        return otherwise if again is None else again
