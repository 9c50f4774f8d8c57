"""Compile resources to gates, once for each distinct body.

A gate is a span of the page's bytes and what stands there when it is closed. Whether it is
open is asked later, for each outcome of the decision: nothing here depends on the visitor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice, takewhile
from urllib.parse import urljoin

from consent_rules.matching.urls import request_target, resolve
from consent_rules.matching.vendor_index import Place
from proxy.html.boundary import (
    CODE_KINDS,
    Boundary,
    CompileContext,
    OwnedResource,
    apply_pins,
    base_urls,
    hint_owners,
    inline_code,
    owners_of,
)
from proxy.html.closing import (
    closed_form,
    code_span,
    edits_of,
    embed_place,
    library_edits,
    nothing_at,
    own_address,
    resource_span,
)
from proxy.html.content_places import content_places
from proxy.html.finished_tags import finished_tags
from proxy.html.frameworks import Hydration, hydration_of
from proxy.html.gates import Embed, EmbedPlace, Gate, Page
from proxy.html.inline_remnants import Named, Remnants, code_of, is_in
from proxy.html.known_remnants import known_remnants
from proxy.html.owners import UNHELD_PIN, UNREADABLE_HOST, ChangedScript, Owner
from proxy.html.pictures import is_tiny
from proxy.html.render import render
from proxy.html.resource import Closing, Resource, ResourceKind
from proxy.html.scan import Scan, scan
from proxy.html.source import Source, read_source

_NEST_LIMIT = 4
"""Pages within pages within pages: deeper ones are emptied."""

MAX_NESTED = 500
"""Pages within a page's attributes (`srcdoc`): more are emptied, since each has a fixed cost."""


def compile_page(
    body: bytes,
    content_type: str,
    url: str,
    boundary: Boundary,
    *,
    depth: int = 0,
    source: Source | None = None,
) -> Page:
    """Compile a page. `url` is its absolute address; `source` is what `read_source` makes of the
    bytes, where that is known.

    Raises `UndecodableError` when its bytes cannot be read as a browser would.
    """
    source = read_source(body, content_type) if source is None else source
    scanned = scan(source)
    hydration = hydration_of(source.body)
    found = findings(source, scanned, url, boundary, depth=depth, hydration=hydration)
    gates = gates_of(found, source.body, boundary)
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
        preferences_links=scanned.preferences_links,
        hydration=hydration,
    )


def gates_of(
    found: Iterable[OwnedResource], body: bytes, boundary: Boundary, *, is_part: bool = False
) -> tuple[Gate, ...]:
    """Gates for resources with owners, in order of their start, outer before inner. `is_part`: the
    page goes on behind `body`.
    """
    gates = gates_in_order(found)
    return finished_gates(gates, body, boundary, named_outside(gates, body), is_part=is_part)


def gates_in_order(found: Iterable[OwnedResource]) -> list[Gate]:
    """A gate for each edit of resources, in order of their start, outer before inner."""
    return sorted((gate for one in found for gate in _gates(one)), key=_order)


def finished_gates(
    gates: list[Gate], body: bytes, boundary: Boundary, rest: Named, *, is_part: bool = False
) -> tuple[Gate, ...]:
    """A page's gates in order, with what closed scripts leave behind, and of those that overlap
    one. `rest` asks the code outside of them.
    """
    gates = _with_remains(gates, body, boundary, rest, is_part=is_part)
    return tuple(_without_overlaps(sorted(gates, key=_order), body))


def _order(gate: Gate) -> tuple[int, int]:
    return gate.start, -gate.end


def _gates(found: OwnedResource) -> Iterator[Gate]:
    embed, code = found.embed, found.code_span
    for number, edit in enumerate(found.edits):
        yield Gate(
            edit.start,
            edit.end,
            found.owners,
            edit.closed,
            found.kind,
            found.closing,
            None if number else embed,
            edit.opened,
            (0, 0) if number else code,
            is_further=bool(number),
            is_pixel=found.is_pixel,
        )


_SHOWING = frozenset({ResourceKind.FRAME, ResourceKind.OBJECT})


def own_frames(scanned: Scan, bases: tuple[str, ...], boundary: Boundary) -> tuple[str, ...]:
    """Raw request targets of the site's own pages that a page shows within."""
    shown = (
        (address, base)
        for resource in scanned.resources
        if resource.kind in _SHOWING
        for address in resource.urls
        for base in bases
    )
    own = (
        request_target(address, base)
        for address, base in shown
        if (target := resolve(address, base)) is not None
        and boundary.own.holds(target.host, target.port)
    )
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
    hydration: Hydration = Hydration.NONE,
    places: tuple[Place, ...] | None = None,
) -> Iterator[OwnedResource]:
    """The page's resources with owners; those of the site itself only if `everything`. `bases` are
    what relative URLs are relative to, where this is but a part of a page; `places` are then the
    marks of content that all of it has, where that is known.
    """
    is_part = bool(bases)
    bases = bases or base_urls(scanned, url)
    context = CompileContext(
        source, scanned, boundary, url, bases, depth, hydration=hydration, places=places
    )
    # Of a part nobody knows whom the rest asks: there such a hint stays closed.
    context.hinted = {} if is_part else hint_owners(context)
    return findings_in(context, everything=everything)


def findings_in(context: CompileContext, *, everything: bool = False) -> Iterator[OwnedResource]:
    """The same, in a context that says what the page has beside its resources."""
    scanned, boundary = context.scan, context.boundary
    finished = None if everything else finished_tags(context)
    for resource in (*scanned.resources, *content_places(context)):
        if finished is not None and resource.plain is not None:
            known = finished.get(resource, *resource.plain)
            if known is not None:
                yield from known
                continue
        owners = owners_of(resource, context)
        if not owners and resource.kind is not ResourceKind.NESTED_PAGE and not everything:
            if finished is not None and resource.plain is not None:
                finished.keep(resource, *resource.plain, None)
            continue
        if boundary.libraries and (served := _library(resource, owners, context)) is not None:
            yield served
            continue
        found = _finding(resource, owners, context, is_shown=everything)
        if found is not None and resource.kind in CODE_KINDS and boundary.pins.scripts:
            found = apply_pins(found, resource, context)
        if found is not None and (found.owners or everything):
            if finished is not None and resource.plain is not None:
                finished.keep(resource, *resource.plain, found)
            yield found


def _finding(
    resource: Resource, owners: frozenset[Owner], context: CompileContext, *, is_shown: bool
) -> OwnedResource | None:
    """A resource with what closes it; None for a copy. `is_shown`: with its whole span."""
    nested = b""
    if resource.kind is ResourceKind.NESTED_PAGE:
        owners, nested = _nested(resource, context)
    closing = closed_form(resource, context)
    edits = edits_of(resource, closing, nested, context)
    if not edits:
        return None
    real = context.scan.real
    span = resource_span(resource, context) if is_shown and closing in _WHOLE else None
    start, end = (edits[0].start, edits[0].end) if span is None else map(real, span)
    embed = None
    place = embed_place(resource, closing, context)
    if place is not None:
        embed = Embed(
            owner=min(owners, key=str, default=UNREADABLE_HOST),
            width=resource.element.attr("width") or "",
            height=resource.element.attr("height") or "",
            place=place,
            title=_title(resource) if place is EmbedPlace.FRAME else "",
            address=_address(resource, context) if place is EmbedPlace.FRAME else "",
        )
    code_from, code_to = code_span(resource, context)
    return OwnedResource(
        kind=resource.kind,
        tag=resource.tag,
        attribute=resource.attribute,
        urls=resource.urls,
        owners=owners,
        start=start,
        end=end,
        closing=closing,
        edits=edits,
        embed=embed,
        code_span=(real(code_from), real(code_to)),
        code=inline_code(resource, context) if resource.kind is ResourceKind.INLINE_SCRIPT else "",
        is_pixel=resource.kind is ResourceKind.IMAGE and is_tiny(resource.element),
    )


def _library(
    resource: Resource, owners: frozenset[Owner], context: CompileContext
) -> OwnedResource | None:
    """A resource that the site serves itself, with its own address for whoever visits; None for any
    other.
    """
    address = own_address(resource, context) if owners else ""
    edits = library_edits(resource, address, context) if address else ()
    if not edits:
        return None
    return OwnedResource(
        kind=resource.kind,
        tag=resource.tag,
        attribute=resource.attribute,
        urls=resource.urls,
        owners=frozenset(),
        start=edits[0].start,
        end=edits[0].end,
        closing=Closing.OWN_ADDRESS,
        edits=edits,
        own_address=address,
    )


# What the vendors' own snippets have there says nothing of the content.
_NO_TITLE = re.compile(
    r"(?:(?:youtube|vimeo|google|spotify|embedded|video|media|audio|iframe|frame|embed|player|maps?)"
    r"[\s_-]*)+\d*",
    re.IGNORECASE,
)
_MAX_TITLE = 120


def _title(resource: Resource) -> str:
    """What the page calls a frame's content, in at most 120 characters; "" where it does not."""
    title = " ".join((resource.element.attr("title") or "").split())
    if _NO_TITLE.fullmatch(title[:_MAX_TITLE]):
        return ""
    return title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1].rstrip()}\u2026"


def _address(resource: Resource, context: CompileContext) -> str:
    for url in resource.urls:
        try:
            address = urljoin(context.bases[-1], url.strip())
        except ValueError:
            continue
        if address.startswith(("https://", "http://")) and len(address) <= _MAX_ADDRESS:
            return address
    return ""


_MAX_ADDRESS = 2048

_WHOLE = frozenset({Closing.REMOVE, Closing.NEUTRAL, Closing.PLACEHOLDER, Closing.INERT})
"""Closings of an element, not of an attribute of it: `explain` shows where that stands."""


def outside(gates: Iterable[Gate], body: bytes) -> bytes:
    """A page, or a part of one, without its gates and their code."""
    parts: list[bytes] = []
    position = 0
    for gate in gates:
        parts.append(body[position : gate.start])
        position = max(position, gate.end, gate.code[1])
    return b" ".join((*parts, body[position:]))


def named_outside(gates: list[Gate], body: bytes) -> Named:
    """What asks the code of a page outside of its gates, which is looked for when it is asked."""

    @cache
    def code() -> bytes:
        return code_of(outside(gates, body))

    return lambda name, following: is_in(code(), name, following)


def _with_remains(
    gates: list[Gate], body: bytes, boundary: Boundary, rest: Named, *, is_part: bool
) -> list[Gate]:
    """The gates, with what the rest of the page needs of a closed script in its place."""
    if not any(gate.code[1] for gate in gates):
        return gates
    found: list[Gate] = []
    searched = 0
    reached = 0
    for number, gate in enumerate(gates):
        if gate.code[1] and searched <= _MAX_SEARCHED:
            searched += len(body)
            has_room = reached <= gate.code[0] and not _has_gates(gates, number, gate.code)
            has_room = has_room and not any(isinstance(one, ChangedScript) for one in gate.needs)
            start, end = gate.code
            left = known_remnants(body[start:end], rest, boundary, all_used=is_part)
            gate = _with_remnants(gate, left, has_room)
        found.append(gate)
        reached = max(reached, gate.end)
    return found


def _has_gates(gates: list[Gate], number: int, code: tuple[int, int]) -> bool:
    """Whether a browser of the other kind sees a resource within the code of a script."""
    following = islice(gates, number + 1, None)
    return any(
        gate.end > code[0] and (gate.start, gate.end) != code
        for gate in takewhile(lambda gate: gate.start < code[1], following)
    )


_MAX_SEARCHED = 20_000_000
"""Bytes that are looked through for uses of what closed scripts declare: the page, once for each
script. Beyond it (60 scripts of a page of 300 KB) a closed script leaves nothing."""


def _with_remnants(gate: Gate, left: Remnants, has_room: bool) -> Gate:
    """The gate with what the page needs of its script in the code's place; what its script defined
    is only named where there is no room for that.
    """
    code = left.code if has_room else b""
    return gate.leaving(left.names, code) if code or left.names else gate


def _nested(resource: Resource, context: CompileContext) -> tuple[frozenset[Owner], bytes]:
    """A page within an attribute: its owners, and the page with all of them closed."""
    context.nested += 1
    if context.depth >= _NEST_LIMIT or context.nested > MAX_NESTED:
        return frozenset({UNREADABLE_HOST}), b""
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
    owners = frozenset[Owner]().union(*(page.owners for page in pages))
    # Of two readings that close different things, neither may stand for both.
    closed = {_all_closed(page) for page in pages}
    return owners, closed.pop() if len(closed) == 1 else b""


def _all_closed(page: Page) -> bytes:
    return render(page, frozenset())


def _without_overlaps(gates: list[Gate], body: bytes) -> list[Gate]:
    """Gates in order of their start, outer before inner; equal or crossing spans made one."""
    merged: list[Gate] = []
    around: list[int] = []
    for gate in gates:
        while around and merged[around[-1]].end <= gate.start:
            around.pop()
        if not around:
            around.append(len(merged))
            merged.append(gate)
            continue
        crossed = [at for at in around if merged[at].end < gate.end]
        if crossed:
            # The two readings of the page (with and without JavaScript) disagree where an
            # element ends. Closing either closes both.
            del around[around.index(crossed[0]) + 1 :]
            inner = merged[crossed[0] :]
            needs = gate.needs.union(*(one.needs for one in inner))
            if any(map(_is_written_anew, (gate, *inner))):
                needs |= {UNHELD_PIN}  # the pin would be lost, or the address of another host stay
            del merged[crossed[0] + 1 :]
            merged[-1] = replace(
                inner[0],
                end=gate.end,
                needs=needs,
                closed=nothing_at(body, inner[0].start),
                closing=Closing.REMOVE,
                embed=None,
                opened=None,
                code=(0, 0),
                is_further=False,
            )
        elif _same_span(merged[around[-1]], gate):
            merged[around[-1]] = _joined(merged[around[-1]], gate, body)
        else:
            around.append(len(merged))
            merged.append(gate)
    return merged


def _is_written_anew(gate: Gate) -> bool:
    is_pin = gate.opened is not None and gate.kind is ResourceKind.SCRIPT
    return is_pin or gate.closing is Closing.OWN_ADDRESS


def _joined(one: Gate, other: Gate, body: bytes) -> Gate:
    """Two gates of a span as one, with what each adds to a tag (`src=data:,`, `srcset=data:,`)."""
    written = body[one.start : one.end]
    if one.closed.startswith(written) and other.closed.startswith(written):
        both = one.closed + other.closed.removeprefix(written)
        added = both if one.closed != other.closed else one.closed
        one, other = replace(one, closed=added), replace(other, closed=added)
    needs = one.needs | other.needs
    if one.opened is not None and other.opened is not None and one.opened != other.opened:
        needs |= {UNHELD_PIN}
    is_inert = one.closing is Closing.INERT
    return replace(
        one,
        needs=needs,
        closed=other.closed if is_inert or one.is_further else one.closed,
        closing=other.closing if is_inert else one.closing,
        embed=one.embed or other.embed,
        opened=other.opened if one.opened is None else one.opened,
        code=one.code if one.code[1] else other.code,
        names=one.names | other.names,
        is_further=one.is_further and other.is_further,
    )


def _same_span(one: Gate, other: Gate) -> bool:
    return (one.start, one.end) == (other.start, other.end)
