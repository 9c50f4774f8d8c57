"""Compile resources to gates, once for each distinct body.

A gate is a span of the page's bytes and what stands there when it is closed. Whether it is
open is asked later, for each outcome of the decision: nothing here depends on the visitor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache

from consent_rules.matching.urls import request_target, resolve
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
from proxy.html.closing import closed_bytes, closed_form, code_position, gate_span, opened_bytes
from proxy.html.gates import Embed, Gate, Page
from proxy.html.inline_remnants import code_of, remnants
from proxy.html.owners import UNHELD_PIN, UNREADABLE_HOST, Owner
from proxy.html.render import render
from proxy.html.resource import Closing, Kind, Resource
from proxy.html.scan import Scan, scan
from proxy.html.source import Source, read_source

_NEST_LIMIT = 4
"""Pages within pages within pages: deeper ones are emptied."""

_MAX_NESTED = 500
"""Pages within a page's attributes (`srcdoc`): more are emptied, since each has a fixed cost."""


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
    found: Iterable[OwnedResource], body: bytes, boundary: Boundary, *, is_part: bool = False
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


_SHOWING = frozenset({Kind.FRAME, Kind.OBJECT})


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
) -> Iterator[OwnedResource]:
    """The page's resources with owners; those of the site itself only if `everything`. `bases` are
    what relative URLs are relative to, where this is but a part of a page.
    """
    is_part = bool(bases)
    bases = bases or base_urls(scanned, url)
    context = CompileContext(source, scanned, boundary, url, bases, depth)
    # Of a part nobody knows whom the rest asks: there such a hint stays closed.
    context.hinted = {} if is_part else hint_owners(context)
    for resource in scanned.resources:
        owners = owners_of(resource, context)
        if not owners and resource.kind is not Kind.NESTED_PAGE and not everything:
            continue
        found = _finding(resource, owners, context)
        if found is not None and resource.kind in CODE_KINDS and boundary.pins.scripts:
            found = apply_pins(found, resource, context)
        if found is not None and (found.owners or everything):
            yield found


def _finding(
    resource: Resource, owners: frozenset[Owner], context: CompileContext
) -> OwnedResource | None:
    nested = b""
    if resource.kind is Kind.NESTED_PAGE:
        owners, nested = _nested(resource, context)
    closing = closed_form(resource, owners, context)
    span = gate_span(resource, closing, context)
    if span is None:
        return None
    start, end = span
    real = context.scan.real
    start, end = real(start), real(end)
    embed = None
    if closing is Closing.PLACEHOLDER:
        embed = Embed(
            owner=min(owners, key=str, default=UNREADABLE_HOST),
            width=resource.element.attr("width") or "",
            height=resource.element.attr("height") or "",
        )
    return OwnedResource(
        kind=resource.kind,
        tag=resource.tag,
        attribute=resource.attribute,
        urls=resource.urls,
        owners=owners,
        start=start,
        end=end,
        closed=closed_bytes(resource, closing, start, end, nested, context),
        closing=closing,
        embed=embed,
        code_at=real(code_position(resource)),
        code=inline_code(resource, context) if resource.kind is Kind.INLINE_SCRIPT else "",
        opened=opened_bytes(resource, start, end, context),
    )


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
        return text in boundary.index.globals or bool(boundary.index.vendors_named(text))

    found: list[Gate] = []
    searched = 0
    for gate in gates:
        if gate.code_at and searched <= _MAX_SEARCHED:
            searched += len(body)
            gate = _with_its_remains(gate, body, rest, is_vendors, is_part=is_part)
        found.append(gate)
    return found


_MAX_SEARCHED = 20_000_000
"""Bytes that are looked through for uses of what closed scripts declare: the page, once for each
script. Beyond it (60 scripts of a page of 300 KB) a closed script leaves nothing."""


def _with_its_remains(
    gate: Gate,
    body: bytes,
    rest: Callable[[], bytes],
    is_vendors: Callable[[str], bool],
    *,
    is_part: bool,
) -> Gate:
    end = body.rindex(b"</", gate.code_at, gate.end)
    found = remnants(body[gate.code_at : end], rest, is_vendors, all_used=is_part)
    closed = gate.closed
    if found.code:
        closed = body[gate.start : gate.code_at] + found.code + body[end : gate.end]
    return replace(gate, closed=closed, names=found.names)


def _nested(resource: Resource, context: CompileContext) -> tuple[frozenset[Owner], bytes]:
    """A page within an attribute: its owners, and the page with all of them closed."""
    context.nested += 1
    if context.depth >= _NEST_LIMIT or context.nested > _MAX_NESTED:
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
                needs |= {UNHELD_PIN}  # the pin would be lost
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
