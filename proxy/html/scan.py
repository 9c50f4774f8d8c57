"""bytes -> resources: everything on a page that reaches out or runs code, and where it stands.

The parser builds the tree that a browser builds (WHATWG HTML). A page with <noscript> is read
twice, as a browser with JavaScript and one without it, because the two see different pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import turbohtml

from proxy.html.css import css_urls
from proxy.html.source import Source

SLOT = "consent-slot"
_SLOT_MARKUP = f"<{SLOT}></{SLOT}>"


class Kind(StrEnum):
    """What a resource is, in the words of `explain`."""

    SCRIPT = "script"
    INLINE_SCRIPT = "inline script"
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
    FORM = "form"
    PING = "ping"
    REFRESH = "refresh"
    REFERRER = "referrer policy"
    HINT_DELEGATION = "client hints"


class Closing(StrEnum):
    """What stands in a closed resource's place."""

    REMOVE = "the element is taken out"
    EMPTY = "the attribute is emptied"
    PLACEHOLDER = "a placeholder stands in its place"
    CSS_URL = "the URL is taken out of the style"
    STYLE_ATTRIBUTE = "the URLs are taken out of the attribute"
    NESTED = "the nested page is gated"
    FORM_ACTION = "the form leads to the preferences"
    IMPORT_MAP = "the entries are taken out"


@dataclass(slots=True)
class Resource:
    """One thing on a page that reaches out or runs code.

    `urls` are absolute or relative as written, character references resolved. `text` is set
    for inline scripts and nested pages. `css` is the span of a URL within a <style>, relative
    to the style's text.
    """

    kind: Kind
    element: turbohtml.Element
    attribute: str
    closing: Closing
    urls: tuple[str, ...] = ()
    text: str = ""
    css: tuple[int, int] | None = None
    imported: bool = False

    @property
    def tag(self) -> str:
        return self.element.tag


@dataclass(frozen=True, slots=True)
class Scan:
    """What one page holds. Offsets are bytes of `Source.body`.

    `base` is the page's <base href> as written, or "". `marks` are the values of
    <meta name="page-audience">. `head_at` and `foot_at` are where our own markup may stand
    without changing how the rest is parsed; None where there is no such place.
    """

    resources: tuple[Resource, ...]
    base: str
    language: str
    marks: tuple[str, ...]
    is_document: bool
    head_at: int | None
    foot_at: int | None
    slot_at: int
    """Offset at which the parser saw the slot's markup: later offsets are that much too large."""

    def real(self, offset: int) -> int:
        """An offset of the parsed text as an offset of the page."""
        return offset - len(_SLOT_MARKUP) if offset > self.slot_at else offset


_SCRIPT_TYPES = re.compile(
    r"(?:(?:text|application)/(?:x-)?(?:java|ecma|j|live)script(?:1\.[0-5])?|module|"
    # Loaders such as Rocket Loader and Partytown rename the type and run the script later.
    r".*(?:javascript|partytown))",
    re.IGNORECASE,
)
_FETCHING_RELS = frozenset(
    {
        "stylesheet", "preload", "prefetch", "modulepreload", "prerender", "preconnect",
        "dns-prefetch", "icon", "apple-touch-icon", "apple-touch-icon-precomposed",
        "apple-touch-startup-image", "mask-icon", "fluid-icon", "manifest", "import", "subresource",
        "next", "search", "compression-dictionary", "monetization", "pingback-load",
    }
)  # fmt: skip
_HINT_RELS = frozenset(
    {"preload", "prefetch", "modulepreload", "prerender", "preconnect", "dns-prefetch", "next"}
)
_SVG_LINKING = ("href", "xlink:href")
_REFRESH_URL = re.compile(r"^\s*[\d.]*\s*[;,\s]\s*(?:url\s*=\s*)?(.*)$", re.IGNORECASE | re.DOTALL)
_CANDIDATE = re.compile(r"[\s,]*([^\s]*[^\s,])(?:\s+[^,(]*(?:\([^)]*\)[^,(]*)*)?(?:,|\Z)|[\s,]+")
_HARMLESS_CSS = re.compile(r"""url\(\s*['"]?\s*(?:#|data:)""", re.IGNORECASE)

_SELECTOR = ",".join(
    (
        "script,img,iframe,frame,embed,object,applet,video,audio,source,track,link,base,style,bgsound",
        "portal,fencedframe,meta[http-equiv],meta[name]",
        "input[src],image,use,feImage,set[to],animate[to],animate[values],animate[from]",
        "form[action],[formaction],[ping],[attributionsrc],[background],[style*='(']",
        "svg[style],[fill*='('],[filter*='('],[mask*='('],[clip-path*='('],[cursor*='(']",
        "[stroke*='('],[marker-start*='('],[marker-mid*='('],[marker-end*='(']",
        "[manifest],[referrerpolicy]",
        SLOT,
    )
)
_CSS_ATTRIBUTES = (
    "fill", "filter", "mask", "clip-path", "cursor", "stroke",
    "marker-start", "marker-mid", "marker-end",
)  # fmt: skip


def parse(text: str, *, scripting: bool) -> turbohtml.Document:
    """The tree of a page, every element with its place in `text`."""
    return turbohtml.parse(
        text,
        source_locations=True,
        scripting=scripting,
        # As templates, so that what a shadow root holds is found like the rest.
        allow_declarative_shadow_roots=False,
    )


def scan(source: Source) -> Scan:
    """Find every resource of a page. Never fails on bad HTML: there is none, for a browser."""
    text = source.text
    at = _slot_offset(text)
    marked = text[:at] + _SLOT_MARKUP + text[at:]
    resources: list[Resource] = []
    state = _State(marked)
    seen: set[_Place] = set()
    _collect(parse(marked, scripting=False), source, at, resources, state, seen)
    if b"<noscript" in source.body.lower():
        with_scripts = _State(marked)
        _collect(parse(marked, scripting=True), source, at, resources, with_scripts, seen)
        # Our markup must be safe in both pages.
        state.slot_is_safe = state.slot_is_safe and with_scripts.slot_is_safe
    return Scan(
        resources=tuple(resources),
        base=state.base,
        language=state.language,
        marks=tuple(state.marks),
        is_document=state.is_document,
        head_at=state.head_at,
        foot_at=at if state.slot_is_safe else state.body_at,
        slot_at=at,
    )


class _State:
    """What a walk over the tree learns besides the resources."""

    __slots__ = (
        "base", "body_at", "head_at", "is_document", "language", "marks", "slot_is_safe", "text",
    )  # fmt: skip

    def __init__(self, text: str) -> None:
        self.text = text
        self.base = ""
        self.language = ""
        self.marks: list[str] = []
        self.is_document = False
        self.head_at: int | None = None
        self.body_at: int | None = None
        self.slot_is_safe = False


_BODY_END = re.compile(r"</(?:body|html)[\s/>]", re.IGNORECASE)


def _slot_offset(text: str) -> int:
    """Where the foot of the page is, if the parser agrees: before the last </body> or </html>."""
    lowered = text[-4096:].lower()
    shift = len(text) - len(lowered)
    for end in ("</body", "</html"):
        found = lowered.rfind(end)
        if found >= 0 and _BODY_END.match(lowered, found):
            return shift + found
    return len(text)


_UNSAFE_PARENTS = frozenset(
    {
        "select", "button", "textarea", "template", "noscript", "form", "a", "svg", "math",
        "title", "option", "object", "video", "audio", "iframe", "head", "details", "dialog",
    }
)  # fmt: skip


def _slot_is_safe(slot: turbohtml.Element, at: int) -> bool:
    location = slot.source_location
    if location is None or location.start_tag is None or location.start_tag.start_offset != at:
        return False
    return not any(
        isinstance(a, turbohtml.Element) and a.tag in _UNSAFE_PARENTS for a in slot.ancestors
    )


_Place = tuple[tuple[int, int], str]
"""Line and column of a start tag, and its name."""


def _collect(
    document: turbohtml.Document,
    source: Source,
    at: int,
    resources: list[Resource],
    state: _State,
    seen: set[_Place],
) -> None:
    _learn_frame(document, source, state)
    for element in document.select(_SELECTOR):
        tag = element.tag
        if tag == SLOT:
            state.slot_is_safe = state.slot_is_safe or _slot_is_safe(element, at)
            continue
        position = element.position
        if position is not None:
            place = (position, tag)
            if place in seen:
                continue
            seen.add(place)
        resources.extend(_resources_of(element, tag, source, state))


_DOCTYPE = re.compile(r"\s*(?:<!--[\s\S]*?-->\s*)*<!doctype[^>]*>", re.IGNORECASE)


def _learn_frame(document: turbohtml.Document, source: Source, state: _State) -> None:
    root = document.root
    if root is None:
        return
    state.language = source.word(root.attr("lang") or root.attr("xml:lang") or "")
    doctype = _DOCTYPE.match(source.text)
    state.head_at = doctype.end() if doctype else 0
    state.is_document = doctype is not None
    for element in (root, *(child for child in root if _is(child, "head"))):
        location = element.source_location
        if location is not None and location.start_tag is not None:
            state.head_at = location.start_tag.end_offset
            state.is_document = True
    for child in root:
        if _is(child, "body"):
            location = child.source_location
            if location is not None and location.start_tag is not None:
                state.body_at = location.start_tag.end_offset
                state.is_document = True
        elif _is(child, "frameset"):
            state.head_at = None


def _is(node: turbohtml.Node, tag: str) -> bool:
    return isinstance(node, turbohtml.Element) and node.tag == tag


def _resources_of(
    element: turbohtml.Element, tag: str, source: Source, state: _State
) -> Iterator[Resource]:
    handler = _HANDLERS.get(tag)
    if handler is not None:
        yield from handler(element, source, state)
    attributes = element.attrs
    for name in attributes:
        if name in _ATTRIBUTES:
            yield from _ATTRIBUTES[name](element, name, source)


def _value(element: turbohtml.Element, name: str, source: Source) -> str | None:
    value = element.attr(name)
    return None if value is None else source.word(value)


def _linked(
    kind: Kind, closing: Closing, *names: str
) -> Callable[[turbohtml.Element, Source, _State], Iterator[Resource]]:
    """A handler for elements whose attributes are plain URLs."""

    def handler(element: turbohtml.Element, source: Source, _: _State) -> Iterator[Resource]:
        for name in names:
            url = _value(element, name, source)
            if url:
                yield Resource(kind, element, name, closing, (url,))

    return handler


def _script(element: turbohtml.Element, source: Source, _: _State) -> Iterator[Resource]:
    for name in ("src", *_SVG_LINKING):
        url = _value(element, name, source)
        if url:
            yield Resource(Kind.SCRIPT, element, name, Closing.REMOVE, (url,))
            return
    kind = (element.attr("type") or element.attr("language") or "").strip()
    lowered = kind.lower()
    if lowered == "importmap":
        yield Resource(
            Kind.IMPORT_MAP, element, "", Closing.IMPORT_MAP, text=source.word(element.text)
        )
    elif lowered == "speculationrules":
        yield Resource(
            Kind.SPECULATION_RULES, element, "", Closing.REMOVE, text=source.word(element.text)
        )
    elif not kind or _SCRIPT_TYPES.fullmatch(kind) or not element.attr("type"):
        text = element.text
        if text:
            yield Resource(Kind.INLINE_SCRIPT, element, "", Closing.REMOVE, text=text)


def srcset_urls(value: str) -> tuple[str, ...]:
    """The URLs of a srcset (HTML Standard, 4.8.4.3.10)."""
    return tuple(m[1] for m in _CANDIDATE.finditer(value) if m[1])


def _image(element: turbohtml.Element, source: Source, _: _State) -> Iterator[Resource]:
    kind = Kind.IMAGE if element.tag == "img" else Kind.MEDIA
    url = _value(element, "src", source)
    if url:
        yield Resource(kind, element, "src", Closing.EMPTY, (url,))
    candidates = _value(element, "srcset", source)
    if candidates:
        yield Resource(kind, element, "srcset", Closing.EMPTY, srcset_urls(candidates))


def _frame(element: turbohtml.Element, source: Source, _: _State) -> Iterator[Resource]:
    url = _value(element, "src", source)
    if url:
        yield Resource(Kind.FRAME, element, "src", Closing.PLACEHOLDER, (url,))
    nested = element.attr("srcdoc")
    if nested:
        yield Resource(
            Kind.NESTED_PAGE, element, "srcdoc", Closing.NESTED, text=source.word(nested)
        )


def _link(element: turbohtml.Element, source: Source, _: _State) -> Iterator[Resource]:
    rels = (element.attr("rel") or "").lower().split()
    if not _FETCHING_RELS.intersection(rels):
        return
    kind = Kind.LINK
    if "stylesheet" in rels:
        kind = Kind.STYLE_SHEET
    elif _HINT_RELS.intersection(rels):
        kind = Kind.HINT
    url = _value(element, "href", source)
    candidates = _value(element, "imagesrcset", source)
    urls = ((url,) if url else ()) + (srcset_urls(candidates) if candidates else ())
    if urls:
        yield Resource(kind, element, "href", Closing.REMOVE, urls)


def _base(element: turbohtml.Element, source: Source, state: _State) -> Iterator[Resource]:
    # The first one with a href counts, templates' apart (HTML Standard, 4.2.3).
    if not state.base and element.closest("template") is None:
        state.base = (_value(element, "href", source) or "").strip()
    return iter(())


def _meta(element: turbohtml.Element, source: Source, state: _State) -> Iterator[Resource]:
    content = _value(element, "content", source) or ""
    name = (element.attr("name") or "").strip().lower()
    if name == "page-audience":
        state.marks.append(content)
    elif name == "referrer":
        yield Resource(Kind.REFERRER, element, "", Closing.REMOVE)
    directive = (element.attr("http-equiv") or "").strip().lower()
    if directive == "refresh":
        found = _REFRESH_URL.match(content)
        if found and found[1]:
            url = found[1].strip().strip("\"'")
            yield Resource(Kind.REFRESH, element, "content", Closing.REMOVE, (url,))
    elif directive == "delegate-ch":
        urls = tuple(w for w in content.split() if "//" in w)
        yield Resource(Kind.HINT_DELEGATION, element, "content", Closing.REMOVE, urls)


def _style(element: turbohtml.Element, source: Source, state: _State) -> Iterator[Resource]:
    text = element.text
    found = css_urls(text)
    if not found:
        return
    location = element.source_location
    at = location.start_tag.end_offset if location is not None else -1
    if at < 0 or not state.text.startswith(text, at):
        # Within <svg> a style may hold character references: its text is not what is written.
        urls = tuple(source.word(one.url) for one in found)
        yield Resource(Kind.CSS, element, "", Closing.REMOVE, urls)
        return
    for one in found:
        yield Resource(
            Kind.CSS,
            element,
            "",
            Closing.CSS_URL,
            (source.word(one.url),),
            css=(at + one.start, at + one.end),
            imported=one.imported,
        )


def _animation(element: turbohtml.Element, source: Source, _: _State) -> Iterator[Resource]:
    """<set attributeName="href" to="..."> gives another element its URL."""
    for name in ("to", "from", "values"):
        value = _value(element, name, source)
        if value and ("/" in value or "\\" in value or ":" in value):
            urls = tuple(part.strip() for part in value.split(";") if part.strip())
            yield Resource(Kind.IMAGE, element, name, Closing.EMPTY, urls)


def _urls_by_space(kind: Kind, closing: Closing) -> _AttributeHandler:
    def handler(element: turbohtml.Element, name: str, source: Source) -> Iterator[Resource]:
        value = _value(element, name, source)
        if value and value.strip():
            yield Resource(kind, element, name, closing, tuple(value.split()))

    return handler


def _one_url(kind: Kind, closing: Closing) -> _AttributeHandler:
    def handler(element: turbohtml.Element, name: str, source: Source) -> Iterator[Resource]:
        value = _value(element, name, source)
        if value and value.strip():
            yield Resource(kind, element, name, closing, (value,))

    return handler


def _style_attribute(element: turbohtml.Element, name: str, source: Source) -> Iterator[Resource]:
    value = _value(element, name, source)
    if not value or "(" not in value or _HARMLESS_CSS.fullmatch(value):
        return
    urls = tuple(found.url for found in css_urls(value))
    if urls:
        yield Resource(Kind.CSS, element, name, Closing.STYLE_ATTRIBUTE, urls, text=value)


def _referrer_policy(element: turbohtml.Element, name: str, source: Source) -> Iterator[Resource]:
    if (element.attr(name) or "").strip().lower() not in {"", "no-referrer"}:
        yield Resource(Kind.REFERRER, element, name, Closing.EMPTY)


_AttributeHandler = Callable[[turbohtml.Element, str, Source], Iterator[Resource]]

_ATTRIBUTES: dict[str, _AttributeHandler] = {
    "ping": _urls_by_space(Kind.PING, Closing.EMPTY),
    "attributionsrc": _urls_by_space(Kind.PING, Closing.EMPTY),
    "background": _one_url(Kind.IMAGE, Closing.EMPTY),
    "formaction": _one_url(Kind.FORM, Closing.FORM_ACTION),
    "manifest": _one_url(Kind.LINK, Closing.EMPTY),
    "style": _style_attribute,
    "referrerpolicy": _referrer_policy,
    **dict.fromkeys(_CSS_ATTRIBUTES, _style_attribute),
}

_Handler = Callable[[turbohtml.Element, Source, _State], Iterator[Resource]]
_MEDIA = _linked(Kind.MEDIA, Closing.EMPTY, "src", "poster")
_HANDLERS: dict[str, _Handler] = {
    "script": _script,
    "img": _image,
    "source": _image,
    "iframe": _frame,
    "frame": _linked(Kind.FRAME, Closing.EMPTY, "src"),
    "portal": _linked(Kind.FRAME, Closing.EMPTY, "src"),
    "fencedframe": _linked(Kind.FRAME, Closing.EMPTY, "src"),
    "embed": _linked(Kind.OBJECT, Closing.REMOVE, "src"),
    "object": _linked(Kind.OBJECT, Closing.EMPTY, "data", "codebase", "classid"),
    "applet": _linked(Kind.OBJECT, Closing.EMPTY, "code", "codebase", "archive", "object"),
    "video": _MEDIA,
    "audio": _MEDIA,
    "track": _MEDIA,
    "bgsound": _MEDIA,
    "input": _linked(Kind.IMAGE, Closing.EMPTY, "src"),
    "image": _linked(Kind.IMAGE, Closing.EMPTY, *_SVG_LINKING),
    "use": _linked(Kind.IMAGE, Closing.EMPTY, *_SVG_LINKING),
    "feImage": _linked(Kind.IMAGE, Closing.EMPTY, *_SVG_LINKING),
    "set": _animation,
    "animate": _animation,
    "form": _linked(Kind.FORM, Closing.FORM_ACTION, "action"),
    "link": _link,
    "base": _base,
    "meta": _meta,
    "style": _style,
}
