"""Where a word of a page stands, and whether another may stand there without a consequence.

The parser is asked, once for each place: what it says holds for every word that begins and ends
where this one does (`changed_words`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.changed_words import Change, same_length, trimmed
from proxy.html.deferred import is_loaded_name
from proxy.html.gates import Gate
from proxy.html.resource import RESERVED_ID, Closing
from proxy.html.tree import Document, Element, is_html, location_of, parse

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
_ADDRESSES = frozenset({"src", "href"})
_META_OF_NOTE = frozenset({"page-audience", "referrer"})


class Place(Enum):
    """Where a word stands."""

    SOMEWHERE = auto()  # where it may matter
    TEXT = auto()
    COMMENT = auto()
    VALUE = auto()
    NAME = auto()  # an id: scripts may name it
    ADDRESS = auto()  # a value that says what an element asks for
    SCRIPT = auto()


@dataclass(frozen=True, slots=True)
class Zone:
    """What is known of a word; `around` is the script it stands in, or the tag with the address."""

    place: Place
    around: tuple[int, int] = (0, 0)


_NOWHERE = Zone(Place.SOMEWHERE)


def zone_of(text: str, word: tuple[int, int], gates: Sequence[Gate], shift: int = 0) -> Zone:
    """Where a word of a page stands. `gates`: the page's, which begins at `shift` in the text. All
    other offsets are the text's.
    """
    start, end = word
    opened, closed = text.rfind("<", 0, start), text.rfind(">", 0, start)
    if closed > opened and _is_probe_found(text, start, end, "", ""):
        return Zone(Place.TEXT)
    if text.startswith("<!--", opened) and _is_probe_found(text, start, end, "-->", "<!--"):
        return Zone(Place.COMMENT)
    document = parse(text, scripting=False)
    if opened > closed:
        zone = _zone_of_value(document, text, word, gates, shift)
        if zone.place is not Place.SOMEWHERE:
            return zone
    for script in document.select("script"):
        location = location_of(script)
        if location is None or location.end_tag is None:
            continue
        if location.start_tag.end_offset <= start and end <= location.end_tag.start_offset:
            if not is_html(script):
                break
            span = location.start_tag.start_offset, location.end_tag.end_offset
            return Zone(Place.SCRIPT, span)
    return _NOWHERE


def may_be_another(place: Place, change: Change, old: bytes, new: bytes) -> bool:
    """Whether the one word may stand where the other does; within a script, as far as that goes on
    to be read as it was.
    """
    if place is Place.SOMEWHERE or place is Place.ADDRESS:
        return False
    if place is Place.VALUE or place is Place.NAME:
        return not _RESERVED.fullmatch(new, change.new_start, change.new_end)
    if old[change.start - 1 : change.start] in (b"<", b"&", b"!", b"#", b""):
        return False
    if place is Place.TEXT:
        return True
    was, word = trimmed(old[change.start : change.end], new[change.new_start : change.new_end])
    # `--` and what stands beside it end comments and change how scripts are read.
    if any(b"--" in one or b"-" in (one[:1], one[-1:]) for one in (was, word)):
        return False
    return bool(was and word) or not _meets_end(change, old, new)


def _meets_end(change: Change, old: bytes, new: bytes) -> bool:
    """Whether what one of two words has more stands between the parts of what ends a comment:
    `<!--word->`, of which `<!--->` is left.
    """
    same = same_length(old, change.start, new, change.new_start)
    before = old[change.start + same - 1 : change.start + same]
    more = (change.end - change.start) - (change.new_end - change.new_start)
    behind = change.start + same + max(0, more)
    return before == b"-" and old[behind : behind + 1] in (b"-", b">", b"!")


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


def _zone_of_value(
    document: Document, text: str, word: tuple[int, int], gates: Sequence[Gate], shift: int
) -> Zone:
    """The zone of a word within quotes in an attribute."""
    start, end = word
    opened = text.rfind("<", 0, start)
    name = re.match(r"<([a-zA-Z][a-zA-Z0-9-]*)[\s/]", text[opened : opened + 40])
    if name is None:
        return _NOWHERE
    line = text.count("\n", 0, opened) + 1
    column = opened - (text.rfind("\n", 0, opened) + 1)
    for element in document.select(name[1].lower()):
        if element.position != (line, column):
            continue
        location = location_of(element)
        if location is None:
            return _NOWHERE
        tag = location.start_tag.start_offset, location.start_tag.end_offset
        for attribute, span in location.attrs.items():
            if span.start_offset <= start and end <= span.end_offset:
                written = text[span.start_offset : span.end_offset]
                head, equals, value = written.partition("=")
                quote = value.lstrip()[:1]
                if not equals or quote not in {'"', "'"} or not written.endswith(quote):
                    return _NOWHERE
                first = span.start_offset + len(head) + 1 + value.index(quote) + 1
                if start < first or end >= span.end_offset:
                    return _NOWHERE
                whole = text[first : span.end_offset - 1]
                if "<" in text[end : tag[1]]:
                    return _NOWHERE  # what is around a word is looked for up to there
                if attribute == "id" and ("&" in whole or RESERVED_ID.fullmatch(whole)):
                    return _NOWHERE  # it is one of ours, or may be with another word
                closings = {g.closing for g in gates if tag[0] <= g.start + shift < tag[1]}
                if attribute in _SHOWN_IN_PICTURES and Closing.PICTURE in closings:
                    return _NOWHERE
                if _says_nothing(element, attribute, text[first:start]):
                    return Zone(Place.NAME if attribute == "id" else Place.VALUE)
                # By itself a drawing's tag is another element's, which asks for something else.
                is_address = attribute in _ADDRESSES and is_html(element)
                return Zone(Place.ADDRESS, tag) if is_address else _NOWHERE
    return _NOWHERE


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
