"""Where closed scripts would have made content: a form, a calendar, a post, a map.

The vendors' own snippets mark the place: with a class or an attribute of theirs
(`calendly-inline-widget`), with the script that stands there, or with the id that an inline script
names. The catalogue's `places` say which (`consent_rules.vendors`).
"""

from __future__ import annotations

from collections.abc import Iterator

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.vendor_index import Place, PlaceKind
from proxy.html.boundary import CompileContext
from proxy.html.owners import known_vendor
from proxy.html.resource import Closing, Resource, ResourceKind
from proxy.html.tree import Document, Element, is_html, location_of

_ID = r"[\"']\s*#?([\w-]{1,80})\s*[\"']"
_NAMED = lazy_pattern(
    rf"(?:getElementById|querySelector)\s*\(\s*{_ID}"
    rf"|\b(?:target|container|element|selector|el)[\"']?\s*:\s*{_ID}"
)
"""How a script names the element that it fills."""

_NOT_WITHIN = "head,a,button,template,select,svg,math,noscript"


def content_places(context: CompileContext) -> Iterator[Resource]:
    """The places of a page, once for each vendor and element."""
    if context.hydrates or context.depth:
        return
    places = context.places
    if places is None:
        places = context.boundary.index.places_in(context.source.body)
    if not places:
        return
    found: dict[tuple[int, str], Resource] = {}
    for document in context.scan.documents:
        starts = set()
        for place in places:
            for element in _elements(document, place):
                location = location_of(element)
                if location is None or not is_html(element) or element.closest(_NOT_WITHIN):
                    continue
                key = location.start_tag.start_offset, place.vendor
                starts.add(key)
                found.setdefault(key, _resource(element, place.vendor))
        # What one kind of browser alone takes for an element may be text to the other.
        found = {key: one for key, one in found.items() if key in starts}
        if not found:
            return
    yield from found.values()


def _resource(element: Element, vendor: str) -> Resource:
    owners = frozenset({known_vendor(vendor)})
    return Resource(ResourceKind.CONTENT, element, "", Closing.PLACEHOLDER, marks=owners)


def _elements(document: Document, place: Place) -> Iterator[Element]:
    if place.kind is PlaceKind.ELEMENT:
        yield from document.select(place.text)
        return
    for script in document.select("script:not([src])"):
        text = script.text
        if place.text not in text:
            continue
        named = _named(document, text)
        if named is not None:
            yield named
        elif place.kind is PlaceKind.SCRIPT:
            yield script


def _named(document: Document, script: str) -> Element | None:
    """The empty element whose id a script names."""
    for match in _NAMED.finditer(script):
        element = document.select_one(f'[id="{match[1] or match[2]}"]')
        if element is not None and element.tag != "form" and not element.text.strip():
            return element
    return None
