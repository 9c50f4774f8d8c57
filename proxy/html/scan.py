"""Scan a body for resources: everything that fetches or runs code, with its span.

The parser builds the tree that a browser builds (WHATWG HTML). A page with <noscript> is read
twice, as a browser with JavaScript and one without it, because the two see different pages; once
where the content of <noscript> makes no difference.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass

import ahocorasick_rs

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.attribute_selectors import selector_by_attribute
from proxy.html.deferred import deferring_names, is_loaded_name
from proxy.html.elements import SVG_REFERENCES, resources_in_selects
from proxy.html.hidden_tags import (
    SECTION,
    TEXT_HOLDERS,
    has_hidden_tags,
    has_tags_in_sections,
    hidden_tags,
)
from proxy.html.parse_cost import MAX_DRAWINGS_BY_SELECT, CostlyPageError, check_cost
from proxy.html.plain_tags import PlainTags, Starts, starts_of
from proxy.html.preload_scanner import (
    repeated_attributes,
    with_options_once,
    without_framesets,
)
from proxy.html.readings import Readings
from proxy.html.resource import Closing, Reading, Resource
from proxy.html.source import Source
from proxy.html.tree import (
    ROOTS,
    Document,
    Element,
    Node,
    Text,
    is_html,
    language_of,
    location_of,
    parse,
)

__all__ = ["Closing", "Resource", "Scan", "scan"]

_SLOT = "consent-slot"
_SLOT_MARKUP = f"<{_SLOT}></{_SLOT}>"
LIKE_SLOT = f"<{_SLOT}".encode()


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of scanning one page. Offsets are bytes of `Source.body`, except those of
    `resources`.

    `bases` are the page's <base href> as written: none, one, or one for each kind of browser.
    `marks` are the values of <meta name="page-audience">. `head_at` and `foot_at` are where
    our own markup may stand without changing how the rest is parsed; None where there is no
    such place. `fragile` pages are parsed differently where an element is added.
    """

    resources: tuple[Resource, ...]
    text: str
    """What the parser saw: the page's text and perhaps our slot's markup."""
    slot_at: int | None
    bases: tuple[str, ...]
    language: str
    marks: tuple[str, ...]
    is_document: bool
    head_at: int | None
    foot_at: int | None
    body_at: int | None
    """Where the body's content begins; None where no <body> tag says so."""
    fragile: bool
    documents: tuple[Document, ...] = ()
    """The page as each kind of browser reads it."""
    declaration_at: tuple[int, ...] = ()
    """Where elements marked for the cookie declaration begin to hold something."""
    preferences_links: frozenset[str] = frozenset()
    """Where links that are marked as the site's own to the preferences lead, as written."""
    readings: Readings | None = None
    """The page's two trees, where it is read twice."""
    is_tokenized_alike: bool = True
    """Whether a tokenizer without a tree finds the same tags."""

    @property
    def base(self) -> str:
        """The <base href> of a browser with JavaScript, or ""."""
        return self.bases[-1] if self.bases else ""

    def real(self, offset: int) -> int:
        """Convert an offset of the parsed text to one of the page."""
        if self.slot_at is None or offset <= self.slot_at:
            return offset
        return offset - len(_SLOT_MARKUP)

    def parsed(self, offset: int) -> int:
        """Convert an offset of the page to one of the parsed text."""
        if self.slot_at is None or offset <= self.slot_at:
            return offset
        return offset + len(_SLOT_MARKUP)


_TAGS_BY_NAME: dict[bytes, tuple[str, ...]] = {
    **{
        tag.encode(): (tag,)
        for tag in (
            "script", "img", "iframe", "frame", "embed", "object", "applet", "video", "audio",
            "source", "track", "link", "style", "bgsound", "portal", "fencedframe",
        )
    },
    **{tag.lower().encode(): (tag,) for tag in SVG_REFERENCES},
    b"image": ("image", "img"),  # HTML's is an <img> by another name (HTML, 13.2.6.4.7)
    b"input": ("input[src]",),
    b"form": ("form[action]",),
    b"set": ("set[to]", "set[by]"),
    b"animate": ("animate[to]", "animate[values]", "animate[from]", "animate[by]"),
}  # fmt: skip
"""The selectors of what is looked at for its name, by how its tags begin in lower case. The parser
has an index of names: it finds the elements of one at once, and of several by looking at all.
"""


def scan(
    source: Source,
    *,
    had_base: bool = False,
    tags: TagsOfNote | None = None,
    read_twice: bool = False,
    has_foot: bool = True,
) -> Scan:
    """Find every resource of a page. Never fails on invalid HTML: browsers accept any.

    `had_base`: a <base> precedes `source` in the page. `tags`: `tags_of_note` of the source, where
    they are known. `read_twice`: as a browser with JavaScript and as one without, whether it needs
    that or not. `has_foot`: the end of the source is that of the page. Raises CostlyPageError,
    before parsing, for a page that costs too much to parse.
    """
    text = source.text
    if tags is None:
        tags = tags_of_note(source.body)
    _check_cost(tags)
    if b"selectedcontent" in tags.at:
        text = with_options_once(text)
    read_twice = read_twice or needs_both_views(tags)
    kinds = (False, True) if read_twice else (False,)
    slot_at: int | None = slot_offset(text) if has_foot else None
    marked = text if slot_at is None else text[:slot_at] + _SLOT_MARKUP + text[slot_at:]
    views = _views(source, marked, tags, kinds, had_base=had_base)
    if slot_at is not None and any(
        view.slot is None or _start(view.slot) != slot_at for view in views
    ):
        # The slot's markup is no element of its own (it stands in a comment, or in a tag that
        # was never finished): there it could change what the page says.
        slot_at, marked = None, text
        views = _views(source, text, tags, kinds, had_base=had_base)
    unseen = _behind_framesets(source, marked, tags, had_base=had_base)
    is_tokenized_alike = not _may_have_hidden_tags(tags, [*views, *unseen], is_whole=has_foot)
    hidden = [] if is_tokenized_alike else _hidden_in([*views, *unseen], tags)
    frames = [_frame(view.document, source) for view in views]
    frame = frames[-1]
    body_at = _agreed(frame.body_at for frame in frames)
    foot_is_safe = slot_at is not None and all(_is_foot(view.slot) for view in views)
    if b"noscript" in tags.at:
        foot_is_safe = foot_is_safe and not any(map(_ends_a_noscript, views))
    return Scan(
        resources=(*(one for view in (*views, *unseen) for one in view.resources), *hidden),
        text=marked,
        slot_at=slot_at,
        bases=tuple(dict.fromkeys(view.reading.base or "" for view in (*unseen, *views))),
        language=frame.language,
        marks=tuple(dict.fromkeys(mark for view in views for mark in view.reading.marks)),
        is_document=frame.is_document,
        head_at=_agreed(frame.head_at for frame in frames),
        foot_at=slot_at if foot_is_safe else body_at,
        body_at=body_at,
        fragile=_is_fragile(tags, views),
        documents=tuple(view.document for view in views),
        declaration_at=_declarations(tags, views),
        preferences_links=_preferences_links(tags, views),
        readings=_readings(views[-2:], len(marked)) if read_twice else None,
        is_tokenized_alike=is_tokenized_alike,
    )


def _readings(views: list[_View], length: int) -> Readings:
    without_scripts, with_scripts = views
    return Readings(without_scripts.document, with_scripts.document, length)


_BODY_END = lazy_pattern(r"</(?:body|html)[\s/>]", re.IGNORECASE)


_DECLARATION = "data-consent-declaration"
_HOLDERS = ",".join(f"{tag}[{_DECLARATION}]" for tag in ("div", "section", "article", "main"))
"""What may hold the declaration: its headings and tables would end a paragraph."""


def _declarations(tags: TagsOfNote, views: list[_View]) -> tuple[int, ...]:
    """The offsets of elements that request the declaration, in every view."""
    if _DECLARATION not in tags.deferring:
        return ()
    found = []
    for view in views:
        holders = [
            element
            for element in view.document.select(_HOLDERS)
            if is_html(element) and element.closest("template") is None
        ]
        locations = (location_of(element) for element in holders)
        found.append({at.start_tag.end_offset for at in locations if at is not None})
    return tuple(sorted(set.intersection(*found)))


PREFERENCES_LINK = "data-consent-link"
_HIDING = "main,article,template,noscript,[hidden],[style],[aria-hidden]"
"""Where a marked link does not count: visitors may have written it there, or nobody sees it."""


def _preferences_links(tags: TagsOfNote, views: list[_View]) -> frozenset[str]:
    """The `href` of each link of the page's own frame that is marked as leading to the preferences,
    in every view.
    """
    if PREFERENCES_LINK not in tags.deferring:
        return frozenset()
    return frozenset.intersection(
        *(
            frozenset(
                (link.attr("href") or "").strip()
                for link in view.document.select(f"a[{PREFERENCES_LINK}][href]")
                if is_html(link) and link.closest(_HIDING) is None
            )
            for view in views
        )
    )


def slot_offset(text: str) -> int:
    """Where the foot of the page is, if the parser agrees: before the last </body> or </html>."""
    lowered = text[-4096:].lower()
    shift = len(text) - len(lowered)
    for end in ("</body", "</html"):
        found = lowered.rfind(end)
        if found >= 0 and _BODY_END.match(lowered, found):
            return shift + found
    return len(text)


@dataclass(slots=True)
class _View:
    """The page as one kind of browser sees it, without the resources of earlier views."""

    document: Document
    reading: Reading
    resources: list[Resource]
    slot: Element | None


_Place = tuple[tuple[int, int], str, str]
"""Line and column of a start tag, its name, and what language it is in."""


# A <noscript> that both kinds of browser leave in the same state, and at the same place: it holds
# only text and elements that have no content or raw text, all plainly written. Then the page
# with JavaScript holds nothing that the page without it does not.
_ATTRIBUTES = (
    r"""(?>(?:[\t\n\f\r ]+[a-z][a-z0-9:_-]*"""
    r"""(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"[^"<>]*"|'[^'<>]*'|[^\t\n\f\r "'<>=`]+))?)*)"""
    r"""[\t\n\f\r ]*/?>"""
)
_HARMLESS_NOSCRIPT = lazy_pattern(
    (
        rf"<noscript{_ATTRIBUTES}(?>(?:[^<]++|<(?:img|link|meta|br){_ATTRIBUTES}"
        rf"|<(iframe|style){_ATTRIBUTES}[^<]*</\1>|<!--[^<>-]*-->)*)</noscript>"
    ).encode(),
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TagsOfNote:
    """The offsets of tags that make a page harder to read, by name; end tags as "/name".

    Found in one pass over the lower-cased bytes: each search of its own costs as much.
    """

    lowered: bytes
    at: dict[bytes, list[int]]
    deferring: frozenset[str] = frozenset()
    """Names of attributes that may hold what a script of the page loads (`deferring_names`)."""


_HEADS = frozenset({b"base", b"meta"})
_SECTION = SECTION[1:].lower().encode()
_HARDER = (b"svg", b"/svg", b"math", b"/math", b"selectedcontent", b"select", b"template",
           b"frameset", b"noscript", b"html", b"body", _SECTION)  # fmt: skip
_TEXTS = tuple(name.encode() for name in TEXT_HOLDERS)
# Of two that begin alike the longer one comes first: it is that one then, and not the other.
_NAMES = sorted({*_HEADS, *_HARDER, *_TEXTS, *_TAGS_BY_NAME}, key=lambda one: (-len(one), one))
# Not of the standard kind: only for the others does the library look at several bytes at once.
_TAGS = ahocorasick_rs.BytesAhoCorasick(
    [b"<" + name for name in _NAMES], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)


_OF_PLAIN_TAGS = (b"script", b"img", b"link", b"source", b"iframe", b"video", b"form", b"input")


def tags_of_note(body: bytes) -> TagsOfNote:
    lowered = body.lower()
    starts: list[list[int]] = [[] for _ in _NAMES]
    for number, start, _ in _TAGS.find_matches_as_indexes(lowered):
        starts[number].append(start)
    at = {name: found for name, found in zip(_NAMES, starts, strict=True) if found}
    return TagsOfNote(lowered, at, deferring_names(lowered))


def check_page_cost(body: bytes) -> None:
    """Raise CostlyPageError for a page, or a part of one, that costs too much to parse."""
    _check_cost(tags_of_note(body))


def _check_cost(tags: TagsOfNote) -> None:
    roots = (*tags.at.get(b"html", ()), *tags.at.get(b"body", ()))
    check_cost(tags.lowered, roots)
    drawings = len(tags.at.get(b"svg", ())) + len(tags.at.get(b"math", ()))
    if b"select" in tags.at and drawings > MAX_DRAWINGS_BY_SELECT:
        raise CostlyPageError(
            f"more than {MAX_DRAWINGS_BY_SELECT} drawings on a page with a <select>"
        )


def needs_both_views(tags: TagsOfNote) -> bool:
    """Whether browsers with and without JavaScript may see different resources in a page."""
    found = tags.at.get(b"noscript", ())
    # A frameset counts only while nothing visible precedes it.
    if found and b"frameset" in tags.at:
        return True
    return is_read_twice(tags.lowered, found)


def is_read_twice(body: bytes, noscripts: Iterable[int]) -> bool:
    """What `needs_both_views` says of a page without a frameset. `noscripts`: as `noscripts_in`."""
    past = 0
    for at in noscripts:
        if at < past:
            continue
        harmless = _HARMLESS_NOSCRIPT.match(body, at)
        if harmless is None:
            return True
        past = harmless.end()
    return False


_NOSCRIPT = lazy_pattern(b"<noscript", re.IGNORECASE)


def noscripts_in(body: bytes) -> tuple[int, ...]:
    """The offsets of the <noscript> tags of a page, or of a part of one."""
    return tuple([found.start() for found in _NOSCRIPT.finditer(body)])


def _views(
    source: Source, text: str, tags: TagsOfNote, kinds: tuple[bool, ...], *, had_base: bool
) -> list[_View]:
    seen: set[_Place] = set()

    def read(text: str) -> list[_View]:
        at = starts_of(text, (start for name in _OF_PLAIN_TAGS for start in tags.at.get(name, ())))
        return [
            _read(source, text, tags, seen, at, scripting=one, had_base=had_base) for one in kinds
        ]

    views = read(text)
    if (
        has_drawings(tags)
        and _SECTION in tags.at
        and any(has_tags_in_sections(one.document, _TEXT_HOLDERS) for one in views)
    ):
        # WebKit's reading. In front: the last view is that of a browser with JavaScript.
        views = [*read(text.replace(SECTION, _SECTION_AS_COMMENT)), *views]
    return views


def _behind_framesets(
    source: Source, text: str, tags: TagsOfNote, *, had_base: bool
) -> list[_View]:
    """What only a browser's preload scanner finds on a page with a frameset."""
    if b"frameset" not in tags.at:
        return []
    text = without_framesets(text)
    seen: set[_Place] = set()
    views = [
        _read(source, text, tags, seen, {}, scripting=one, had_base=had_base)
        for one in ((False, True) if b"noscript" in tags.at else (True,))
    ]
    # It asks for nothing of these; their attributes may stand in a tag that cannot be placed.
    for view in views:
        view.resources[:] = [one for one in view.resources if one.tag not in ROOTS]
    return views


def _may_have_hidden_tags(tags: TagsOfNote, views: list[_View], *, is_whole: bool) -> bool:
    """Whether a browser's preload scanner may find others on a page with a drawing."""
    if b"svg" not in tags.at and b"math" not in tags.at:
        return False
    names = [name for name in TEXT_HOLDERS if name.encode() in tags.at]
    if _SECTION in tags.at:
        names.append(SECTION)
    return any(
        has_hidden_tags(view.document, view.reading.text, names, is_whole=is_whole)
        for view in views
    )


def _hidden_in(views: list[_View], tags: TagsOfNote) -> list[Resource]:
    """What only a browser's preload scanner finds on such a page."""
    reading = views[-1].reading
    documents = [view.document for view in views]
    kinds = (False, True) if b"noscript" in tags.at else (True,)
    return [one for kind in kinds for one in hidden_tags(documents, reading, scripting=kind)]


def _read(
    source: Source,
    text: str,
    tags: TagsOfNote,
    seen: set[_Place],
    starts: Starts,
    *,
    scripting: bool,
    had_base: bool,
) -> _View:
    relative_css = had_base or b"base" in tags.at
    has_select = b"select" in tags.at
    document = parse(text, scripting=scripting)
    reading = Reading(source, text, relative_css, has_select, tags.deferring)
    plain_tags = PlainTags(reading, starts)
    view = _view(document, reading, seen, tags, plain_tags)
    if has_select:
        view.resources.extend(resources_in_selects(document, text))
    if plain_tags.may_repeat:
        view.resources.extend(repeated_attributes(document, reading))
    for resource in view.resources:
        resource.scripting = scripting
    return view


_SECTION_AS_COMMENT = "<!-CDATA-"
"""As long, and a bogus comment wherever it stands: it ends at the next `>`."""
_TEXT_HOLDERS = "desc,title,foreignObject,mi,mo,mn,ms,mtext,annotation-xml"
"""Integration points (HTML Standard, 13.2.6.5): elements of drawings and formulas that hold HTML.
CDATA sections are allowed in them, as in every element that is not HTML's; WebKit takes them there
for bogus comments.
"""


MAX_DEFERRED_NAMES = 64
"""Names in a selector. A page with more is looked through element by element."""


def loaded_names(tags: TagsOfNote) -> frozenset[str]:
    """Of the names of attributes that may hold what a script loads, those that it may load on any
    element.
    """
    return frozenset(filter(is_loaded_name, tags.deferring))


def _by_attribute(tags: TagsOfNote) -> str:
    loaded = sorted(loaded_names(tags))
    if len(loaded) > MAX_DEFERRED_NAMES:
        return "*"
    # With our slot, which the parser has no index for: it looks at all elements once.
    names = map(_as_identifier, loaded)
    return ",".join((_SLOT, selector_by_attribute(tags.lowered), *(f"[{name}]" for name in names)))


def _as_identifier(name: str) -> str:
    """A name as a selector has it: none begins with a hyphen and a digit (CSS Syntax, 4.3.9)."""
    return f"\\{name}" if name.startswith("-") else name


def selected(document: Document, tags: TagsOfNote) -> list[Element]:
    """The elements that may be resources, each once: <base> and <meta>, of which the first in the
    tree counts, in its order; then the others in the order of their tags.
    """
    select = document.select
    first = [*select("base"), *select("meta")] if _HEADS.intersection(tags.at) else []
    found = {
        element: None
        for name in tags.at
        for selector in _TAGS_BY_NAME.get(name, ())
        for element in select(selector)
    }
    found.update(dict.fromkeys(select(_by_attribute(tags))))
    for element in first:
        found.pop(element, None)
    return [*first, *sorted(found, key=_position)]


def _position(element: Element) -> tuple[int, int]:
    return element.position or (0, 0)


def _view(
    document: Document, reading: Reading, seen: set[_Place], tags: TagsOfNote, plain_tags: PlainTags
) -> _View:
    view = _View(document, reading, [], None)
    for element in selected(document, tags):
        tag = element.tag
        if tag == _SLOT:
            view.slot = view.slot or element
            continue
        position = element.position
        if position is not None and tag != "base" and tag != "meta":
            place = (position, tag, language_of(element))
            if place in seen and _is_alike_in_all_views(element, tag, reading, tags):
                plain_tags.may_repeat = True  # here it is not looked at
                continue
            seen.add(place)
        view.resources.extend(plain_tags.resources_of(element, tag, position))
    return view


def _is_alike_in_all_views(element: Element, tag: str, reading: Reading, tags: TagsOfNote) -> bool:
    """Whether a tag makes the same resources in each view of the page. Not where later tags give
    attributes to <html> and <body>, nor in a <select>, in which some browsers leave out the drawing
    around a tag.
    """
    if tag in ROOTS:
        return len(tags.at.get(tag.encode(), ())) <= 1
    return not reading.has_select or is_html(element) or element.closest("select") is None


def _start(element: Element) -> int | None:
    location = location_of(element)
    return None if location is None else location.start_tag.start_offset


def _is_foot(slot: Element | None) -> bool:
    """Whether an element is a child of the body, whatever it contains."""
    body = slot.parent if slot is not None else None
    return _is(body, "body") and body is not None and _is(body.parent, "html")


def _is_first(slot: Element | None) -> bool:
    """Whether nothing but blanks and comments precedes an element in its parent."""
    for node in slot.parent if slot is not None and slot.parent is not None else ():
        if node is slot:
            return True
        if isinstance(node, Element) or (isinstance(node, Text) and node.data.strip()):
            return False
    return True


def _ends_a_noscript(view: _View) -> bool:
    """Whether our slot may be what ends a <noscript> in the head: without it that would go on.

    Only the first of the body may be: a pixel, where one stands in the <noscript>, has ended it
    long before.
    """
    if not _is_first(view.slot):
        return False
    for element in view.document.select("head > noscript"):
        location = location_of(element)
        if location is None or location.end_tag is None:
            return True
    return False


def _is_fragile(tags: TagsOfNote, views: list[_View]) -> bool:
    if b"frameset" in tags.at:  # counts only while nothing visible precedes it
        return True
    if _is_plainly_drawn(tags, b"svg") and _is_plainly_drawn(tags, b"math"):
        return False
    return any(has_broken_drawing(view.document, view.reading.text) for view in views)


def has_broken_drawing(document: Document, text: str) -> bool:
    """Whether an HTML tag ended a drawing: without that tag it would continue."""
    return any(_is_broken(element, text) for element in document.select("svg,math"))


def has_drawings(tags: TagsOfNote) -> bool:
    return b"svg" in tags.at or b"math" in tags.at


_ENDING = (b"img", b"embed", b"meta")
"""Of the tags that end a drawing, those that we may take out."""


def _is_plainly_drawn(tags: TagsOfNote, tag: bytes) -> bool:
    """Whether every drawing (svg, math) ends properly and contains no tag that could end it sooner:
    decided from the bytes, many times faster than from the tree. False in doubt.
    """
    starts, ends = tags.at.get(tag, []), tags.at.get(b"/" + tag, [])
    if not starts or len(starts) != len(ends):
        return starts == ends
    find, lowered = tags.lowered.find, tags.lowered
    for start, end, after in zip(starts, ends, [*starts[1:], len(lowered)], strict=True):
        if not find(b">", start) < end < after:
            return False
    ending = (at for name in _ENDING for at in tags.at.get(name, ()))
    return not any(
        number and at < ends[number - 1] for at in ending for number in (bisect(starts, at),)
    )


def _is_broken(foreign: Element, text: str) -> bool:
    location = location_of(foreign)
    if location is None or location.end_tag is not None:
        return False
    return text[location.start_tag.end_offset - 2] != "/"


@dataclass(slots=True)
class _Frame:
    """What a page declares outside of its content (doctype, head, body), with positions."""

    language: str = ""
    is_document: bool = False
    head_at: int | None = 0
    body_at: int | None = None


def _agreed(places: Iterable[int | None]) -> int | None:
    """The offset that all views of a page agree on, or None."""
    known = set(places)
    return known.pop() if len(known) == 1 else None


# What may stand before a doctype: blanks, comments and what is read as one.
DOCTYPE = lazy_pattern(
    r"(?>(?:[\t\n\f\r ]|<!--(?:-?>|[\s\S]*?--!?>)|<(?:\?|/(?![A-Za-z]))[^>]*>"
    r"|<!(?!doctype|--)[^>]*>)*)(<!doctype[^>]*>)",
    re.IGNORECASE,
)


def _frame(document: Document, source: Source) -> _Frame:
    frame = _Frame()
    doctype = DOCTYPE.match(source.text)
    if doctype is not None:
        frame.head_at = doctype.end()
        frame.is_document = True
    root = document.root
    if root is None:
        return frame
    frame.language = source.word(root.attr("lang") or root.attr("xml:lang") or "")
    children = [child for child in root if isinstance(child, Element)]
    for element in (root, *children):
        if element.tag == "frameset":
            frame.head_at = None
        location = location_of(element)
        if location is None:
            continue
        if element.tag in {"html", "head"}:
            frame.head_at = location.start_tag.end_offset
        elif element.tag == "body":
            frame.body_at = location.start_tag.end_offset
        else:
            continue
        frame.is_document = True
    return frame


def _is(node: Node | None, tag: str) -> bool:
    return isinstance(node, Element) and node.tag == tag
