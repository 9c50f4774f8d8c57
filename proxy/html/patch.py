"""Patch a compiled page onto a body that differs by a few words: a token, a time, a count.

Such a page need not be read again as a whole. The words that differ are found by comparing bytes;
where each stands is asked of the parser once. If no word in that place can change how the page is
read or what it reaches for, the earlier page's gates hold for this one, moved along. In any doubt
the answer is None, and the page is compiled like any other.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.boundary import Boundary
from proxy.html.charset import charset_of
from proxy.html.compile import compile_page
from proxy.html.deferred import is_loaded_name
from proxy.html.frameworks import has_marks, hydration_of
from proxy.html.gates import Gate, Page
from proxy.html.resource import RESERVED_ID, Closing
from proxy.html.scan import needs_both_views, tags_of_note
from proxy.html.source import UndecodableError, read_source
from proxy.html.tree import Document, Element, SourceSpan, is_html, location_of, parse

MAX_BYTES = 1_000_000
"""Bytes. A page that is larger is compiled anew."""

_MAX_CHANGES = 48
_MAX_SCRIPT_LENGTH = 64_000
_STEP = 4096
_SHORT = 64
_BEGINNING = 4096
_AROUND = 64
"""Bytes beside a word that may be of one mark with it."""

# What a word is made of. None of these begins or ends a tag, a value or a character reference.
_WORD = lazy_pattern(rb"[A-Za-z0-9_+/=.:%,~-]*")
_WORD_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=.:%,~-")
_NUMBER = lazy_pattern(rb"[0-9.]+\Z")
_PROBE = "consent-probe"
_PROBE_MARKUP = f"<{_PROBE}></{_PROBE}>"

# Attributes that say nothing of what an element asks for, whatever their value.
_PLAIN_ATTRIBUTES = frozenset(
    {"alt", "aria-controls", "aria-describedby", "aria-label", "aria-labelledby", "for", "id",
     "nonce", "title"}
)  # fmt: skip
# Of these a picture in a closed image's place shows one.
_SHOWN_IN_PICTURES = frozenset({"alt", "aria-label", "title"})
_WITH_VALUE = frozenset({"input", "button", "option", "li", "meter", "progress", "data"})
_WITH_DATA = frozenset(
    {"a", "article", "body", "button", "div", "footer", "form", "header", "html", "input", "label",
     "li", "main", "nav", "ol", "option", "p", "section", "select", "span", "table", "tbody", "td",
     "textarea", "th", "time", "tr", "ul"}
)  # fmt: skip
_MARKERS = lazy_pattern(r"data-consent")
# Whose URL's query says nothing of whom it leads to. Not a frame's: a front controller may name the
# page there, and with it the audience.
_QUERIES = {"script": "src", "link": "href", "img": "src", "form": "action"}
_PLAIN_URL = lazy_pattern(r"(?:https?:)?//|/|[\w.-]+[/?]", re.IGNORECASE)
_RESERVED = lazy_pattern(RESERVED_ID.pattern.encode())
_META_OF_NOTE = frozenset({"page-audience", "referrer"})

# What is closed by these does not hold a word of the page's own that may have changed.
_KEEPS_NOTHING = frozenset(
    {
        Closing.REMOVE,
        Closing.NEUTRAL,
        Closing.PLACEHOLDER,
        Closing.EMPTY,
        Closing.FORM_ACTION,
    }
)


class _Place(Enum):
    """Where a word stands."""

    SOMEWHERE = auto()  # where it may matter
    TEXT = auto()
    COMMENT = auto()
    VALUE = auto()
    SCRIPT = auto()


@dataclass(frozen=True, slots=True)
class _Change:
    """A word of the earlier page and the one in its stead. Offsets of the two pages."""

    start: int
    end: int
    new_start: int
    new_end: int


@dataclass(frozen=True, slots=True)
class _Zone:
    """What is known of a word of the earlier page; `script` is the element around it."""

    place: _Place
    script: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class PageTemplate:
    """A page, to compare later ones of its address with. `missed` counts those that were not alike
    since the last that was.
    """

    page: Page
    content_type: str
    url: str
    boundary: Boundary
    misses: int = 0
    _zones: dict[int, _Zone] = field(default_factory=dict)
    _text: str | None = None
    _views: bool | None = None
    _charset: tuple[str, bool] | None = None

    def patch(self, body: bytes) -> Page | None:
        """The page with this body, if it is like the one that is known; else None."""
        page = self.page
        if body == page.body:
            self.misses = 0
            return page
        found = None
        if len(body) <= MAX_BYTES and not (page.wire or page.transcoded or page.has_base):
            changes = _changes(page.body, body)
            if changes and self._are_harmless(changes, body):
                found = _moved(page, body, changes)
        self.misses = 0 if found is not None else self.misses + 1
        return found

    def _are_harmless(self, changes: list[_Change], body: bytes) -> bool:
        same_charset = self._is_same_charset(changes[0], body)
        return (
            same_charset
            and all(self._is_harmless(change, body) for change in changes)
            and self._has_same_marks(changes, body)
        )

    def _is_same_charset(self, first: _Change, body: bytes) -> bool:
        # Browsers look for a <meta charset> in the beginning: it may have been pushed out of there.
        if first.start > _BEGINNING:
            return True
        kind, known = self.content_type, self._charset
        if known is None:
            known = self._charset = charset_of(self.page.body, kind)
        return charset_of(body, kind) == known

    def _is_harmless(self, change: _Change, body: bytes) -> bool:
        zone = self._zone(change)
        if zone.place is _Place.SOMEWHERE:
            return False
        if zone.place is _Place.VALUE:
            return not _RESERVED.fullmatch(body, change.new_start, change.new_end)
        old = self.page.body
        before = old[change.start - 1 : change.start]
        if before in (b"<", b"&", b"!", b"#", b""):
            return False
        if zone.place is _Place.TEXT:
            return True
        was = old[change.start : change.end]
        was, word = _trimmed(was, body[change.new_start : change.new_end])
        # `--` and what stands beside it end comments and change how scripts are read.
        if any(b"--" in one or b"-" in (one[:1], one[-1:]) for one in (was, word)):
            return False
        if zone.place is _Place.COMMENT:
            return True
        quoted = before in (b'"', b"'")
        numbers = _NUMBER.match(was or b"0") and _NUMBER.match(word or b"0")
        return bool(quoted or numbers) and self._is_same_script(zone, change, body)

    def _has_same_marks(self, changes: list[_Change], body: bytes) -> bool:
        """Whether no word changes by what marks all of a page is read: a framework's, and those of
        what vendors' scripts make. Asked of all at once: each search has a fixed cost.
        """
        was = self.page.body
        old = b"\0".join([was[max(0, c.start - _AROUND) : c.end + _AROUND] for c in changes])
        new = b"\0".join(
            [body[max(0, c.new_start - _AROUND) : c.new_end + _AROUND] for c in changes]
        )
        if (has_marks(old) or has_marks(new)) and hydration_of(body) is not self.page.hydration:
            return False
        places_in = self.boundary.index.places_in
        return places_in(old) == places_in(new)

    def _is_same_script(self, zone: _Zone, change: _Change, body: bytes) -> bool:
        """Whether a script with another word in it is whose it was."""
        start, end = zone.script
        if end - start > _MAX_SCRIPT_LENGTH:
            return False
        old = self.page.body
        new = b"".join(
            (
                old[start : change.start],
                body[change.new_start : change.new_end],
                old[change.end : end],
            )
        )
        return self._gates_alone(old[start:end]) == self._gates_alone(new)

    def _gates_alone(self, script: bytes) -> list[tuple[object, ...]] | None:
        content_type = f"text/html; charset={self.page.label or 'windows-1252'}"
        try:
            page = compile_page(script, content_type, self.url, self.boundary)
        except UndecodableError:
            return None
        return [
            (gate.needs, gate.kind, gate.closing, gate.names, bool(gate.closed), bool(gate.start))
            for gate in page.gates
        ]

    # --- where a word stands: asked once of each -------------------------------------------

    def _zone(self, change: _Change) -> _Zone:
        known = self._zones.get(change.start)
        if known is None:
            known = self._zones[change.start] = self._found_zone(change.start, change.end)
        return known

    def _found_zone(self, start: int, end: int) -> _Zone:
        if self._text is None:
            source = read_source(self.page.body, self.content_type)
            self._text, self._views = source.text, needs_both_views(tags_of_note(source.body))
        text = self._text
        if self._views:
            return _Zone(_Place.SOMEWHERE)  # two kinds of browser read it differently
        opened, closed = text.rfind("<", 0, start), text.rfind(">", 0, start)
        if closed > opened and _is_probe_found(text, start, end, "", ""):
            return _Zone(_Place.TEXT)
        if text.startswith("<!--", opened) and _is_probe_found(text, start, end, "-->", "<!--"):
            return _Zone(_Place.COMMENT)
        document = parse(text, scripting=False)
        if opened > closed and _is_plain_value(document, text, (start, end), self.page):
            return _Zone(_Place.VALUE)
        for script in document.select("script"):
            location = location_of(script)
            if location is None or location.end_tag is None:
                continue
            if location.start_tag.end_offset <= start and end <= location.end_tag.start_offset:
                if not is_html(script):
                    break
                span = location.start_tag.start_offset, location.end_tag.end_offset
                return _Zone(_Place.SCRIPT, span)
        return _Zone(_Place.SOMEWHERE)


def _is_probe_found(text: str, start: int, end: int, before: str, after: str) -> bool:
    """Whether an element that is put in a word's place would be one: then the word is text."""
    probed = f"{text[:start]}{before}{_PROBE_MARKUP}{after}{text[end:]}"
    for element in parse(probed, scripting=False).select(_PROBE):
        location = location_of(element)
        if location is None:
            continue
        if location.start_tag.start_offset == start + len(before):
            # The text of a drawing may be the name of what is closed in it.
            around = (one for one in element.ancestors if isinstance(one, Element))
            return is_html(element) and all(map(is_html, around))
    return False


def _is_plain_value(document: Document, text: str, word: tuple[int, int], page: Page) -> bool:
    """Whether a word stands within quotes in an attribute that says nothing of note."""
    start, end = word
    opened = text.rfind("<", 0, start)
    name = re.match(r"<([a-zA-Z][a-zA-Z0-9-]*)[\s/]", text[opened : opened + 40])
    if name is None:
        return False
    line = text.count("\n", 0, opened) + 1
    column = opened - (text.rfind("\n", 0, opened) + 1)
    for element in document.select(name[1].lower()):
        if element.position != (line, column):
            continue
        location = location_of(element)
        if location is None:
            return False
        for attribute, span in location.attrs.items():
            if span.start_offset <= start and end <= span.end_offset:
                written = text[span.start_offset : span.end_offset]
                head, equals, value = written.partition("=")
                quote = value.lstrip()[:1]
                if not equals or quote not in {'"', "'"} or not written.endswith(quote):
                    return False
                first = span.start_offset + len(head) + 1 + value.index(quote) + 1
                if start < first or end >= span.end_offset:
                    return False
                whole = text[first : span.end_offset - 1]
                if attribute == "id" and ("&" in whole or RESERVED_ID.fullmatch(whole)):
                    return False  # it is one of ours, or may be with another word
                if attribute in _SHOWN_IN_PICTURES and _has_picture(location.start_tag, page):
                    return False
                return _says_nothing(element, attribute, text[first:start])
    return False


def _has_picture(tag: SourceSpan, page: Page) -> bool:
    """Whether a picture stands in the place of an address in a tag when that is closed."""
    return any(
        gate.closing is Closing.PICTURE and tag.start_offset <= gate.start < tag.end_offset
        for gate in page.gates
    )


def _says_nothing(element: Element, attribute: str, before: str) -> bool:
    """Whether what follows `before` in an attribute's value is of no consequence."""
    if not is_html(element):
        return False
    tag = element.tag
    if attribute in _PLAIN_ATTRIBUTES:
        if tag == "style":
            return attribute != "id"  # by that one is known that hides the page
        return tag != "iframe"  # its placeholder shows what the title says
    if attribute == "value":
        return tag in _WITH_VALUE
    if attribute == "href" and tag == "a":
        if any(_MARKERS.match(name) for name in element.attrs):
            return False
        return _PLAIN_URL.match(before) is not None  # not `javascript:`
    if attribute == "content" and tag == "meta":
        name = (element.attr("name") or "").strip().lower()
        return bool(name) and name not in _META_OF_NOTE and element.attr("http-equiv") is None
    if attribute.startswith("data-"):
        is_plain = not (_MARKERS.match(attribute) or is_loaded_name(attribute))
        return is_plain and tag in _WITH_DATA
    is_query = _QUERIES.get(tag) == attribute and "?" in before
    return is_query and _PLAIN_URL.match(before) is not None


def _changes(old: bytes, new: bytes) -> list[_Change] | None:
    """The words that differ, in order; None where more than words does."""
    found: list[_Change] = []
    at = there = floor = 0
    while True:
        same = _same_length(old, at, new, there)
        at += same
        there += same
        if at == len(old) and there == len(new):
            return found
        start = at
        while start > floor and old[start - 1] in _WORD_BYTES:
            start -= 1
        end, new_end = _word_end(old, at), _word_end(new, there)
        new_start = there - (at - start)
        if end == start or new_end == new_start or old[end : end + 1] != new[new_end : new_end + 1]:
            return None
        if len(found) >= _MAX_CHANGES:
            return None
        # The hyphens of `<!--word-->` are the comment's, not the word's.
        if old[start - 2 : start + 2] == b"<!--" and at >= start + 2:
            start, new_start = start + 2, new_start + 2
        hyphens = old[end - 2 : end] == b"--" == new[new_end - 2 : new_end]
        if hyphens and old[end : end + 1] == b">" and at <= end - 2 and there <= new_end - 2:
            end, new_end = end - 2, new_end - 2
        found.append(_Change(start, end, new_start, new_end))
        at, there, floor = end, new_end, end


def _word_end(text: bytes, at: int) -> int:
    found = _WORD.match(text, at)
    return at if found is None else found.end()


def _same_length(old: bytes, at: int, new: bytes, there: int) -> int:
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


def _trimmed(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Two words without what they have in common at both ends."""
    head = _same_length(old, 0, new, 0)
    old, new = old[head:], new[head:]
    if not old or not new or old[-1] != new[-1]:
        return old, new
    tail = _same_length(old[::-1], 0, new[::-1], 0)
    return old[: len(old) - tail], new[: len(new) - tail]


def _moved(page: Page, body: bytes, changes: list[_Change]) -> Page | None:
    """The page's gates at their places in the new body."""
    ends = [change.end for change in changes]

    def there(offset: int) -> int:
        passed = bisect_right(ends, offset)
        return offset + (changes[passed - 1].new_end - ends[passed - 1]) if passed else offset

    first, last, by = changes[0].start, ends[-1], changes[-1].new_end - ends[-1]
    gates: list[Gate] = []
    for gate in page.gates:
        code = gate.code
        if gate.end <= first and code[1] <= first:
            gates.append(gate)
        elif last <= gate.start and (last <= code[0] or not code[1]):
            gates.append(gate.moved(by) if by else gate)
        elif any(_is_disturbed(gate, change) for change in changes):
            return None
        else:
            start, end = there(gate.start), there(gate.end)
            if code[1]:
                code = there(code[0]), there(code[1])
            gates.append(replace(gate, start=start, end=end, code=code))
    return page.passing_as(
        body,
        tuple(gates),
        None if page.head_at is None else there(page.head_at),
        None if page.foot_at is None else there(page.foot_at),
        tuple(map(there, page.declaration_at)),
    )


def _is_disturbed(gate: Gate, change: _Change) -> bool:
    """Whether what stands in a closed gate's place may be another now."""
    # Of a script's code the rest of the page may need something.
    if change.start < gate.code[1] and gate.code[0] < change.end:
        return True
    if change.end <= gate.start or gate.end <= change.start:
        return False
    return gate.closing not in _KEEPS_NOTHING
