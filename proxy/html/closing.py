"""The bytes that replace a closed resource."""

from __future__ import annotations

import html
import json
import re
from itertools import islice
from typing import Any

from proxy.html.boundary import CompileContext, is_url_text
from proxy.html.cmp_markup import activate
from proxy.html.css import css_urls
from proxy.html.owners import KnownVendor, Owner
from proxy.html.resource import Closing, Kind, Resource
from proxy.html.source import UndecodableError
from proxy.html.tree import Element, SourceLocation, is_html, location_of, parse

_TINY = re.compile(r"\s*[0-3](?:\.\d*)?\s*(?:px)?\s*\Z")


def opened_bytes(resource: Resource, start: int, end: int, context: CompileContext) -> bytes | None:
    """What stands in an open resource's place, where that is not what the page has."""
    if resource.kind is not Kind.MARKED_SCRIPT:
        return None
    location = location_of(resource.element)
    if location is None:
        return None
    spans = {
        name: (context.scan.real(at.start_offset) - start, context.scan.real(at.end_offset) - start)
        for name, at in location.attrs.items()
        if name in {"type", "data-src"}
    }
    if "type" not in spans:
        return None
    is_later = "src" not in location.attrs
    return activate(
        context.source.body[start:end],
        spans["type"],
        spans.get("data-src") if is_later else None,
        resource.element.attr("data-type") or "",
    )


_CLASSIC = re.compile(r"(?:(?:text|application)/(?:x-)?(?:java|ecma)script)?\s*\Z", re.IGNORECASE)


def code_position(resource: Resource) -> int:
    """Where a classic inline script's code begins, in offsets of the parsed text; else 0."""
    if resource.kind is not Kind.INLINE_SCRIPT or resource.attribute:
        return 0
    element = resource.element
    location = location_of(element)
    if not is_html(element) or location is None:
        return 0
    if location.end_tag is None or not _CLASSIC.match(element.attr("type") or ""):
        return 0
    return location.start_tag.end_offset


def closed_form(resource: Resource, owners: frozenset[Owner], context: CompileContext) -> Closing:
    """How to close this very resource: what shows nothing goes whole, content leaves its place."""
    closing = resource.closing
    if resource.tag in _SHAPING and resource.attribute and _shapes(resource.element, context):
        return closing if closing is Closing.NESTED else Closing.EMPTY
    if closing is Closing.PLACEHOLDER:
        if resource.kind is Kind.DEFERRED and _shapes(resource.element, context):
            return Closing.EMPTY
        return Closing.REMOVE if _is_tiny(resource.element) else closing
    if resource.kind is Kind.IMAGE and resource.tag == "img":
        known = any(isinstance(owner, KnownVendor) for owner in owners)
        if _is_tiny(resource.element) or (known and not _shows_something(resource.element)):
            return Closing.REMOVE
    return closing


_SHAPING = frozenset({"img", "embed", "meta", "iframe"})
"""Tags that end a drawing, make a frameset impossible, or say what a template is a part of."""


def _shapes(element: Element, context: CompileContext) -> bool:
    """Whether what follows may be parsed differently without the element."""
    scanned = context.scan
    return scanned.fragile or (scanned.has_templates and element.closest("template") is not None)


def _shows_something(element: Element) -> bool:
    """Whether a picture leaves a gap or a word when it is not fetched: a text for it, or a size."""
    return bool((element.attr("alt") or "").strip()) or (
        element.attr("width") is not None and element.attr("height") is not None
    )


def _is_tiny(element: Element) -> bool:
    """A pixel: no visitor sees it."""
    attributes = element.attrs
    if "hidden" in attributes:
        return True
    for name in ("width", "height"):
        value = element.attr(name)
        if value is not None and _TINY.match(value):
            return True
    style = (element.attr("style") or "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


def gate_span(
    resource: Resource, closing: Closing, context: CompileContext
) -> tuple[int, int] | None:
    """The span to replace, in offsets of the parsed text; None for a copy that the tree made."""
    location = location_of(resource.element)
    if location is None:
        return _merged_span(resource, context)
    start_tag = location.start_tag
    if resource.css is not None:
        return resource.css
    if closing is Closing.IMPORT_MAP:
        end = location.end_tag.start_offset if location.end_tag else len(context.source.text)
        return start_tag.end_offset, end
    if closing is Closing.INERT:
        return start_tag.start_offset, start_tag.end_offset
    if closing is Closing.REMOVE or closing is Closing.PLACEHOLDER:
        return start_tag.start_offset, _element_end(resource, location, context)
    attribute = location.attrs.get(resource.attribute)
    if attribute is None:
        return _merged_span(resource, context)
    return attribute.start_offset, attribute.end_offset


_DRAWINGS = frozenset({"svg", "math"})
_VOID = frozenset({"img", "embed", "link", "meta", "input", "source", "track", "bgsound", "base"})


def _element_end(resource: Resource, location: SourceLocation, context: CompileContext) -> int:
    if location.end_tag is not None:
        return location.end_tag.end_offset
    if resource.tag in _VOID or not (is_html(resource.element) or resource.tag in _DRAWINGS):
        return location.start_tag.end_offset
    # Without an end tag the element's text runs to the end of the page.
    return len(context.scan.text)


_ROOT_TAG = re.compile(r"<(?:html|body)[\s/]", re.IGNORECASE)
_ROOT_TAGS_TRIED = 20


def _merged_span(resource: Resource, context: CompileContext) -> tuple[int, int] | None:
    """An attribute that a later <html> or <body> tag gave to the first; None for other elements,
    which are copies that the parser made of one whose place is known.

    Raises UndecodableError where no tag can be told to have given it.
    """
    tag, name = resource.tag, resource.attribute
    if tag not in {"html", "body"}:
        return None
    text = context.scan.text
    for found in islice(_ROOT_TAG.finditer(text), _ROOT_TAGS_TRIED):
        start = found.start()
        alone = parse(text[start : start + 65_536], scripting=False).find(tag)
        location = location_of(alone) if alone is not None else None
        span = location.attrs.get(name) if location is not None else None
        if location is None or span is None or location.start_tag.start_offset:
            continue
        first, end = start + span.start_offset, start + span.end_offset
        # It is this tag if what is written there is what the element gets.
        probed = parse(f'{text[:first]}{name}="probe"{text[end:]}', scripting=resource.scripting)
        element = probed.find(tag)
        if element is not None and element.attr(name) == "probe":
            return first, end
    raise UndecodableError(f"the tag that gives <{tag}> its {name!r} cannot be placed")


_NAME_END = re.compile(rb"[\s=]")


def closed_bytes(
    resource: Resource,
    closing: Closing,
    start: int,
    end: int,
    nested: bytes,
    context: CompileContext,
) -> bytes:
    body = context.source.body
    if closing is Closing.REMOVE or closing is Closing.PLACEHOLDER:
        # What stood apart must not become a tag: `<` and `img src=...`.
        return b"<!---->" if body[start - 1 : start] == b"<" else b""
    if closing is Closing.INERT:
        return body[start:end]
    if closing is Closing.CSS_URL:
        return b"data:text/css," if resource.imported else b"data:,"
    if closing is Closing.IMPORT_MAP:
        return _own_import_map(resource.text, context).encode("ascii")
    name = _NAME_END.split(body[start:end], maxsplit=1)[0]
    return name + b'="' + _closed_value(resource, closing, nested, context) + b'"'


def _closed_value(
    resource: Resource, closing: Closing, nested: bytes, context: CompileContext
) -> bytes:
    value = ""
    if closing is Closing.FORM_ACTION:
        value = context.preferences_url
    elif closing is Closing.AMENDED:
        value = context.boundary.amend_policy(resource.text)
    elif closing is Closing.NESTED:
        value = nested.decode("utf-8", "surrogatepass")
    elif closing is Closing.STYLE_ATTRIBUTE:
        value = _own_style(resource.text, context)
    # ASCII reads the same in every charset that a page may be in.
    return html.escape(value).encode("ascii", "xmlcharrefreplace")


def _own_style(value: str, context: CompileContext) -> str:
    """A style attribute without the URLs that lead elsewhere."""
    parts: list[str] = []
    position = 0
    for found in css_urls(value, relative=True):
        if found.start < position or context.is_own(found.url):
            continue
        parts += [value[position : found.start], "data:,"]
        position = found.end
    return "".join((*parts, value[position:]))


def _own_import_map(text: str, context: CompileContext) -> str:
    """An import map without the entries that lead elsewhere."""

    def owned(key: str, value: Any) -> bool:
        urls = [key, value] if isinstance(value, str) else [key]
        return all(context.is_own(url) for url in urls if is_url_text(url))

    def without_closed(table: Any) -> Any:
        if not isinstance(table, dict):
            return table if not isinstance(table, list) else []
        return {key: without_closed(value) for key, value in table.items() if owned(key, value)}

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "{}"
    return json.dumps(without_closed(value)).replace("<", "\\u003c")
