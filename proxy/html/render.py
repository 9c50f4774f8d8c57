"""Render a page: gates and the set of open owners -> bytes."""

from __future__ import annotations

from collections.abc import Callable

from proxy.html.gates import Embed, Gate, Page
from proxy.html.owners import Owner

_NOTHING = b""


def render(
    page: Page,
    is_open: frozenset[Owner],
    *,
    everything: bool = False,
    head: bytes = _NOTHING,
    foot: bytes = _NOTHING,
    declaration: bytes = _NOTHING,
    placeholder: Callable[[Embed], bytes] | None = None,
) -> bytes:
    """Render a page for one set of open owners.

    `is_open` are the owners that may act; `everything` opens all gates (observe mode). `head`,
    `foot` and `declaration` are our own markup. Every other byte is the origin's, in its encoding.
    """
    parts: list[bytes] = []
    body = page.body
    position = 0
    slots = [
        (at, markup)
        for at, markup in (
            (page.head_at, head),
            *((at, declaration) for at in page.declaration_at),
            (page.foot_at, foot),
        )
        if at is not None and markup
    ]
    if page.declaration_at:
        slots.sort(key=lambda slot: slot[0])
    for gate in page.gates:
        while slots and slots[0][0] <= gate.start:
            at, markup = slots.pop(0)
            at = max(at, position)
            parts += [body[position:at], markup]
            position = at
        if gate.start < position or everything:
            continue
        if gate.needs <= is_open:
            if gate.opened is not None:
                parts += [body[position : gate.start], gate.opened]
                position = gate.end
            continue
        parts += [body[position : gate.start], _closed(gate, body, placeholder)]
        position = gate.end
    for at, markup in slots:
        at = max(at, position)
        parts += [body[position:at], markup]
        position = at
    parts.append(body[position:])
    rendered = b"".join(parts)
    return rendered.decode("utf-8").encode(page.wire) if page.wire else rendered


def _closed(gate: Gate, body: bytes, placeholder: Callable[[Embed], bytes] | None) -> bytes:
    if gate.embed is not None and placeholder is not None and (shown := placeholder(gate.embed)):
        return body[gate.start : gate.end] + shown
    return gate.closed
