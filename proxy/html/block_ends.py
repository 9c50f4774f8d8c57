"""Where a page may be cut into blocks.

Two questions. Where are blocks to end, so that pages which share most of their bytes share most of
their blocks? That is answered by the bytes around a place alone (content-defined chunking: a change
moves the ends next to it, and no others). And may a block end there? Only where open elements are
the parser's whole state (HTML Standard, 13.2.4), which the parser is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.scan import DOCTYPE
from proxy.html.tree import Comment, Document, Element, Node, is_html, parse_unplaced

LEAST_BYTES = 3072
"""Bytes of a block, but for the last: each has a fixed cost."""
_TRIED = 8
_WINDOW = 12
"""Bytes before and behind a place that decide whether a block ends there."""
_ONE_OF = 2

# Behind these a browser is seldom in the middle of a link or of formatting.
_BETWEEN_TAGS = lazy_pattern(
    rb"<(?:/(?:address|article|aside|blockquote|center|div|dl|figure|footer|form|h[1-6]|header|hr|li"
    rb"|main|nav|noscript|ol|p|pre|script|section|style|table|title|ul)|(?:meta|link)\s[^<>]*)>"
    rb"[\t\n\r ]*(?=<)",
    re.IGNORECASE,
)


def block_ends(body: bytes) -> list[int]:
    """The offsets where blocks of a page are to end, the last of them that of the page."""
    return [*ends_behind(0, body)]


def ends_behind(start: int, body: bytes) -> Iterator[int]:
    """Those of a page behind a place where one is, one by one. But for the last a tag begins at
    each.
    """
    size = len(body)
    while size - start > 2 * LEAST_BYTES:
        end = start
        for found in islice(_BETWEEN_TAGS.finditer(body, start + LEAST_BYTES), _TRIED):
            end = found.end()
            if crc32(body[end - _WINDOW : end + _WINDOW]) % _ONE_OF == 0:
                break
        if end == start:
            break
        yield end
        start = end
    yield size


_ENDS_MARK = "consent-end"


def possible_ends(around: Surroundings | None, text: str, ends: Sequence[int]) -> set[int]:
    """Of some offsets of a block's text those where a block may end as far as elements are open
    there that may be: the others need not be tried one by one. Takes one parse for all.
    """
    parts, start = ["" if around is None else around.markup], 0
    for number, end in enumerate(ends):
        parts += [text[start:end], f"<!--{_ENDS_MARK}{number}-->"]
        start = end
    tree = parse_unplaced("".join(parts), scripting=False)
    return {
        ends[number]
        for number, mark in _marks(tree)
        if number < len(ends) and _tags_around(mark) is not None
    }


def _marks(tree: Document) -> Iterator[tuple[int, Comment]]:
    found = tree.xpath(f"//comment()[starts-with(., '{_ENDS_MARK}')]")
    for node in found if isinstance(found, list) else ():
        number = node.data.removeprefix(_ENDS_MARK) if isinstance(node, Comment) else ""
        if isinstance(node, Comment) and number.isdecimal():
            yield int(number), node


def _tags_around(node: Node) -> tuple[str, ...] | None:
    """The elements around a node without <html>; None where a block may not end in them."""
    around = [one for one in node.ancestors if isinstance(one, Element)]
    tags = tuple(element.tag for element in reversed(around))
    if not all(map(is_html, around)) or tags[:1] != ("html",) or len(tags) > _MAX_DEPTH:
        return None
    tags = tags[1:]
    if tags == ("head",):
        return tags
    if tags[:1] != ("body",):
        return None
    is_plain = all(tag in _CONTAINERS or _CUSTOM.fullmatch(tag) for tag in tags[1:])
    return tags if is_plain else None


class Surroundings(NamedTuple):
    """The elements that are open at the start of a block, outermost first: `head`, or `body` and
    those within it.
    """

    doctype: str
    tags: tuple[str, ...]

    @property
    def markup(self) -> str:
        """Tags behind which a parser is in the state that it is in at the start of the block."""
        if self.tags == ("head",):
            return f"{self.doctype}<html><head>"
        # The letter is what the body holds before the block.
        inner = "".join(f"<{tag}>" for tag in self.tags[1:])
        return f"{self.doctype}<html><head></head><body>x{inner}"


_MAX_DEPTH = 64
_CONTAINERS = frozenset(
    {"address", "article", "aside", "center", "dd", "details", "div", "dl", "dt", "figcaption",
     "figure", "footer", "form", "header", "li", "main", "nav", "ol", "p", "section", "span", "ul"}
)  # fmt: skip
"""Elements that may be open where a block ends: those that fetch nothing, and that a start tag
alone opens again. Not <a> and <b>, of which the parser keeps a list (13.2.4.3), nor tables, whose
content may be moved out of them."""
_CUSTOM = lazy_pattern(r"[a-z][a-z0-9]*-[a-z0-9-]*", re.ASCII)

_MAX_MARKUP = 2048
"""Characters of the doctype and of the start tags: they are in each block's key, and are parsed
with each block."""

_PROBE = "consent-probe"
_FORM_PROBE = "consent-form"
_ROW_PROBE = "consent-row"
# The comment goes where the parser is. An element goes elsewhere where the parser first closes
# something or opens something again. A <form> is none while another one is open, and a cell is one
# in a table only, be it that the tree has the innermost element outside of that.
_PROBES = (
    f"<!--{_PROBE}--><{_PROBE}></{_PROBE}><form><{_FORM_PROBE}></{_FORM_PROBE}>"
    f"<tr><td><{_ROW_PROBE}></{_ROW_PROBE}>"
)
_LIKE_PROBES = tuple(name.encode() for name in (_PROBE, _FORM_PROBE, _ROW_PROBE))


def surroundings_behind(around: Surroundings | None, text: str) -> Surroundings | None:
    """What is open behind a block's text that is open `around` it; None where a block may not end
    there. Without `around` the text begins the page.
    """
    lowered = text.encode("latin-1").lower()
    if any(name in lowered for name in _LIKE_PROBES):
        return None
    doctype = _doctype(text) if around is None else around.doctype
    before = "" if around is None else around.markup
    tags = _open_elements(before + text, scripting=False)
    if tags is None:
        return None
    if b"<noscript" in lowered and _open_elements(before + text, scripting=True) != tags:
        return None
    if "form" in tags and b"</form" in lowered and not _ends_form(before + text, tags):
        return None
    behind = Surroundings(doctype, tags)
    return behind if len(behind.markup) <= _MAX_MARKUP and _is_restored(behind) else None


def _ends_form(text: str, tags: tuple[str, ...]) -> bool:
    """Whether the form around the end of a text is the one that an end tag ends there: not where
    one end tag was ignored, and another form was begun since (HTML, 13.2.6.4.7).
    """
    within = tags[tags.index("form") :]
    ends = "".join(f"</{tag}>" for tag in reversed(within))
    tree = parse_unplaced(f"{text}{ends}<{_PROBE}></{_PROBE}>", scripting=False)
    probe = tree.select_one(_PROBE)
    return probe is not None and probe.closest("form") is None


@lru_cache(maxsize=1024)
def _is_restored(surroundings: Surroundings) -> bool:
    # With an element in the innermost, and one that may stand in a head as well as in a body.
    text = surroundings.markup + "<meta>"
    return _open_elements(text, scripting=False) == surroundings.tags


def _doctype(text: str) -> str:
    found = DOCTYPE.match(text)
    return found[1] if found is not None else ""


def _open_elements(text: str, *, scripting: bool) -> tuple[str, ...] | None:
    """The elements that are open behind a text, without <html>; None where the state is more than
    these, or where the innermost has no element in it yet: what is to be said of it may depend on
    that.
    """
    tree = parse_unplaced(text + _PROBES, scripting=scripting)
    probe, in_form, in_row = map(tree.select_one, (_PROBE, _FORM_PROBE, _ROW_PROBE))
    if probe is None or in_form is None or in_row is None:
        return None
    note = next(iter(probe.preceding), None)
    if not isinstance(note, Comment) or note.data != _PROBE or note.parent is None:
        return None
    tags = _tags_around(note)
    if tags is None or tags == ("head",):
        return tags
    if probe.parent != note.parent:
        return None
    if isinstance(in_row.parent, Element) and in_row.parent.tag == "td":
        return None
    is_in_form = in_form.parent is None or not _is_made_by_probe(in_form.parent)
    if is_in_form != ("form" in tags):
        return None
    has_content = any(isinstance(node, Element) for node in _before(note))
    return tags if has_content else None


def _is_made_by_probe(form: object) -> bool:
    """Whether a <form> is the one of `_PROBES`: it holds nothing but these."""
    return isinstance(form, Element) and form.tag == "form" and len(list(form)) == 2


def _before(note: Comment) -> list[object]:
    siblings: list[object] = []
    for node in note.parent if note.parent is not None else ():
        if node == note:
            break
        siblings.append(node)
    return siblings
