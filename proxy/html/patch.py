"""Patch a compiled page onto a body that differs by a few words: a token, a time, a count.

Such a page need not be read again as a whole. The words that differ are found by comparing bytes;
where each stands is asked of the parser once. If no word in that place can change how the page is
read or what it reaches for, the earlier page's gates hold for this one, moved along. In any doubt
the answer is None, and the page is compiled like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.vendor_index import Place as MarkedPlace
from proxy.html.boundary import Boundary
from proxy.html.changed_words import Change, changed_words, trimmed
from proxy.html.charset import LATE_PRESCAN, charset_of
from proxy.html.compile import compile_page
from proxy.html.frameworks import has_marks, hydration_of
from proxy.html.gates import Page
from proxy.html.hiders import hides_page
from proxy.html.moved_gates import Offsets, moved_gates
from proxy.html.placed_words import is_of_element, may_be_placed, tags_around
from proxy.html.scan import is_read_twice, needs_both_views, noscripts_in, tags_of_note
from proxy.html.source import UndecodableError, read_source
from proxy.html.tool_signs import ToolSigns, has_tool_signs, tool_signs
from proxy.html.word_places import Place, Zone, may_be_another, zone_of

MAX_BYTES = 1_000_000
"""Bytes. A page that is larger is compiled anew."""

_MAX_SCRIPT_LENGTH = 64_000
_AROUND = 64
"""Bytes beside a word that may be of one mark with it."""
_NUMBER = lazy_pattern(rb"[0-9.]+\Z")


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
    _zones: dict[int, Zone] = field(default_factory=dict)
    _text: str | None = None
    _views: bool | None = None
    _charset: tuple[str, bool] | None = None
    _tools: ToolSigns | None = None
    _places: tuple[MarkedPlace, ...] | None = None

    def patch(self, body: bytes) -> Page | None:
        """The page with this body, if it is like the one that is known; else None."""
        page = self.page
        if body == page.body:
            self.misses = 0
            return page
        found = None
        if len(body) <= MAX_BYTES and not (page.wire or page.transcoded or page.has_base):
            changes = changed_words(page.body, body)
            if changes and self._are_harmless(changes, body):
                found = _moved(page, body, changes, self._tools_of(changes, body))
        self.misses = 0 if found is not None else self.misses + 1
        return found

    def _are_harmless(self, changes: list[Change], body: bytes) -> bool:
        same_charset = self._is_same_charset(changes[0], body)
        return (
            same_charset
            and all(self._is_harmless(change, body) for change in changes)
            and self._has_same_marks(changes, body)
        )

    def _is_same_charset(self, first: Change, body: bytes) -> bool:
        # Browsers look for a <meta charset> in the beginning: it may have been pushed out of there.
        if first.start > LATE_PRESCAN:
            return True
        kind, known = self.content_type, self._charset
        if known is None:
            known = self._charset = charset_of(self.page.body, kind)
        return charset_of(body, kind) == known

    def _is_harmless(self, change: Change, body: bytes) -> bool:
        zone, old = self._zone(change), self.page.body
        if zone.place is Place.NAME and not all(map(is_of_element, self._all_places())):
            return False
        if zone.place is Place.COMMENT and b"-" in body[change.new_start : change.new_end]:
            # In a <noscript> that may be what makes browsers read it in two ways.
            return may_be_another(zone.place, change, old, body) and not is_read_twice(
                body, noscripts_in(body)
            )
        if not may_be_another(zone.place, change, old, body):
            return False
        if zone.place is not Place.SCRIPT:
            return True
        was, word = trimmed(old[change.start : change.end], body[change.new_start : change.new_end])
        quoted = old[change.start - 1 : change.start] in (b'"', b"'")
        numbers = _NUMBER.match(was or b"0") and _NUMBER.match(word or b"0")
        return bool(quoted or numbers) and self._is_same_script(zone, change, body)

    def _has_same_marks(self, changes: list[Change], body: bytes) -> bool:
        """Whether no word changes by what marks all of a page is read: a framework's, and those of
        what vendors' scripts make. Asked of all at once: each search has a fixed cost.
        """
        old, new = _around(changes, self.page.body, body)
        if (has_marks(old) or has_marks(new)) and hydration_of(body) is not self.page.hydration:
            return False
        places_in = self.boundary.index.places_in
        return places_in(old) == places_in(new) and not self._may_be_placed(changes, body)

    def _may_be_placed(self, changes: list[Change], body: bytes) -> bool:
        was, places = self.page.body, self._all_places()
        if not places:
            return False
        old = tags_around(was, [(one.start, one.end) for one in changes])
        new = tags_around(body, [(one.new_start, one.new_end) for one in changes])
        return may_be_placed(b"\0".join((old or b"", new or b"")), places)

    def _tools_of(self, changes: list[Change], body: bytes) -> ToolSigns | None:
        """What the page says of consent tools, where no word changes that."""
        if any(map(has_tool_signs, _around(changes, self.page.body, body))):
            return None
        if self._tools is None:
            self._tools = self.page.tools or tool_signs(self.page.body)
        return self._tools

    def _all_places(self) -> tuple[MarkedPlace, ...]:
        """The marks of content that the page may have."""
        if self._places is None:
            self._places = self.boundary.index.places_in(self.page.body)
        return self._places

    def _is_same_script(self, zone: Zone, change: Change, body: bytes) -> bool:
        """Whether a script with another word in it is whose it was."""
        start, end = zone.around
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
        if not all(map(is_of_element, self._all_places())):
            return False  # it may name the element that another fills
        if _hides_page(old[start:end]) != _hides_page(new):
            return False
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

    def _zone(self, change: Change) -> Zone:
        known = self._zones.get(change.start)
        if known is None:
            known = self._zones[change.start] = self._found_zone(change.start, change.end)
        return known

    def _found_zone(self, start: int, end: int) -> Zone:
        if self._text is None:
            source = read_source(self.page.body, self.content_type)
            self._text, self._views = source.text, needs_both_views(tags_of_note(source.body))
        if self._views:
            return Zone(Place.SOMEWHERE)  # two kinds of browser read it differently
        return zone_of(self._text, (start, end), self.page.gates)


def _hides_page(script: bytes) -> bool:
    """Whether a script hides the page for whichever vendor the rest of that loads."""
    return hides_page(script.decode("latin-1"))


def as_passing(page: Page) -> Page:
    """A page, as one that is seen once."""
    return page.passing_as(
        page.body, page.gates, page.head_at, page.foot_at, page.declaration_at, page.tools
    )


def _around(changes: list[Change], old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """The words of both pages with what stands beside them, as one text each."""
    return (
        b"\0".join([old[max(0, one.start - _AROUND) : one.end + _AROUND] for one in changes]),
        b"\0".join(
            [new[max(0, one.new_start - _AROUND) : one.new_end + _AROUND] for one in changes]
        ),
    )


def _moved(page: Page, body: bytes, changes: list[Change], tools: ToolSigns | None) -> Page | None:
    """The page's gates at their places in the new body."""
    there = Offsets(changes)
    gates = moved_gates(page.gates, there, page.body, body)
    if gates is None:
        return None
    return page.passing_as(
        body,
        gates,
        None if page.head_at is None else there(page.head_at),
        None if page.foot_at is None else there(page.foot_at),
        tuple(map(there, page.declaration_at)),
        tools,
    )
