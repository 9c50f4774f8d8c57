"""What stands in a closed resource's place, and in an open one's where that takes a change."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import ada_url

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.boundary import CompileContext, is_url_text
from proxy.html.cmp_markup import marks_of
from proxy.html.css import css_urls
from proxy.html.deferred import is_script_address
from proxy.html.gates import Edit, EmbedPlace
from proxy.html.owners import vendor_ids
from proxy.html.pictures import is_tiny, picture_of
from proxy.html.preload_scanner import SCANNED, SCANNED_NAMES
from proxy.html.resource import CLOSED_TYPE, Closing, Resource, ResourceKind
from proxy.html.source import UndecodableError
from proxy.html.tree import ROOTS, Element, SourceLocation, is_html, location_of, parse

_CLASSIC = lazy_pattern(
    r"(?:(?:[0-9a-f]{6,}-)?(?:text|application)/(?:x-)?(?:java|ecma)script"
    r"|rocketlazyloadscript|litespeed/javascript|pmdelayedscript|text/psajs)?\s*\Z",
    re.IGNORECASE,
)
"""Types of classic scripts: those that browsers run, and those by which common loaders (Rocket
Loader, WP Rocket, LiteSpeed, Perfmatters, PageSpeed) hold one back until they run it.
"""


def code_span(resource: Resource, context: CompileContext) -> tuple[int, int]:
    """Where a classic inline script's code stands, in offsets of the parsed text; else (0, 0), also
    where the other kind of browser shows some of it.
    """
    if resource.kind is not ResourceKind.INLINE_SCRIPT or resource.attribute:
        return 0, 0
    element = resource.element
    location = resource.location
    if not is_html(element) or location is None:
        return 0, 0
    if location.end_tag is None or not _CLASSIC.match(element.attr("type") or ""):
        return 0, 0
    span = location.start_tag.end_offset, location.end_tag.start_offset
    return span if _is_hidden(*span, resource, context) else (0, 0)


def closed_form(resource: Resource, context: CompileContext) -> Closing:
    """How to close this very resource: what shows nothing needs no placeholder."""
    closing = resource.closing
    if closing is Closing.FORM_ACTION and any(map(context.is_own_endpoint, resource.urls)):
        return Closing.OWN_FORM_ACTION
    if closing is Closing.PICTURE:
        has_picture = _is_shown(resource) and picture_of(resource, context) is not None
        return closing if has_picture else Closing.EMPTY
    if closing is not Closing.PLACEHOLDER:
        return closing
    if is_tiny(resource.element):
        return Closing.EMPTY
    if resource.tag != "iframe" and not _may_grow(resource.element, context):
        return Closing.EMPTY
    return Closing.PLACEHOLDER


def embed_place(resource: Resource, closing: Closing, context: CompileContext) -> EmbedPlace | None:
    """Where a placeholder of the resource stands; None where it has none."""
    if closing is Closing.PLACEHOLDER:
        if resource.tag == "iframe":
            return EmbedPlace.FRAME
        has_text = resource.tag == "blockquote" and bool(resource.element.text.strip())
        return EmbedPlace.TEXT if has_text else EmbedPlace.CONTENT
    if closing is Closing.FORM_ACTION and _holds_notice(resource, context):
        return EmbedPlace.FORM
    return None


def _may_grow(element: Element, context: CompileContext) -> bool:
    """Whether an element more changes nothing but what it adds: not where a framework counts them,
    nor where it would end what it stands in.
    """
    return not (
        context.hydrates
        or context.scan.fragile
        or element.closest("template,select,svg,math") is not None
    )


def _holds_notice(resource: Resource, context: CompileContext) -> bool:
    element = resource.element
    return (
        resource.tag == "form"
        and is_html(element)
        and not is_tiny(element)
        and _may_grow(element, context)
        and element.closest("table") is None
    )


def resource_span(resource: Resource, context: CompileContext) -> tuple[int, int] | None:
    """Where a resource stands, in offsets of the parsed text; None for a copy that the tree made of
    an element whose place is known.
    """
    if resource.css is not None or resource.repeated is not None:
        return resource.css or resource.repeated
    location = resource.location
    if location is None:
        return None
    return location.start_tag.start_offset, _element_end(resource, location, context)


def edits_of(
    resource: Resource, closing: Closing, nested: bytes, context: CompileContext
) -> tuple[Edit, ...]:
    """What closes a resource, and what opens it where that takes a change; none for a copy.

    An element is never taken out where a framework may look for it: what hydrates a page counts its
    elements and throws all of them away where one is missing. So each attribute is closed by
    itself, and whatever else stands in the tag is left to its own gates.

    Raises UndecodableError where its place cannot be told.
    """
    edits = _edits(resource, closing, nested, context)
    if context.scan.readings is None or closing is Closing.HIDDEN:
        return edits
    location = resource.location
    if location is not None and _is_in_tag_of_both(edits, resource, location, context):
        return edits
    if resource.repeated is not None and not _is_hidden(*resource.repeated, resource, context):
        return ()
    if location is None or all(_takes_nothing_along(edit, resource, context) for edit in edits):
        return edits
    if resource.tag in ROOTS and resource.attribute not in location.attrs:
        return edits  # an attribute of a later tag, to which this location is not the place
    return _within_its_tag(resource, closing, nested, location, context)


def _is_in_tag_of_both(
    edits: tuple[Edit, ...], resource: Resource, location: SourceLocation, context: CompileContext
) -> bool:
    """Whether edits stand within a tag that browsers with JavaScript and without it both read."""
    readings = context.scan.readings
    if readings is None or resource.tag in ROOTS:
        return False
    start, end = location.start_tag.start_offset, location.start_tag.end_offset
    start, end = context.scan.real(start), context.scan.real(end)
    if not all(start <= edit.start and edit.end <= end for edit in edits):
        return False
    return readings.is_tag_in_both(resource.element, resource.tag, scripting=resource.scripting)


def _takes_nothing_along(edit: Edit, resource: Resource, context: CompileContext) -> bool:
    """Whether a browser of the other kind, with JavaScript or without, shows nothing of what an
    edit replaces.
    """
    parsed = context.scan.parsed
    return _is_hidden(parsed(edit.start), parsed(edit.end), resource, context)


def _is_hidden(start: int, end: int, resource: Resource, context: CompileContext) -> bool:
    readings = context.scan.readings
    return readings is None or readings.is_hidden_in_other(
        start, end, scripting=resource.scripting, tag=resource.tag
    )


_LIBRARY_KINDS = frozenset(
    {
        ResourceKind.SCRIPT,
        ResourceKind.STYLE_SHEET,
        ResourceKind.HINT,
        ResourceKind.LINK,
        ResourceKind.IMAGE,
        ResourceKind.MEDIA,
        ResourceKind.CSS,
        ResourceKind.DEFERRED,
    }
)
"""Resources that are one file. Not frames and objects, which show a document of another origin."""


def own_address(resource: Resource, context: CompileContext) -> str:
    """Where the site itself serves what a resource asks for; "" where it does not.

    Whichever base a browser goes by, it must be the same file. The address is one of this site,
    whatever the page's base.
    """
    if resource.kind not in _LIBRARY_KINDS or len(resource.urls) != 1:
        return ""
    libraries = context.boundary.libraries
    found = {libraries.own_address(resource.urls[0], base) for base in context.bases}
    address = found.pop() if len(found) == 1 else ""
    if not address or context.bases == (context.url,):
        return address
    return ada_url.URL(address, base=context.url).href


def library_edits(resource: Resource, address: str, context: CompileContext) -> tuple[Edit, ...]:
    """What gives a resource the site's own address of it; none where a browser of the other kind,
    with JavaScript or without, shows something of what that would replace.
    """
    location = resource.location
    if resource.repeated is not None or location is None:
        return ()
    if resource.css is not None:
        escaped = re.sub(r"([()'\"\\])", r"\\\1", address)
        edits = [_edit(*resource.css, escaped.encode("ascii"), context)]
    else:
        span = location.attrs.get(resource.attribute)
        if span is None or resource.closing is Closing.STYLE_ATTRIBUTE:
            return ()
        edits = [_attribute_edit((span.start_offset, span.end_offset), address, context)]
        key = address.partition(context.boundary.libraries.digest)[2][1:]
        changed = context.boundary.libraries.changed.get(key, "")
        integrity = location.attrs.get("integrity")
        if changed and integrity is not None:
            span = integrity
            edits.append(_attribute_edit((span.start_offset, span.end_offset), changed, context))
    if not all(_takes_nothing_along(edit, resource, context) for edit in edits):
        return ()
    return tuple(replace(edit, opened=edit.closed) for edit in edits)


def _hidden(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    """Addresses before those of a tag that is none in the tree: there it may stand in any text, in
    quotes or in a comment, so neither quotes are written nor anything is taken out.
    """
    added = "".join(f" {name}=data:," for name in SCANNED[resource.tag])
    return (_opening(resource, location, added.encode("ascii"), context),)


_PLAIN_VALUE = lazy_pattern(r"[\w/.:,-]+", re.ASCII)


def _within_its_tag(
    resource: Resource,
    closing: Closing,
    nested: bytes,
    location: SourceLocation,
    context: CompileContext,
) -> tuple[Edit, ...]:
    """Closes a resource by attributes before its own, and takes nothing out.

    No quotes are written, and nothing that hides: to the other kind of browser it may stand in
    another tag, or in a text. No address is left empty: of two the preload scanner takes the first
    that is not. Raises UndecodableError where attributes cannot close it.
    """
    name = resource.attribute
    is_drawn_style = resource.kind is ResourceKind.CSS and not is_html(resource.element)
    is_held_text = resource.kind is ResourceKind.SCRIPT and closing is Closing.REMOVE
    if not name and (is_drawn_style or is_held_text):
        # No attribute makes its content harmless, and without its tag that would be markup.
        raise UndecodableError(f"with JavaScript a <{resource.tag}> ends elsewhere than without")
    if resource.css is not None:
        return (_opening(resource, location, _NEUTRAL_SCRIPT, context), _rule(location, context))
    if closing is Closing.NEUTRAL and resource.tag == "link":
        added = _NEUTRAL_LINK + b" href=data:, imagesrcset=data:,"
    elif closing in _BY_TYPE:
        added = _NEUTRAL_SCRIPT + (f" {name}=data:," if name else "").encode("ascii")
    else:
        value = _closed_value(resource, closing, nested, context)
        if not value and name in SCANNED_NAMES:
            value = "data:,"
        has_value = _PLAIN_VALUE.fullmatch(value)
        added = (f" {name}={value}" if has_value else f" {name}").encode("ascii")
    return (_opening(resource, location, added, context),)


_BY_TYPE = frozenset({Closing.NEUTRAL, Closing.INERT, Closing.IMPORT_MAP})


def _edits(
    resource: Resource, closing: Closing, nested: bytes, context: CompileContext
) -> tuple[Edit, ...]:
    if resource.css is not None:
        closed = b"data:text/css," if resource.imported else b"data:,"
        return (_edit(*resource.css, closed, context),)
    if resource.repeated is not None:
        return (_edit(*resource.repeated, b"", context),)
    location = resource.location
    if location is None or closing not in _BY_TAG:
        span = _attribute_span(resource, resource.attribute, context)
        if span is None:
            return ()
        return (_attribute_edit(span, _closed_value(resource, closing, nested, context), context),)
    return _BY_TAG[closing](resource, location, context)


def _edit(start: int, end: int, closed: bytes, context: CompileContext) -> Edit:
    real = context.scan.real
    return Edit(real(start), real(end), closed)


_NAME_END = lazy_pattern(rb"[\s=]")


def _written(start: int, end: int, context: CompileContext) -> bytes:
    real = context.scan.real
    return context.source.body[real(start) : real(end)]


def _attribute_span(
    resource: Resource, name: str, context: CompileContext
) -> tuple[int, int] | None:
    location = resource.location
    span = location.attrs.get(name) if location is not None else None
    if span is None:
        return _merged_span(resource, context)
    return span.start_offset, span.end_offset


def _attribute_edit(span: tuple[int, int], value: str, context: CompileContext) -> Edit:
    """The attribute with another value. On a page that browsers read in two ways its quotes stay as
    they are written: to those that read it in the other way they may begin or end a value.
    """
    written = _written(*span, context)
    name = _NAME_END.split(written, maxsplit=1)[0]
    if context.scan.readings is None:
        quoted = f'"{html.escape(value)}"'
    else:
        quoted = _quoted_as(written[len(name) :].lstrip().removeprefix(b"=").lstrip(), value)
    # ASCII reads the same in every charset that a page may be in.
    return _edit(*span, name + b"=" + quoted.encode("ascii", "xmlcharrefreplace"), context)


_ENDING_UNQUOTED = lazy_pattern("[\t\n\f\r `]")


def _quoted_as(raw: bytes, value: str) -> str:
    """A value as it is written in a tag, with the quotes of `raw`, which it replaces."""
    text = html.escape(value)
    quote = raw[:1].decode("latin-1")
    if quote == '"' or quote == "'":
        other, escaped = ("'", "&#x27;") if quote == '"' else ('"', "&quot;")
        if raw.count(other.encode()) == value.count(other):
            text = text.replace(escaped, other)
        return quote + text + quote
    if not text:
        return '""'
    return _ENDING_UNQUOTED.sub(lambda found: f"&#{ord(found[0])};", text)


def _address_edit(span: tuple[int, int], context: CompileContext) -> Edit:
    """The attribute with an address that holds nothing. What makes a script of its own of it gets
    an empty one. No quotes: to a browser that reads the page in another way they might end a value.
    """
    name = _NAME_END.split(_written(*span, context), maxsplit=1)[0]
    return _edit(*span, name + b"=data:, ", context)


_TAG_NAME = lazy_pattern(r"[^\t\n\f\r />]+")
_ENDING_A_VALUE = frozenset("\t\n\f\r >")


def _opening(
    resource: Resource, location: SourceLocation, added: bytes, context: CompileContext
) -> Edit:
    """The `<name` of a start tag with attributes behind it: of those of one name the first counts
    (HTML, 13.2.5.33), so they go before all that the tag has.
    """
    start = location.start_tag.start_offset
    name = _TAG_NAME.match(context.scan.text, start + 1)  # an <image> is an <img> of HTML's
    end = name.end() if name is not None else start + 1 + len(resource.tag)
    # Without quotes a value ends at a blank: `/>` would be a part of it.
    blank = b"" if context.scan.text[end : end + 1] in _ENDING_A_VALUE else b" "
    return _edit(start, end, _written(start, end, context) + added + blank, context)


def _removed(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    start = location.start_tag.start_offset
    closed = nothing_at(context.source.body, context.scan.real(start))
    return (_edit(start, _element_end(resource, location, context), closed, context),)


def nothing_at(body: bytes, start: int) -> bytes:
    """What stands for nothing: what stood apart must not become a tag (`<` and `img src=...`)."""
    return b"<!---->" if body[start - 1 : start] == b"<" else b""


_NEUTRAL_SCRIPT = b" type=" + CLOSED_TYPE.encode("ascii")
_NEUTRAL_LINK = b" rel=consent-closed"


def _neutral(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    is_link = resource.tag == "link"
    edits = [_opening(resource, location, _NEUTRAL_LINK if is_link else _NEUTRAL_SCRIPT, context)]
    for name in (resource.attribute, "imagesrcset") if is_link else (resource.attribute,):
        span = location.attrs.get(name)
        if span is not None:
            edits.append(_address_edit((span.start_offset, span.end_offset), context))
    if resource.kind is ResourceKind.CSS:
        # Without a drawing's <style> its text would be markup to a preload scanner.
        edits.append(_rule(location, context))
    end_tag = location.end_tag
    if resource.kind in _TEXTS and not resource.attribute and end_tag and not context.hydrates:
        start, end = location.start_tag.end_offset, end_tag.start_offset
        edits.append(_edit(start, end, b"", context))
    return tuple(edits)


def _rule(location: SourceLocation, context: CompileContext) -> Edit:
    """A rule in front of a closed style sheet: a preload scanner looks for imports whatever the
    type of it is, but only up to the first rule.
    """
    end = location.start_tag.end_offset
    return _edit(end - 1, end, b">x{}", context)


_TEXTS = frozenset({ResourceKind.INLINE_SCRIPT, ResourceKind.SPECULATION_RULES})
"""Their text goes, too, where no framework looks for it."""

_OWN_SANDBOX = "allow-forms allow-same-origin allow-top-navigation"


def _with_placeholder(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    """A frame shows the placeholder in its `srcdoc`, another element as its content."""
    if resource.tag == "iframe":
        place = _opening(resource, location, b" hidden", context)
        place = _activated_frame(place, resource, location, context)
    else:
        tag = location.start_tag
        if resource.tag == "script" and location.end_tag is not None:
            tag = location.end_tag
        place = _edit(tag.end_offset - 1, tag.end_offset, b">", context)
    edits = [place]
    span = _attribute_span(resource, resource.attribute, context)
    if span is not None:
        edits.append(_attribute_edit(span, "", context))
    sandbox = location.attrs.get("sandbox") if resource.tag == "iframe" else None
    if sandbox is not None:
        # The placeholder is a form of ours.
        edits.append(
            _attribute_edit((sandbox.start_offset, sandbox.end_offset), _OWN_SANDBOX, context)
        )
    return tuple(edits)


def _activated_frame(
    place: Edit, resource: Resource, location: SourceLocation, context: CompileContext
) -> Edit:
    """The start of a frame that another consent tool holds back: with its address once it is open.
    The first attribute of a name counts, so an empty `src` behind it does not.
    """
    span = location.attrs.get(resource.attribute)
    if span is None or resource.attribute == "src" or not marks_of(resource.element):
        return place
    address = _written(span.start_offset, span.end_offset, context)[len(resource.attribute) :]
    name = context.source.body[place.start : place.end]
    return replace(place, opened=name + b" src" + address + b" ")


def _import_map(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    start = location.start_tag.end_offset
    if location.end_tag is not None:
        end = location.end_tag.start_offset
    elif is_html(resource.element):
        end = len(context.scan.text)
    else:  # in a drawing any tag may end it
        return (_opening(resource, location, _NEUTRAL_SCRIPT, context),)
    closed = _own_import_map(resource.text, context).encode("ascii")
    return (_edit(start, end, closed, context),)


def _inert(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    """A marked script: it is turned on by its type and the name of its address."""
    opening = _opening(resource, location, b"", context)
    edits = [opening]
    is_module = (resource.element.attr("data-type") or "").strip().lower() == "module"
    activated = b'type="module"' if is_module else b'type="text/javascript"'
    held = next((one for one in location.attrs if is_script_address(one)), "")
    for name in ("type", held):
        span = location.attrs.get(name)
        if span is None or (name == held and "src" in location.attrs):
            continue
        written = _written(span.start_offset, span.end_offset, context)
        opened = activated if name == "type" else b"src" + written[len(name) :]
        edit = _edit(span.start_offset, span.end_offset, written, context)
        edits.append(replace(edit, opened=opened))
    return tuple(edits)


_BY_FORM = b" method=post target=_blank enctype=application/x-www-form-urlencoded"
_BY_BUTTON = b" formmethod=post formtarget=_blank formenctype=application/x-www-form-urlencoded"
"""Where a closed form leads opens beside the page, so that what was typed is still there; it is in
no address, and no file is sent."""


def _form(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    """A form leads to the preferences, which ask about its vendor, and says so before its first
    field.
    """
    span = _attribute_span(resource, resource.attribute, context)
    if span is None:
        return ()
    edits = []
    if _holds_notice(resource, context):
        end = location.start_tag.end_offset
        edits.append(_edit(end - 1, end, b">", context))
    added = _BY_FORM if resource.tag == "form" else _BY_BUTTON
    edits.append(_opening(resource, location, added, context))
    asked = vendor_ids(context.owners(resource.urls))
    query = f"?action=vendor:{min(asked)}" if asked else ""
    edits.append(_attribute_edit(span, context.preferences_url + query, context))
    return tuple(edits)


_DRAWINGS = frozenset({"svg", "math"})
_VOID = frozenset({"img", "embed", "link", "meta", "input", "source", "track", "bgsound", "base"})


def _element_end(resource: Resource, location: SourceLocation, context: CompileContext) -> int:
    if location.end_tag is not None:
        return location.end_tag.end_offset
    if resource.tag in _VOID or not (is_html(resource.element) or resource.tag in _DRAWINGS):
        return location.start_tag.end_offset
    # Without an end tag the element's text runs to the end of the page.
    return len(context.scan.text)


_ROOT_TAG = lazy_pattern(r"<(?:html|body)[\s/]", re.IGNORECASE)
_ROOT_TAGS_TRIED = 20


def _merged_span(resource: Resource, context: CompileContext) -> tuple[int, int] | None:
    """An attribute that a later <html> or <body> tag gave to the first; None for other elements,
    which are copies that the parser made of one whose place is known.

    Raises UndecodableError where no tag can be told to have given it.
    """
    tag, name = resource.tag, resource.attribute
    if tag not in ROOTS:
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


def _closed_value(
    resource: Resource, closing: Closing, nested: bytes, context: CompileContext
) -> str:
    value = ""
    if resource.kind is ResourceKind.REFERRER and resource.tag == "meta":
        # The header's; with nothing in it browsers complain.
        value = "no-referrer"
    elif closing is Closing.OWN_FORM_ACTION:
        value = context.preferences_url
    elif closing is Closing.AMENDED:
        value = context.boundary.amend_policy(resource.text)
    elif closing is Closing.NESTED:
        value = nested.decode("utf-8", "surrogatepass")
    elif closing is Closing.STYLE_ATTRIBUTE:
        value = _own_style(resource.text, context)
    elif _is_fallback(resource):
        value = _CLEAR_IMAGE
    elif resource.tag.lower() == "feimage":
        value = "data:,"  # an empty one is the <base>
    return value


_CLEAR_IMAGE = (
    "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="  # one pixel
)


def _is_fallback(resource: Resource) -> bool:
    """Whether a handler of the page's may put this address into an image that fails. One that fails
    again would call it without end, and the page's `load` event would never come.
    """
    return (
        resource.tag == "img"
        and resource.attribute not in {"src", "srcset"}
        and "onerror" in resource.element.attrs
    )


_IMAGES = lazy_pattern(r"(?:.*[-_])?src")


def _is_shown(resource: Resource) -> bool:
    """Whether an attribute is the one by which a closed image shows something: candidates are only
    where it has no other address.
    """
    if not resource.attribute.endswith("set"):
        return True
    element = resource.element
    others = (element.attr(name) or "" for name in element.attrs if _IMAGES.fullmatch(name))
    return all(not other.strip() or other.lstrip().startswith("data:") for other in others)


def _picture(
    resource: Resource, location: SourceLocation, context: CompileContext
) -> tuple[Edit, ...]:
    """An image of a closed one's size that shows its words, in its place."""
    span = _attribute_span(resource, resource.attribute, context)
    picture = picture_of(resource, context)
    if span is None or picture is None:
        return ()
    address = picture.address
    if resource.attribute.endswith("set"):
        address = address.replace(" ", "%20")
    edits = [_attribute_edit(span, address, context)]
    if picture.alt:
        named = html.escape(picture.alt).encode("ascii", "xmlcharrefreplace")
        name = b"alt" if is_html(resource.element) else b"aria-label"
        edits.append(_opening(resource, location, b' %b="%b"' % (name, named), context))
    return tuple(edits)


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


_BY_TAG: dict[Closing, Callable[[Resource, SourceLocation, CompileContext], tuple[Edit, ...]]] = {
    Closing.REMOVE: _removed,
    Closing.HIDDEN: _hidden,
    Closing.NEUTRAL: _neutral,
    Closing.PLACEHOLDER: _with_placeholder,
    Closing.IMPORT_MAP: _import_map,
    Closing.INERT: _inert,
    Closing.FORM_ACTION: _form,
    Closing.PICTURE: _picture,
}
