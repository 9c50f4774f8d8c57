"""resources -> gates: once per distinct body.

A gate is a span of the page's bytes and what stands there when it is closed. Whether it is
open is asked later, for each outcome of the decision: nothing here depends on the visitor.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import Any

import ada_url
import turbohtml

from consent_rules.matching.pins import NO_PINS, Pins
from consent_rules.matching.urls import Target, resolve
from consent_rules.matching.vendor_index import HostSet, RuleIndex
from proxy.html.cmp_markup import turned_on
from proxy.html.css import css_urls
from proxy.html.elements import Closing, Kind, Resource
from proxy.html.inline_remnants import code_of, remains
from proxy.html.scan import Scan, parse, scan
from proxy.html.source import Source, UndecodableError, read_source

MARKETING_ONLY = "@marketing"
"""A need that only marketing pages meet: for what leaks a patient page's address."""

CHANGED = "?changed inline script of "
"""Stands before a vendor's id and a hash among the owners: nobody approved that script."""

UNHELD = "?script whose pin cannot be held"
"""Among the owners: a pinned script where no browser looks at the hash."""

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
    pins: Pins = NO_PINS

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
    opened: bytes | None = None
    """What stands there when it is open; None for what the page has."""
    code_at: int = 0
    """Where the code of an inline script begins that other scripts may rest upon; else 0."""
    names: frozenset[str] = frozenset()
    """What the page calls of a closed script: it needs stand-ins."""


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled page: immutable, the same for every visitor."""

    body: bytes
    gates: tuple[Gate, ...]
    owners: frozenset[str]
    head_at: int | None
    foot_at: int | None
    is_document: bool
    has_base: bool
    """Whether a <base> says what relative addresses are relative to."""
    language: str
    marks: tuple[str, ...]
    label: str
    """The charset's name for the Content-Type header; "" where the origin names none."""
    wire: str
    """The codec of the rendered bytes where it is not that of `body` (UTF-8 then)."""
    transcoded: bool
    """Whether the page goes out in UTF-8 though the origin's charset is another."""
    frames: tuple[str, ...] = ()
    """Paths of the site's own pages that it shows within: its scripts can read them."""
    declaration_at: tuple[int, ...] = ()
    """Where the page asks for the cookie declaration."""
    passing: bool = False
    """Whether it is one of many that are alike, each seen once: what is made of it is not kept."""


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
    code_at: int = 0
    opened: bytes | None = None
    code: str = ""
    """The text of an inline script."""


@dataclass(slots=True)
class _Context:
    source: Source
    scan: Scan
    boundary: Boundary
    url: str
    bases: tuple[str, ...]
    depth: int
    hinted: dict[str, frozenset[str]] = field(default_factory=dict)
    """Hosts that are hinted at and of which vendors own parts: those that the page asks there."""

    @property
    def preferences_url(self) -> str:
        """Where closed forms lead: to this site, whatever the page's base."""
        url = self.boundary.preferences_url
        return url if self.bases == (self.url,) else ada_url.URL(url, base=self.url).href

    def owners(self, urls: Iterable[str]) -> Iterator[str]:
        """Who answers for the URLs, by whichever base a browser goes."""
        for url in urls:
            for base in self.bases:
                owner = self.boundary.owner(url, base)
                if owner is not None:
                    yield owner

    def is_own(self, url: str) -> bool:
        return next(self.owners((url,)), None) is None


def compile_page(
    body: bytes, content_type: str, url: str, boundary: Boundary, *, depth: int = 0
) -> Page:
    """Compile a page. `url` is its absolute address.

    Raises `UndecodableError` when its bytes cannot be read as a browser would.
    """
    source = read_source(body, content_type)
    scanned = scan(source)
    gates = gates_of(findings(source, scanned, url, boundary, depth=depth), source.body, boundary)
    return Page(
        body=source.body,
        gates=gates,
        owners=frozenset().union(*(gate.needs for gate in gates)),
        head_at=None if scanned.head_at is None else scanned.real(scanned.head_at),
        foot_at=None if scanned.foot_at is None else scanned.real(scanned.foot_at),
        is_document=scanned.is_document,
        has_base=any(scanned.bases),
        language=scanned.language,
        marks=scanned.marks,
        frames=own_frames(scanned, base_urls(scanned, url), boundary),
        label=source.label,
        wire=source.wire,
        transcoded=not source.wire and source.body is not body,
        declaration_at=tuple(map(scanned.real, scanned.declaration_at)),
    )


def gates_of(
    found: Iterable[Finding], body: bytes, boundary: Boundary, *, is_part: bool = False
) -> tuple[Gate, ...]:
    """Gates for resources with owners, in order of their start, outer before inner. `is_part`: the
    page goes on behind `body`.
    """
    gates = _without_overlaps(
        [
            Gate(
                f.start, f.end, f.owners, f.closed, f.kind, f.closing, f.embed, f.opened, f.code_at
            )
            for f in found
        ]
    )
    return tuple(_with_remains(gates, body, boundary, is_part=is_part))


def base_urls(scanned: Scan, url: str) -> tuple[str, ...]:
    """What the page's relative URLs may be relative to: one, or one for each kind of browser."""
    return tuple(dict.fromkeys(_base_url(base, url) for base in scanned.bases))


_SHOWING = frozenset({Kind.FRAME, Kind.OBJECT})


def own_frames(scanned: Scan, bases: tuple[str, ...], boundary: Boundary) -> tuple[str, ...]:
    """Paths of the site's own pages that a page shows within."""
    targets = (
        resolve(address, base)
        for resource in scanned.resources
        if resource.kind in _SHOWING
        for address in resource.urls
        for base in bases
    )
    own = (t.path for t in targets if t is not None and boundary.own.holds(t.host, t.port))
    return tuple(dict.fromkeys(own))


def findings(
    source: Source,
    scanned: Scan,
    url: str,
    boundary: Boundary,
    *,
    depth: int = 0,
    everything: bool = False,
    bases: tuple[str, ...] = (),
) -> Iterator[Finding]:
    """The page's resources with owners; those of the site itself only if `everything`. `bases` are
    what relative URLs are relative to, where this is but a part of a page.
    """
    is_part = bool(bases)
    bases = bases or base_urls(scanned, url)
    context = _Context(source, scanned, boundary, url, bases, depth)
    # Of a part nobody knows whom the rest asks: there such a hint stays closed.
    context.hinted = {} if is_part else _hinted(context)
    for resource in scanned.resources:
        owners = _owners(resource, context)
        if not owners and resource.kind is not Kind.NESTED_PAGE and not everything:
            continue
        found = _finding(resource, owners, context)
        if found is not None and resource.kind in _CODE and boundary.pins.scripts:
            found = _pinned(found, resource, context)
        if found is not None and (found.owners or everything):
            yield found


_CODE = frozenset({Kind.SCRIPT, Kind.MARKED_SCRIPT})
_SCRIPT = b"<script"


def _pinned(found: Finding, resource: Resource, context: _Context) -> Finding:
    """The finding of a script held to its pin, if it has one."""
    pins = context.boundary.pins
    wanted = {pins.integrity_of(url, base) for url in found.urls for base in context.bases} - {""}
    if not wanted:
        return found
    element = resource.element
    written = found.opened or context.source.body[found.start : found.end]
    is_html = element.namespace is turbohtml.Namespace.HTML
    if len(wanted) > 1 or not is_html or written[: len(_SCRIPT)].lower() != _SCRIPT:
        # No browser would look at the attribute: whose content nobody can hold stays closed.
        return replace(found, owners=found.owners | {UNHELD})
    integrity = wanted.pop()
    if element.attr("integrity") == integrity and element.attr("crossorigin") is not None:
        return found
    # Of attributes of one name the first counts (HTML, 13.2.5.33): these go before all others.
    added = f' integrity="{integrity}"'
    if element.attr("crossorigin") is None:
        added += ' crossorigin="anonymous"'
    opened = _SCRIPT + added.encode("ascii") + written[len(_SCRIPT) :]
    return replace(found, opened=opened)


def _base_url(base: str, url: str) -> str:
    """What relative URLs are resolved against (HTML Standard, 2.4.3)."""
    if not base:
        return url
    try:
        joined = ada_url.URL(base, base=url).href
    except ValueError:
        return url
    return joined if joined.startswith(("http:", "https:")) else url


def _owners(resource: Resource, context: _Context) -> frozenset[str]:
    kind = resource.kind
    if kind is Kind.INLINE_SCRIPT:
        vendors = context.boundary.index.vendors_of_text(resource.text)
        if vendors and not resource.attribute and _only_assigns_data(resource.text):
            vendors = ()
        pins = context.boundary.pins
        if pins.inline:
            vendors = tuple(
                f"{CHANGED}{vendor}: {changed}"
                if (changed := pins.changed(vendor, _code(resource, context)))
                else vendor
                for vendor in vendors
            )
        return frozenset((*vendors, *context.owners(resource.urls)))
    if kind is Kind.REFERRER:
        return frozenset({MARKETING_ONLY})
    if kind is Kind.MARKED_SCRIPT:
        vendors = context.boundary.index.vendors_of_text(resource.text)
        return frozenset((*vendors, *context.owners(resource.urls))) or resource.marks
    if kind is Kind.IMPORT_MAP:
        return frozenset(context.owners(filter(_is_url, _strings_in_json(resource.text))))
    if kind is Kind.SPECULATION_RULES:
        # Every word may be an address, relative to a base that may be another's.
        return frozenset(context.owners(_strings_in_json(resource.text)))
    owners = frozenset(context.owners(resource.urls))
    if kind is Kind.HINT and context.hinted:
        known = (context.hinted.get(owner.removeprefix("?"), {owner}) for owner in owners)
        return frozenset[str]().union(*known)
    return owners


def _hinted(context: _Context) -> dict[str, frozenset[str]]:
    """Whom a hint that names no path may be for: those whom the page itself asks at that host."""
    boundary = context.boundary

    def targets(resources: Iterable[Resource]) -> Iterator[Target]:
        for resource in resources:
            for address in resource.urls:
                for base in context.bases:
                    target = resolve(address, base)
                    if target is not None:
                        yield target

    resources = context.scan.resources
    hosts = {
        target.host
        for target in targets(one for one in resources if one.kind is Kind.HINT)
        if boundary.owner_of(target) == unknown(target.host)
        and boundary.index.knows_paths_of(target.host)
    }
    if not hosts:
        return {}
    asked: dict[str, set[str]] = {}
    for target in targets(one for one in resources if one.kind is not Kind.HINT):
        if target.host in hosts:
            asked.setdefault(target.host, set()).add(boundary.owner_of(target) or "")
    return {host: frozenset(owners) for host, owners in asked.items()}


_ASSIGNMENT = re.compile(r"\s*(?:(?:var|let|const)\s+)?[\w$.]+(?:\[[\"'][\w$-]+[\"']\])?\s*=\s*")


def _only_assigns_data(script: str) -> bool:
    """Whether a script is one assignment of a JSON object and nothing else.

    Frameworks write a page's state so. A tracker's snippet within it is text, not code: nothing of
    it runs, and the page would break without the state. A string or a list might run all the
    same: `location = "javascript:..."`, `body.innerHTML = ["<img onerror=...>"]`.
    """
    start = _ASSIGNMENT.match(script)
    if start is None or not script.startswith("{", start.end()):
        return False
    try:
        json.loads(script[start.end() :].rstrip().rstrip(";"))
    except (ValueError, RecursionError):
        return False
    return True


def _strings_in_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # A browser does not use it, unless it is whole once something within it is closed.
        return _JSON_STRING.findall(text)
    return list(_strings(value))


_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def _is_url(text: str) -> bool:
    # Not the name of a module.
    return "/" in text or "\\" in text or ":" in text


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
    nested = b""
    if resource.kind is Kind.NESTED_PAGE:
        owners, nested = _nested(resource, context)
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
        closed=_closed_bytes(resource, closing, start, end, nested, context),
        closing=closing,
        embed=embed,
        code_at=real(_code_at(resource)),
        code=_code(resource, context) if resource.kind is Kind.INLINE_SCRIPT else "",
        opened=_opened_bytes(resource, start, end, context),
    )


def _opened_bytes(resource: Resource, start: int, end: int, context: _Context) -> bytes | None:
    """What stands in an open resource's place, where that is not what the page has."""
    location = resource.element.source_location
    if resource.kind is not Kind.MARKED_SCRIPT or location is None:
        return None
    spans = {
        name: (context.scan.real(at.start_offset) - start, context.scan.real(at.end_offset) - start)
        for name, at in location.attrs.items()
        if name in {"type", "data-src"}
    }
    if "type" not in spans:
        return None
    is_later = "src" not in location.attrs
    return turned_on(
        context.source.body[start:end],
        spans["type"],
        spans.get("data-src") if is_later else None,
        resource.element.attr("data-type") or "",
    )


def _code(resource: Resource, context: _Context) -> str:
    """The text of an inline script as a browser reads it."""
    text = resource.text
    return text if resource.attribute or text.isascii() else context.source.word(text)


_CLASSIC = re.compile(r"(?:(?:text|application)/(?:x-)?(?:java|ecma)script)?\s*\Z", re.IGNORECASE)


def _code_at(resource: Resource) -> int:
    """Where a classic inline script's code begins, in offsets of the parsed text; else 0."""
    if resource.kind is not Kind.INLINE_SCRIPT or resource.attribute:
        return 0
    element = resource.element
    location = element.source_location
    if element.namespace is not turbohtml.Namespace.HTML or location is None:
        return 0
    if location.end_tag is None or not _CLASSIC.match(element.attr("type") or ""):
        return 0
    return int(location.start_tag.end_offset)


def _with_remains(
    gates: list[Gate], body: bytes, boundary: Boundary, *, is_part: bool
) -> list[Gate]:
    """The gates, with what the rest of the page needs of a closed script in its place."""
    if not any(gate.code_at for gate in gates):
        return gates

    @cache
    def rest() -> bytes:
        parts: list[bytes] = []
        position = 0
        for gate in gates:
            parts.append(body[position : gate.start])
            position = max(position, gate.end)
        return code_of(b" ".join((*parts, body[position:])))

    def is_vendors(text: str) -> bool:
        return text in boundary.index.globals or boundary.index.names_a_vendor(text)

    return [_with_its_remains(gate, body, rest, is_vendors, is_part=is_part) for gate in gates]


def _with_its_remains(
    gate: Gate,
    body: bytes,
    rest: Callable[[], bytes],
    is_vendors: Callable[[str], bool],
    *,
    is_part: bool,
) -> Gate:
    if not gate.code_at:
        return gate
    end = body.rindex(b"</", gate.code_at, gate.end)
    found = remains(body[gate.code_at : end], rest, is_vendors, all_used=is_part)
    closed = gate.closed
    if found.code:
        closed = body[gate.start : gate.code_at] + found.code + body[end : gate.end]
    return replace(gate, closed=closed, names=found.names)


def _closing(resource: Resource, owners: frozenset[str], context: _Context) -> Closing:
    """How to close this very resource: what shows nothing goes whole, content leaves its place."""
    closing = resource.closing
    if resource.tag in _SHAPING and resource.attribute and _shapes(resource.element, context):
        return closing if closing is Closing.NESTED else Closing.EMPTY
    if closing is Closing.PLACEHOLDER and _is_tiny(resource.element):
        return Closing.REMOVE
    if resource.kind is Kind.IMAGE and resource.tag == "img":
        known = any(not owner.startswith("?") for owner in owners)
        if known or _is_tiny(resource.element):
            return Closing.REMOVE
    return closing


_SHAPING = frozenset({"img", "embed", "meta", "iframe"})
"""Tags that end a drawing, make a frameset impossible, or say what a template is a part of."""


def _shapes(element: turbohtml.Element, context: _Context) -> bool:
    """Whether what follows may be parsed differently without the element."""
    scanned = context.scan
    return scanned.fragile or (scanned.has_templates and element.closest("template") is not None)


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


def _element_end(resource: Resource, location: turbohtml.SourceLocation, context: _Context) -> int:
    if location.end_tag is not None:
        return int(location.end_tag.end_offset)
    is_html = resource.element.namespace is turbohtml.Namespace.HTML
    if resource.tag in _VOID or not (is_html or resource.tag in _DRAWINGS):
        return int(location.start_tag.end_offset)
    # Without an end tag the element's text runs to the end of the page.
    return len(context.scan.text)


_ROOT_TAG = re.compile(r"<(?:html|body)[\s/]", re.IGNORECASE)
_ROOT_TAGS_TRIED = 20


def _merged_span(resource: Resource, context: _Context) -> tuple[int, int] | None:
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
        location = alone.source_location if alone is not None else None
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


def _nested(resource: Resource, context: _Context) -> tuple[frozenset[str], bytes]:
    """A page within an attribute: its owners, and the page with all of them closed."""
    if context.depth >= _NEST_LIMIT:
        return frozenset({unknown("")}), b""
    pages = [
        compile_page(
            resource.text.encode("utf-8", "surrogatepass"),
            "text/html; charset=utf-8",
            base,
            context.boundary,
            depth=context.depth + 1,
        )
        for base in context.bases
    ]
    owners = frozenset[str]().union(*(page.owners for page in pages))
    # Of two readings that close different things, neither may stand for both.
    closed = {_all_closed(page) for page in pages}
    return owners, closed.pop() if len(closed) == 1 else b""


def _all_closed(page: Page) -> bytes:
    from proxy.html.render import render

    return render(page, frozenset())


def _closed_bytes(
    resource: Resource,
    closing: Closing,
    start: int,
    end: int,
    nested: bytes,
    context: _Context,
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
    name = re.split(rb"[\s=]", body[start:end], maxsplit=1)[0]
    return name + b'="' + _closed_value(resource, closing, nested, context) + b'"'


def _closed_value(resource: Resource, closing: Closing, nested: bytes, context: _Context) -> bytes:
    value = ""
    if closing is Closing.FORM_ACTION:
        value = context.preferences_url
    elif closing is Closing.NESTED:
        value = nested.decode("utf-8", "surrogatepass")
    elif closing is Closing.STYLE_ATTRIBUTE:
        value = _own_style(resource.text, context)
    # ASCII reads the same in every charset that a page may be in.
    return html.escape(value).encode("ascii", "xmlcharrefreplace")


def _own_style(value: str, context: _Context) -> str:
    """A style attribute without the URLs that lead elsewhere."""
    parts: list[str] = []
    position = 0
    for found in css_urls(value, relative=True):
        if found.start < position or context.is_own(found.url):
            continue
        parts += [value[position : found.start], "data:,"]
        position = found.end
    return "".join((*parts, value[position:]))


def _own_import_map(text: str, context: _Context) -> str:
    """An import map without the entries that lead elsewhere."""

    def owned(key: str, value: Any) -> bool:
        urls = [key, value] if isinstance(value, str) else [key]
        return all(context.is_own(url) for url in urls if _is_url(url))

    def kept(table: Any) -> Any:
        if not isinstance(table, dict):
            return table if not isinstance(table, list) else []
        return {key: kept(value) for key, value in table.items() if owned(key, value)}

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "{}"
    return json.dumps(kept(value)).replace("<", "\\u003c")


def _without_overlaps(gates: list[Gate]) -> list[Gate]:
    """Gates in order of their start, outer before inner; equal or crossing spans made one."""
    gates.sort(key=lambda gate: (gate.start, -gate.end))
    merged: list[Gate] = []
    around: list[int] = []
    for gate in gates:
        while around and merged[around[-1]].end <= gate.start:
            around.pop()
        crossed = [at for at in around if merged[at].end < gate.end]
        if crossed:
            # The two readings of the page (with and without JavaScript) disagree where an
            # element ends. Closing either closes both.
            del around[around.index(crossed[0]) + 1 :]
            inner = merged[crossed[0] :]
            needs = gate.needs.union(*(one.needs for one in inner))
            if any(one.opened is not None and one.kind is Kind.SCRIPT for one in (gate, *inner)):
                needs |= {UNHELD}  # the pin would be lost
            del merged[crossed[0] + 1 :]
            merged[-1] = replace(
                inner[0],
                end=gate.end,
                needs=needs,
                closing=Closing.REMOVE,
                embed=None,
                opened=None,
                code_at=0,
            )
        elif around and _same_span(merged[around[-1]], gate):
            outer = merged[around[-1]]
            merged[around[-1]] = replace(outer, needs=outer.needs | gate.needs)
        else:
            around.append(len(merged))
            merged.append(gate)
    return merged


def _same_span(one: Gate, other: Gate) -> bool:
    return (one.start, one.end) == (other.start, other.end)
