"""Extract the resources of one element: the URLs it fetches and the code it runs."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.urls import strip_url
from proxy.html.cmp_markup import marks_of
from proxy.html.css import CssUrl, css_urls
from proxy.html.data_url import data_of
from proxy.html.deferred import deferred_resources, script_addresses
from proxy.html.hiders import ANY_VENDOR, hider_vendor
from proxy.html.module_imports import imported_urls
from proxy.html.owners import KnownVendor, Owner
from proxy.html.parse_cost import MAX_TEXT_IN_SELECTS, CostlyPageError
from proxy.html.remembered import Remembered
from proxy.html.resource import CLOSED_TYPE, RESERVED_ID, Closing, Reading, Resource, ResourceKind
from proxy.html.srcset import srcset_urls
from proxy.html.tree import Document, Element, Text, is_html, location_of


def resources_of(element: Element, tag: str, reading: Reading) -> Iterator[Resource]:
    """Every resource of one element. Order: the element's own, then by attribute."""
    if is_html(element):
        handlers: tuple[_Handler | None, ...] = (_HANDLERS.get(tag),)
    elif reading.has_select and element.closest("select") is not None:
        # Browsers before 2025 leave out the <svg> or <math> of a <select>.
        handlers = (_HANDLERS.get("img" if tag == "image" else tag), _SVG_HANDLERS.get(tag))
    else:
        handlers = (_SVG_HANDLERS.get(tag),)
    for handler in handlers:
        if handler is not None:
            yield from handler(element, reading)
    for name in element.attrs:
        if name in _ATTRIBUTES:
            yield from _ATTRIBUTES[name](element, name, reading)
        elif name in reading.deferring:
            yield from deferred_resources(element, tag, name, reading)


_DRAWN_IN_SELECTS = "select :is(svg,math)"
_ENDING_A_SELECT = (
    f"{_DRAWN_IN_SELECTS} :is(select,input,keygen,textarea"
    ",table,caption,tbody,tfoot,thead,tr,td,th)"
)
"""Names that end a <select>, those of tables one in a table, for those browsers: for others they
stand in a drawing, or in the HTML in one.
"""
_TAGS_AS_TEXT = "select :is(style,title,textarea,xmp,iframe,noembed,noframes,plaintext,svg,math)"


def resources_in_selects(document: Document, text: str) -> Iterator[Resource]:
    """The resources of what browsers before 2025 read otherwise in a <select>: they leave out the
    drawing around a tag, and elements whose content is text. No real page has them, so all are
    closed. `text` is what the parser saw. Raises CostlyPageError where there are too many.
    """
    read = 0
    for element in document.select(_TAGS_AS_TEXT):
        content = element.text
        read += len(content)
        if read > MAX_TEXT_IN_SELECTS:
            raise CostlyPageError("drawings in one another within a <select>")
        if "<" in content:
            yield Resource(ResourceKind.SCRIPT, element, "", Closing.REMOVE, ("//",))
    if not document.select(_DRAWN_IN_SELECTS):
        return
    for element in document.select(_ENDING_A_SELECT):
        yield Resource(ResourceKind.SCRIPT, element, "", Closing.REMOVE, ("//",))
    scripts = [one for one in document.select(f"{_DRAWN_IN_SELECTS} script") if not is_html(one)]
    ends = [*(found.start() for found in _SCRIPT_END.finditer(text)), len(text)] if scripts else []
    for element in scripts:
        if _is_other_code(element, text, ends):
            yield Resource(ResourceKind.SCRIPT, element, "", Closing.REMOVE, ("//",))


_SCRIPT_END = lazy_pattern(r"</script", re.IGNORECASE)
_BLANKS = lazy_pattern(r"\s*\Z")


def _is_other_code(script: Element, text: str, ends: list[int]) -> bool:
    """Whether a drawing's script is other code where it is taken for one of HTML's: its own content
    is markup, which may end at once (`<script />`), the other's is text up to the next of `ends`.
    """
    location = location_of(script)
    if location is None:
        return False
    start = location.start_tag.end_offset
    end = ends[bisect_left(ends, start)]
    nodes = [*script]
    if not nodes:
        return _BLANKS.match(text, start, end) is None
    content = nodes[0].data if len(nodes) == 1 and isinstance(nodes[0], Text) else None
    return content is None or start + len(content) != end or not text.startswith(content, start)


_Handler = Callable[[Element, Reading], Iterator[Resource]]
_AttributeHandler = Callable[[Element, str, Reading], Iterator[Resource]]

_SVG_LINKING = ("href", "xlink:href")


def _linked(kind: ResourceKind, closing: Closing, *names: str) -> _Handler:
    """A handler for elements whose attributes are plain URLs."""

    def handler(element: Element, reading: Reading) -> Iterator[Resource]:
        for name in names:
            url = reading.value(element, name)
            if url:
                yield Resource(kind, element, name, closing, (url,))

    return handler


# Types that a browser runs, as they are or behind what a loader puts around them until it is their
# turn: Rocket Loader (`0a1b2c-text/javascript`), Partytown, `text/javascript/blocked`.
_RUN_TYPE = lazy_pattern(r"(?:java|ecma|j|live)script|\bmodule|partytown", re.IGNORECASE)
# Types of what pages keep in a <script> without running it. All others are code that some loader
# holds back, under a name of its own (`rocketlazyloadscript`, `text/psajs`, `mpp/lazy`).
_DATA_TYPE = lazy_pattern(
    r"(?:text|application|image|model)/(?:[\w.+-]*\+)?(?:x-|ld-)?(?:json5?|xml|html?|xhtml|plain|css"
    r"|csv|yaml|toml|markdown|rtf|svg|vtt|turtle|n3|sparql|graphql|xslt|component|config"
    r"|magento-init|less|scss|sass|geo|topo|glsl|wgsl|latex)"
    r"|(?:x-shader|math)/[\w.+-]*",
    re.IGNORECASE,
)
_TEMPLATE_TYPE = lazy_pattern(
    r"template|tmpl|handlebars|mustache|jsrender|underscore|\bejs\b|nunjucks|\bdot\b|kendo|shader"
    r"|\bdust\b|hogan|swig|twig",
    re.IGNORECASE,
)
_MAX_TYPE_LENGTH = 100


def is_code(kind: str) -> bool:
    """Whether a script of a type is code: run by the browser, or held back for a loader that runs
    it. `kind` is the value of its `type`, "" for none.
    """
    if not kind or len(kind) > _MAX_TYPE_LENGTH or _RUN_TYPE.search(kind):
        return True
    name = kind.partition(";")[0].strip()
    if name.lower() == CLOSED_TYPE:
        return False
    return not (_DATA_TYPE.fullmatch(name) or _TEMPLATE_TYPE.search(name))


def _script(element: Element, reading: Reading) -> Iterator[Resource]:
    return _script_from(("src",), element, reading)


_SCANNED_SOURCE = _linked(ResourceKind.SCRIPT, Closing.EMPTY, "src")


def _svg_script(element: Element, reading: Reading) -> Iterator[Resource]:
    """Runs what its `href` names, else its own code; a preload scanner asks for its `src`."""
    yield from _script_from(_SVG_LINKING, element, reading)
    yield from _SCANNED_SOURCE(element, reading)


def _script_from(names: tuple[str, ...], element: Element, reading: Reading) -> Iterator[Resource]:
    found = [(name, url) for name in names if (url := reading.value(element, name))]
    found += (one for one in script_addresses(element, reading) if one[0] not in names)
    if element.attr("type") and (marks := marks_of(element)):
        yield from _marked_script(element, marks, found)
    for name, url in found:
        data = data_of(url)
        if data is not None:
            code = data.text
            urls = imported_urls(code) if _is_module(element) else ()
            yield Resource(ResourceKind.INLINE_SCRIPT, element, name, Closing.NEUTRAL, urls, code)
        else:
            yield Resource(ResourceKind.SCRIPT, element, name, Closing.NEUTRAL, (url,))
    if not any(name in names for name, _ in found):
        yield from _inline_script(element, reading)


def _marked_script(
    element: Element,
    marks: frozenset[Owner],
    found: list[tuple[str, str]],
) -> Iterator[Resource]:
    """A script that another consent tool holds back: owned by its vendor, and activated when it
    opens.
    """
    urls = tuple(url for _, url in found)
    text = "" if urls else element.text
    if text:
        yield Resource(ResourceKind.INLINE_SCRIPT, element, "", Closing.NEUTRAL, text=text)
    yield Resource(
        ResourceKind.MARKED_SCRIPT, element, "", Closing.INERT, urls, text=text, marks=marks
    )


def _inline_script(element: Element, reading: Reading) -> Iterator[Resource]:
    kind = (element.attr("type") or element.attr("language") or "").strip()
    lowered = kind.lower()
    if lowered == "importmap":
        text = reading.source.word(element.text)
        yield Resource(ResourceKind.IMPORT_MAP, element, "", Closing.IMPORT_MAP, text=text)
    elif lowered == "speculationrules":
        text = reading.source.word(element.text)
        yield Resource(ResourceKind.SPECULATION_RULES, element, "", Closing.NEUTRAL, text=text)
    elif not element.attr("type") or is_code(kind):
        text = element.text
        if text:
            urls = imported_urls(reading.source.word(text)) if _is_module(element) else ()
            yield Resource(ResourceKind.INLINE_SCRIPT, element, "", Closing.NEUTRAL, urls, text)


def _is_module(element: Element) -> bool:
    return "module" in (element.attr("type") or "").lower()


def _with_candidates(kind: ResourceKind, closing: Closing) -> _Handler:
    """A handler for elements that fetch their `src` or one of their `srcset`."""

    def handler(element: Element, reading: Reading) -> Iterator[Resource]:
        url = reading.value(element, "src")
        if url:
            yield Resource(kind, element, "src", closing, (url,))
        candidates = reading.value(element, "srcset")
        if candidates:
            yield Resource(kind, element, "srcset", closing, srcset_urls(candidates))

    return handler


def _frame(element: Element, reading: Reading) -> Iterator[Resource]:
    yield from _FRAME_SOURCE(element, reading)
    nested = reading.value(element, "srcdoc")
    if nested:
        yield Resource(ResourceKind.NESTED_PAGE, element, "srcdoc", Closing.NESTED, text=nested)


_JAVASCRIPT = lazy_pattern(r"[\x00-\x20]*j\s*a\s*v\s*a\s*s\s*c\s*r\s*i\s*p\s*t\s*:", re.IGNORECASE)


_NAMED = lazy_pattern(r"(?:https?:)?(?://|\\\\|/\\|\\/)[^\s\"'`<>()]+", re.IGNORECASE)


def _named_urls(text: str) -> tuple[str, ...]:
    return tuple(_NAMED.findall(text))


_NAMESPACE = lazy_pattern(r"https?://(?:www\.)?w3\.org/[\w./#-]*", re.IGNORECASE)
_REACHING = lazy_pattern(r"https?:|//|\\|<!ENTITY|&#|<\?xml-|script", re.IGNORECASE)


def _reaches(xml: str) -> bool:
    """Whether a document of XML, within an address, may reach anything. It is not read any further:
    no real page has one that does.
    """
    return _REACHING.search(_NAMESPACE.sub("", xml)) is not None


def _document(kind: ResourceKind, name: str, closing: Closing) -> _Handler:
    """A handler for elements that show the document at a URL, or the one the URL holds."""

    def handler(element: Element, reading: Reading) -> Iterator[Resource]:
        url = reading.value(element, name)
        if not url:
            return
        data = data_of(url)
        if data is not None and data.is_xml:
            if _reaches(data.text):
                yield Resource(kind, element, name, Closing.EMPTY, ("//",))
        elif data is not None:
            yield Resource(ResourceKind.NESTED_PAGE, element, name, Closing.EMPTY, text=data.text)
        elif _JAVASCRIPT.match(url):
            # The document of such a URL is shown as a page: every URL in it may be fetched.
            text = unquote(url)
            yield Resource(
                ResourceKind.INLINE_SCRIPT, element, name, Closing.EMPTY, _named_urls(text), text
            )
        else:
            yield Resource(kind, element, name, closing, (url,))

    return handler


_FRAME_SOURCE = _document(ResourceKind.FRAME, "src", Closing.PLACEHOLDER)
_OBJECT_DATA = _document(ResourceKind.OBJECT, "data", Closing.EMPTY)
_OBJECT_REST = _linked(ResourceKind.OBJECT, Closing.EMPTY, "codebase", "classid")


def _object(element: Element, reading: Reading) -> Iterator[Resource]:
    yield from _OBJECT_DATA(element, reading)
    yield from _OBJECT_REST(element, reading)


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


def _link(element: Element, reading: Reading) -> Iterator[Resource]:
    rels = (element.attr("rel") or "").lower().split()
    if not _FETCHING_RELS.intersection(rels):
        return
    kind = ResourceKind.LINK
    if "stylesheet" in rels:
        kind = ResourceKind.STYLE_SHEET
    elif _HINT_RELS.intersection(rels):
        kind = ResourceKind.HINT
    url = reading.value(element, "href")
    candidates = reading.value(element, "imagesrcset")
    urls: tuple[str, ...] = (url,) if url else ()
    if url and kind is ResourceKind.STYLE_SHEET:
        urls = sheet_urls(url)
    urls += srcset_urls(candidates) if candidates else ()
    if urls:
        yield Resource(kind, element, "href", Closing.NEUTRAL, urls)


_MAX_SHEETS = 8
"""Style sheets in one another by data: URLs."""


def sheet_urls(url: str, depth: int = 0) -> tuple[str, ...]:
    """What a style sheet at a URL asks for: the URL, or those that the sheet within it has."""
    data = data_of(url)
    if data is None:
        return (url,)
    if depth >= _MAX_SHEETS:
        return ("//",)
    found: list[str] = []
    for one in css_urls(data.text):
        found += sheet_urls(one.url, depth + 1) if one.imported else (one.url,)
    return tuple(found)


_NO_BASE = lazy_pattern(r"(?:data|javascript):", re.IGNORECASE)


def _base(element: Element, reading: Reading) -> Iterator[Resource]:
    # The first one with a href counts, those in templates excepted (HTML Standard, 4.2.3).
    href = reading.value(element, "href")
    # An invalid one is ignored.
    if href is not None and _NO_BASE.match(strip_url(href)):
        return iter(())
    if reading.base is None and href is not None and element.closest("template") is None:
        reading.base = href
    return iter(())


def _meta(element: Element, reading: Reading) -> Iterator[Resource]:
    content = reading.value(element, "content") or ""
    name = (element.attr("name") or "").strip().lower()
    if name == "page-audience":
        reading.marks.append(content)
    elif name == "referrer" and content.strip().lower() not in {"", "no-referrer"}:
        yield Resource(ResourceKind.REFERRER, element, "content", Closing.EMPTY)
    directive = (element.attr("http-equiv") or "").strip().lower()
    if directive == "refresh":
        # Only a frame can be led to a data: document, which nobody reads.
        urls = tuple("//" if data_of(url) else url for url in refresh_urls(content))
        if urls:
            yield Resource(ResourceKind.REFRESH, element, "content", Closing.EMPTY, urls)
    elif directive == "content-security-policy":
        yield Resource(ResourceKind.POLICY, element, "content", Closing.AMENDED, text=content)
    elif directive == "delegate-ch":
        urls = tuple(w for w in re.split(r"[\s;]+", content) if "//" in w)
        yield Resource(ResourceKind.HINT_DELEGATION, element, "content", Closing.EMPTY, urls)


_REFRESH = lazy_pattern(r"[\s\x00-\x20]*[\d.]*\s*[;,\s]\s*(.+)\Z", re.DOTALL)
_REFRESH_NAME = lazy_pattern(r"url\s*=\s*", re.IGNORECASE)


def refresh_urls(content: str) -> tuple[str, ...]:
    """Where a <meta http-equiv=refresh> may lead; empty when it reloads the page.

    Browsers differ in which closing quote ends the URL: both readings are given (HTML
    Standard, 4.2.5.3 takes the first, Chromium the last).
    """
    found = _REFRESH.match(content)
    if found is None:
        return ()
    named = _REFRESH_NAME.match(found[1])
    url = found[1][named.end() :] if named else found[1]
    quote = url[:1]
    if quote not in {'"', "'"}:
        return (url,)
    inner = url[1:]
    ends = {inner.find(quote), inner.rfind(quote), len(inner)} - {-1}
    return tuple(inner[:end] for end in sorted(ends))


def _style(element: Element, reading: Reading) -> Iterator[Resource]:
    if element.attr("type") == CLOSED_TYPE:
        return
    text = element.text
    source = reading.source
    plain = source.css(text)
    name = _style_name(element)
    search = _STYLES if plain is text and len(name) <= _MAX_STYLE_NAME else _search_style
    hider, found = search(text, name, reading.relative_css, plain if plain is not text else None)
    if hider:
        marks = frozenset[Owner]() if hider == ANY_VENDOR else frozenset({KnownVendor(hider)})
        yield Resource(ResourceKind.HIDER, element, "", Closing.NEUTRAL, marks=marks)
    if not found:
        return
    location = location_of(element)
    at = location.start_tag.end_offset if location is not None else -1
    if at < 0 or not reading.text.startswith(text, at):
        # Within <svg> a style may hold character references: its text is not what is written.
        urls = tuple(source.word(url) for one in found for url in _readings_of(one, plain))
        closing = Closing.REMOVE if is_html(element) else Closing.NEUTRAL
        yield Resource(ResourceKind.CSS, element, "", closing, urls)
        return
    for one in found:
        url, *others = map(source.word, _readings_of(one, plain))
        yield Resource(
            ResourceKind.CSS,
            element,
            "",
            Closing.CSS_URL,
            (*(sheet_urls(url) if one.imported else (url,)), *others),
            css=(at + one.start, at + one.end),
            imported=one.imported,
        )


def _readings_of(one: CssUrl, text: str) -> tuple[str, ...]:
    """A URL of a style, and, of an import, what Chromium's preload scanner takes for it: that knows
    of no escapes, so a backslash before the query is a slash there.
    """
    written = text[one.start : one.end]
    path = re.split("[?#]", written, maxsplit=1)[0]
    return (one.url, written) if one.imported and "\\" in path else (one.url,)


def _search_style(
    text: str, name: str, relative: bool, plain: str | None
) -> tuple[str, tuple[CssUrl, ...]]:
    """Whose hider a style is, and its URLs. `plain`: its text as `Source.css` gives it, where that
    is another.
    """
    urls = css_urls(text if plain is None else plain, relative=relative)
    return hider_vendor(name, text), tuple(urls)


_MAX_STYLE_NAME = 200
_MAX_STYLE_URLS = 64
_MAX_STYLE_TEXT = 8192
"""Of the name of a style that is remembered, and of its URLs together."""


def _is_small(found: tuple[str, tuple[CssUrl, ...]]) -> bool:
    urls = found[1]
    return len(urls) <= _MAX_STYLE_URLS and sum(len(one.url) for one in urls) <= _MAX_STYLE_TEXT


_STYLES = Remembered(_search_style, _is_small)
_NAMING = ("id", "class")


def _style_name(element: Element) -> str:
    """What names a style: its id and classes, and attributes that only it has."""
    attributes = element.attrs
    if not attributes:
        return ""
    named = (element.attr(name) or "" for name in _NAMING if name in attributes)
    return " ".join((*named, *(name for name in attributes if name not in _NAMING)))


def _animation(element: Element, reading: Reading) -> Iterator[Resource]:
    """<set attributeName="href" to="..."> gives another element its URL."""
    for name in ("to", "from", "by", "values"):
        value = reading.value(element, name)
        if value:
            urls = [part.strip() for part in value.split(";") if part.strip()]
            urls += [found.url for found in css_urls(value, relative=reading.relative_css)]
            yield Resource(ResourceKind.IMAGE, element, name, Closing.EMPTY, tuple(urls))


def _urls_by_space(kind: ResourceKind, closing: Closing) -> _AttributeHandler:
    def handler(element: Element, name: str, reading: Reading) -> Iterator[Resource]:
        value = reading.value(element, name)
        if value and value.strip():
            yield Resource(kind, element, name, closing, tuple(value.split()))

    return handler


def _one_url(kind: ResourceKind, closing: Closing) -> _AttributeHandler:
    def handler(element: Element, name: str, reading: Reading) -> Iterator[Resource]:
        value = reading.value(element, name)
        if value and value.strip():
            yield Resource(kind, element, name, closing, (value,))

    return handler


def _style_attribute(element: Element, name: str, reading: Reading) -> Iterator[Resource]:
    value = reading.value(element, name)
    if not value or ("(" not in value and "--" not in value):
        return
    urls = tuple(found.url for found in css_urls(value, relative=reading.relative_css))
    if name in CSS_ATTRIBUTES:  # a fragment is looked for in the page itself
        urls = tuple(url for url in urls if not url.startswith("#"))
    if urls:
        yield Resource(ResourceKind.CSS, element, name, Closing.STYLE_ATTRIBUTE, urls, text=value)


def _referrer_policy(element: Element, name: str, reading: Reading) -> Iterator[Resource]:
    if (element.attr(name) or "").strip().lower() not in {"", "no-referrer"}:
        yield Resource(ResourceKind.REFERRER, element, name, Closing.EMPTY)


def _reserved(element: Element, name: str, reading: Reading) -> Iterator[Resource]:
    if RESERVED_ID.fullmatch(element.attr(name) or ""):
        yield Resource(ResourceKind.RESERVED_NAME, element, name, Closing.EMPTY)


CSS_ATTRIBUTES = (
    "fill", "filter", "mask", "clip-path", "cursor", "stroke",
    "marker-start", "marker-mid", "marker-end",
)  # fmt: skip

_ATTRIBUTES: dict[str, _AttributeHandler] = {
    "ping": _urls_by_space(ResourceKind.PING, Closing.EMPTY),
    "attributionsrc": _urls_by_space(ResourceKind.PING, Closing.EMPTY),
    "background": _one_url(ResourceKind.IMAGE, Closing.EMPTY),
    "formaction": _one_url(ResourceKind.FORM, Closing.FORM_ACTION),
    "manifest": _one_url(ResourceKind.LINK, Closing.EMPTY),
    "style": _style_attribute,
    "referrerpolicy": _referrer_policy,
    "id": _reserved,
    "form": _reserved,
    **dict.fromkeys(CSS_ATTRIBUTES, _style_attribute),
}

_MEDIA = _linked(ResourceKind.MEDIA, Closing.EMPTY, "src", "poster")
_BARE_FRAME = _document(ResourceKind.FRAME, "src", Closing.EMPTY)
_HANDLERS: dict[str, _Handler] = {
    "script": _script,
    "img": _with_candidates(ResourceKind.IMAGE, Closing.PICTURE),
    "source": _with_candidates(ResourceKind.MEDIA, Closing.EMPTY),
    "iframe": _frame,
    "frame": _BARE_FRAME,
    "portal": _BARE_FRAME,
    "fencedframe": _BARE_FRAME,
    "embed": _document(ResourceKind.OBJECT, "src", Closing.EMPTY),
    "object": _object,
    "applet": _linked(ResourceKind.OBJECT, Closing.EMPTY, "code", "codebase", "archive", "object"),
    "video": _MEDIA,
    "audio": _MEDIA,
    "track": _MEDIA,
    "bgsound": _MEDIA,
    "input": _linked(ResourceKind.IMAGE, Closing.PICTURE, "src"),
    "form": _linked(ResourceKind.FORM, Closing.FORM_ACTION, "action"),
    "link": _link,
    "base": _base,
    "meta": _meta,
    "style": _style,
}


def _local_reference(element: Element, reading: Reading) -> Iterator[Resource]:
    """A fragment is looked for in the page itself, whatever its <base> (SVG 2, 16.1.2)."""
    for name in _SVG_LINKING:
        url = reading.value(element, name)
        if url and not url.startswith("#"):
            yield Resource(ResourceKind.IMAGE, element, name, Closing.EMPTY, (url,))


def _filter_image(element: Element, reading: Reading) -> Iterator[Resource]:
    """Chromium resolves an empty address, too: it is the <base>."""
    for name in _SVG_LINKING:
        url = reading.value(element, name)
        if url is not None:
            yield Resource(ResourceKind.IMAGE, element, name, Closing.EMPTY, (url or "#",))


SVG_REFERENCES = (
    "image", "use", "feImage", "linearGradient", "radialGradient", "pattern", "filter", "mpath",
    "textPath",
)  # fmt: skip
_SVG_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(SVG_REFERENCES, _local_reference),
    "feImage": _filter_image,
    "image": _linked(ResourceKind.IMAGE, Closing.PICTURE, *_SVG_LINKING),
    "script": _svg_script,
    "style": _style,
    "set": _animation,
    "animate": _animation,
    # The preload scanner takes these for HTML's.
    "link": _link,
    "input": _linked(ResourceKind.IMAGE, Closing.EMPTY, "src"),
    "video": _linked(ResourceKind.MEDIA, Closing.EMPTY, "poster"),
    "source": _with_candidates(ResourceKind.MEDIA, Closing.EMPTY),
    "base": _linked(ResourceKind.LINK, Closing.EMPTY, "href"),
}
