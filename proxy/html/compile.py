"""resources -> gates: once per distinct body.

A gate is a span of the page's bytes and what stands there when it is closed. Whether it is
open is asked later, for each outcome of the decision: nothing here depends on the visitor.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import turbohtml

from consent_rules.matching import HostSet, RuleIndex
from consent_rules.urls import Target, resolve
from proxy.html.css import css_urls
from proxy.html.scan import Closing, Kind, Resource, Scan, parse, scan
from proxy.html.source import Source, read_source

MARKETING_ONLY = "@marketing"
"""A need that only marketing pages meet: for what leaks a patient page's address."""

_NEST_LIMIT = 4
"""Pages within pages within pages: deeper ones are emptied."""

_TINY = re.compile(r"\s*[0-3](?:\.\d*)?\s*(?:px)?\s*\Z")


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a site ends and others begin.

    `own` are the hosts that are the site itself; `preferences_url` is where a closed form leads.
    """

    own: HostSet
    index: RuleIndex
    preferences_url: str = "/.consent/preferences"

    def owner(self, url: str, base: str) -> str | None:
        """Who answers for a URL: None for the site itself, a vendor's id, or "?host"."""
        target = resolve(url, base)
        return None if target is None else self.owner_of(target)

    def owner_of(self, target: Target) -> str | None:
        if self.own.holds(target.host, target.port):
            disguised = self.index.vendor_of_own_path(target.path)
            return disguised.id if disguised else None
        vendor = self.index.vendor_of_url(target.host, target.port, target.path)
        return vendor.id if vendor else unknown(target.host)


def unknown(host: str) -> str:
    """How a host that nobody knows is written among the owners."""
    return f"?{host}"


@dataclass(frozen=True, slots=True)
class Embed:
    """A visible frame. Sizes are as the page gives them: "560", "100%", or ""."""

    vendor: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Gate:
    """A span of `Page.body` that is there or not.

    It is open when everything in `needs` is: ids of vendors, "?host" for a host nobody knows
    (never open), or MARKETING_ONLY. `closed` is what stands there otherwise; for a frame with
    content, a placeholder is made for `embed` instead.
    """

    start: int
    end: int
    needs: frozenset[str]
    closed: bytes
    kind: Kind
    closing: Closing
    embed: Embed | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled page: immutable, the same for every visitor."""

    body: bytes
    gates: tuple[Gate, ...]
    owners: frozenset[str]
    head_at: int | None
    foot_at: int | None
    is_document: bool
    language: str
    marks: tuple[str, ...]
    label: str
    """The charset's name for the Content-Type header; "" where the origin names none."""
    wire: str
    """The codec of the rendered bytes where it is not that of `body` (UTF-8 then)."""
    transcoded: bool
    """Whether the page goes out in UTF-8 though the origin's charset is another."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A resource with its place and owners, for gates and for `explain`."""

    kind: Kind
    tag: str
    attribute: str
    urls: tuple[str, ...]
    owners: frozenset[str]
    start: int
    end: int
    closed: bytes
    closing: Closing
    embed: Embed | None = None


@dataclass(slots=True)
class _Context:
    source: Source
    scan: Scan
    boundary: Boundary
    base: str
    depth: int


def compile_page(
    body: bytes, content_type: str, url: str, boundary: Boundary, *, depth: int = 0
) -> Page:
    """Compile a page. `url` is its absolute address.

    Raises `UndecodableError` when its bytes cannot be read as a browser would.
    """
    source = read_source(body, content_type)
    scanned = scan(source)
    gates = _without_overlaps(
        [
            Gate(f.start, f.end, f.owners, f.closed, f.kind, f.closing, f.embed)
            for f in findings(source, scanned, url, boundary, depth=depth)
        ]
    )
    return Page(
        body=source.body,
        gates=tuple(gates),
        owners=frozenset().union(*(gate.needs for gate in gates)),
        head_at=None if scanned.head_at is None else scanned.real(scanned.head_at),
        foot_at=None if scanned.foot_at is None else scanned.real(scanned.foot_at),
        is_document=scanned.is_document,
        language=scanned.language,
        marks=scanned.marks,
        label=source.label,
        wire=source.wire,
        transcoded=not source.wire and source.body is not body,
    )


def findings(
    source: Source,
    scanned: Scan,
    url: str,
    boundary: Boundary,
    *,
    depth: int = 0,
    everything: bool = False,
) -> Iterator[Finding]:
    """The page's resources with owners; those of the site itself only if `everything`."""
    base = _base_url(scanned.base, url)
    context = _Context(source, scanned, boundary, base, depth)
    for resource in scanned.resources:
        owners = _owners(resource, context)
        if not owners and resource.closing is not Closing.NESTED and not everything:
            continue
        found = _finding(resource, owners, context)
        if found is not None and (found.owners or everything):
            yield found


def _base_url(base: str, url: str) -> str:
    if not base:
        return url
    from ada_url import URL

    try:
        joined = URL(base, base=url).href
    except ValueError:
        return url
    return joined if joined.startswith(("http:", "https:")) else url


def _owners(resource: Resource, context: _Context) -> frozenset[str]:
    kind = resource.kind
    if kind is Kind.INLINE_SCRIPT:
        return frozenset(context.boundary.index.vendors_of_text(resource.text))
    if kind is Kind.REFERRER:
        return frozenset({MARKETING_ONLY})
    urls: Iterable[str] = resource.urls
    if kind is Kind.IMPORT_MAP or kind is Kind.SPECULATION_RULES:
        urls = _urls_in_json(resource.text)
    owners = set()
    for url in urls:
        owner = context.boundary.owner(url, context.base)
        if owner is not None:
            owners.add(owner)
    return frozenset(owners)


def _urls_in_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except ValueError:
        return []  # nor does a browser use it
    return [s for s in _strings(value) if "/" in s or "\\" in s]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _finding(resource: Resource, owners: frozenset[str], context: _Context) -> Finding | None:
    if resource.closing is Closing.NESTED:
        nested = _nested(resource, context)
        if nested is None:
            return None
        owners, closed_page = nested
    else:
        closed_page = b""
    closing = _closing(resource, owners, context)
    span = _span(resource, closing, context)
    if span is None:
        return None
    start, end = span
    real = context.scan.real
    start, end = real(start), real(end)
    embed = None
    if closing is Closing.PLACEHOLDER:
        embed = Embed(
            vendor=min(owners, default=""),
            width=resource.element.attr("width") or "",
            height=resource.element.attr("height") or "",
        )
    return Finding(
        kind=resource.kind,
        tag=resource.tag,
        attribute=resource.attribute,
        urls=resource.urls,
        owners=owners,
        start=start,
        end=end,
        closed=_closed_bytes(resource, closing, start, end, closed_page, context),
        closing=closing,
        embed=embed,
    )


def _closing(resource: Resource, owners: frozenset[str], context: _Context) -> Closing:
    """How to close this very resource: what shows nothing goes whole, content leaves its place."""
    if resource.closing is Closing.PLACEHOLDER and _is_tiny(resource.element):
        return Closing.REMOVE
    if resource.kind is Kind.IMAGE and resource.tag == "img":
        known = any(not owner.startswith("?") for owner in owners)
        if known or _is_tiny(resource.element):
            return Closing.REMOVE
    return resource.closing


def _is_tiny(element: turbohtml.Element) -> bool:
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


def _span(resource: Resource, closing: Closing, context: _Context) -> tuple[int, int] | None:
    """The span to replace, in offsets of the parsed text; None for a copy that the tree made."""
    location = resource.element.source_location
    if location is None or location.start_tag is None:
        return _merged_span(resource, context)
    start_tag = location.start_tag
    if resource.css is not None:
        return resource.css
    if closing is Closing.IMPORT_MAP:
        end = location.end_tag.start_offset if location.end_tag else len(context.source.text)
        return start_tag.end_offset, end
    if closing in {Closing.REMOVE, Closing.PLACEHOLDER}:
        return start_tag.start_offset, _element_end(resource, location, context)
    attribute = location.attrs.get(resource.attribute)
    if attribute is None:
        return _merged_span(resource, context)
    return attribute.start_offset, attribute.end_offset


_VOID = frozenset({"img", "embed", "link", "meta", "input", "source", "track", "bgsound", "base"})


def _element_end(resource: Resource, location: turbohtml.SourceLocation, context: _Context) -> int:
    if location.end_tag is not None:
        return int(location.end_tag.end_offset)
    tag_end = int(location.start_tag.end_offset)
    if resource.tag in _VOID or resource.element.namespace is not turbohtml.Namespace.HTML:
        return tag_end
    # Without an end tag the element's text runs to the end of the page.
    return len(context.source.text)


def _merged_span(resource: Resource, context: _Context) -> tuple[int, int] | None:
    """An attribute that a second <html> or <body> tag gave to the first."""
    tag = resource.tag
    if tag not in {"html", "body"} or not resource.attribute:
        return None
    text = context.source.text
    for match in re.finditer(rf"<{tag}[\s/]", text, re.IGNORECASE):
        document = parse(text[match.start() :], scripting=False)
        element = document.find(tag)
        location = element.source_location if element is not None else None
        if location is None or location.start_tag is None or location.start_tag.start_offset:
            continue
        span = location.attrs.get(resource.attribute)
        if span is not None:
            shift = match.start()
            if shift >= context.scan.slot_at:
                shift += _slot_length(context)
            return shift + span.start_offset, shift + span.end_offset
    return None


def _slot_length(context: _Context) -> int:
    far = context.scan.slot_at + 1
    return far - context.scan.real(far)


def _nested(resource: Resource, context: _Context) -> tuple[frozenset[str], bytes] | None:
    """A srcdoc page: its owners, and the page with all of them closed."""
    if context.depth >= _NEST_LIMIT:
        return frozenset({unknown("")}), b""
    page = compile_page(
        resource.text.encode("utf-8", "surrogatepass"),
        "text/html; charset=utf-8",
        context.base,
        context.boundary,
        depth=context.depth + 1,
    )
    owners = page.owners
    if not owners:
        return None
    from proxy.html.render import render

    return owners, render(page, frozenset())


def _closed_bytes(
    resource: Resource,
    closing: Closing,
    start: int,
    end: int,
    nested: bytes,
    context: _Context,
) -> bytes:
    if closing in {Closing.REMOVE, Closing.PLACEHOLDER}:
        return b""
    if closing is Closing.CSS_URL:
        return b"data:text/css," if resource.imported else b"data:,"
    if closing is Closing.IMPORT_MAP:
        return _own_import_map(resource.text, context).encode("utf-8")
    name = re.split(rb"[\s=]", context.source.body[start:end], maxsplit=1)[0]
    if closing is Closing.EMPTY:
        return name + b'=""'
    if closing is Closing.FORM_ACTION:
        return name + b'="' + html.escape(context.boundary.preferences_url).encode() + b'"'
    if closing is Closing.NESTED:
        value = html.escape(nested.decode("utf-8", "surrogatepass"))
        return name + b'="' + value.encode(_writable(context), "xmlcharrefreplace") + b'"'
    assert closing is Closing.STYLE_ATTRIBUTE
    value = html.escape(_own_style(resource.element.attr(resource.attribute) or "", context))
    return name + b'="' + value.encode("latin-1", "xmlcharrefreplace") + b'"'


def _writable(context: _Context) -> str:
    # What the charset cannot write becomes a character reference.
    return context.source.charset


def _own_style(value: str, context: _Context) -> str:
    """A style attribute without the URLs that lead elsewhere."""
    parts: list[str] = []
    position = 0
    for found in css_urls(value):
        url = context.source.word(found.url)
        if context.boundary.owner(url, context.base) is None:
            continue
        parts += [value[position : found.start], "data:,"]
        position = found.end
    return "".join((*parts, value[position:]))


def _own_import_map(text: str, context: _Context) -> str:
    """An import map without the entries that lead elsewhere."""

    def owned(key: str, value: Any) -> bool:
        urls = [key, value] if isinstance(value, str) else [key]
        return all(
            context.boundary.owner(u, context.base) is None for u in urls if "/" in u or "\\" in u
        )

    def kept(table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        return {
            key: kept(value) if isinstance(value, dict) else value
            for key, value in table.items()
            if owned(key, value)
        }

    own = {name: kept(table) for name, table in json.loads(text).items()}
    return json.dumps(own).replace("<", "\\u003c")


def _without_overlaps(gates: list[Gate]) -> list[Gate]:
    """Gates in order of their start, outer before inner; equal or crossing spans made one."""
    gates.sort(key=lambda gate: (gate.start, -gate.end))
    merged: list[Gate] = []
    open_spans: list[int] = []
    for gate in gates:
        while open_spans and merged[open_spans[-1]].end <= gate.start:
            open_spans.pop()
        if open_spans:
            outer = merged[open_spans[-1]]
            if (outer.start, outer.end) == (gate.start, gate.end):
                merged[open_spans[-1]] = _joined(outer, gate)
                continue
            if gate.end > outer.end:
                # The two readings of the page (with and without JavaScript) disagree where an
                # element ends. Closing either closes both.
                merged[open_spans[-1]] = replace(
                    outer,
                    end=gate.end,
                    needs=outer.needs | gate.needs,
                    closed=b"",
                    closing=Closing.REMOVE,
                    embed=None,
                )
                continue
        merged.append(gate)
        open_spans.append(len(merged) - 1)
    return merged


def _joined(first: Gate, second: Gate) -> Gate:
    return replace(first, needs=first.needs | second.needs)
