"""Remnants of a closed inline script: the site's own functions and data in it.

No part of a vendor's code may run. But a script may hold the site's configuration and calls of its
own beside it, and the rest of the page may call what it declares. So two things replace it: what of
it is the site's own (`own_statements`), of declarations those that the page uses; and stubs for
those that cannot be preserved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from proxy.html.own_statements import Part, parts_of

_MAX_BYTES = 4_000_000
"""Bytes of a script that is looked at at all."""


@dataclass(frozen=True, slots=True)
class Remnants:
    """`code` replaces the script; `names` are the functions that must exist as stubs."""

    code: bytes = b""
    names: frozenset[str] = frozenset()


_HANDLERS = (b" on", b"\non")
_HANDLER = re.compile(rb"""on[a-z]+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
_UNTIL = re.compile(rb"[^>]*")


def code_of(page: bytes) -> bytes:
    """The page's scripts and event handlers, approximately: where function names may be used."""
    lowered = page.lower()
    found = [page[at : lowered.find(b"</script", at)] for at in _places(lowered, b"<script")]
    for mark in _HANDLERS:
        for at in _places(lowered, mark):
            handler = _HANDLER.match(page, at + 1)
            if handler is not None:
                found.append(handler[1])
    found += [
        until[0]
        for at in _places(lowered, b"javascript:")
        if (until := _UNTIL.match(page, at)) is not None
    ]
    return b"\n".join(found)


def _places(page: bytes, mark: bytes) -> Iterator[int]:
    at = page.find(mark)
    while at >= 0:
        yield at
        at = page.find(mark, at + len(mark))


def remnants(
    script: bytes,
    rest: Callable[[], bytes],
    is_vendors: Callable[[str], bool],
    runs_vendors: Callable[[str], bool],
    *,
    parts_in: Callable[[bytes], Sequence[Part]] | None = None,
    all_used: bool = False,
) -> Remnants:
    """The remnants of a closed script.

    `rest` is the code of the page around it (`code_of`); `is_vendors` decides whether a text or
    name identifies a vendor, `runs_vendors` whether a script runs one's code. `parts_in` is
    `parts_of` by the same `is_vendors` where that is remembered. `all_used`: more of
    the page may follow, and may use everything.
    """
    if len(script) > _MAX_BYTES or b"<!--" in script:
        return Remnants()
    parts = parts_of(script, is_vendors) if parts_in is None else parts_in(script)
    declared = {part.name: part for part in parts if part.name and not is_vendors(part.name)}
    stay = [part for part in parts if part.stays]
    if not stay and not declared:
        return Remnants()
    around = rest() if declared else b""
    own = b"\n".join(part.code for part in stay)
    used = set(declared) if all_used else _used(declared, b"\n".join((around, own)))
    stay += [declared[name] for name in used if declared[name].code and not declared[name].stays]
    stay, code = _without_vendors(stay, is_vendors, runs_vendors)
    lost = used - {part.name for part in stay}
    called = {name for name in lost if any(is_in(b, name, CALLED) for b in (around, code))}
    blanks = b"".join(b"var %s;" % name.encode() for name in sorted(lost - called))
    return Remnants(blanks + code, frozenset(called))


def _without_vendors(
    parts: list[Part], is_vendors: Callable[[str], bool], runs_vendors: Callable[[str], bool]
) -> tuple[list[Part], bytes]:
    """The parts that may stay, with their code: without those that name a vendor where the whole
    would run one's code.
    """
    code = _joined(parts)
    if code and runs_vendors(_text(code)):
        parts = [part for part in parts if not is_vendors(_text(part.code))]
        code = _joined(parts)
        if runs_vendors(_text(code)):
            return [], b""
    return parts, code


def _joined(parts: list[Part]) -> bytes:
    return b"\n".join(part.code for part in sorted(parts, key=lambda part: part.start))


def _used(declared: Mapping[str, Part], rest: bytes) -> set[str]:
    """The names that the page uses, transitively through the preserved declarations."""
    used: set[str] = set()
    waiting = [rest]
    while waiting:
        text = waiting.pop()
        found = {name for name in declared.keys() - used if is_in(text, name, ENDED)}
        used |= found
        waiting += [declared[name].code for name in found if declared[name].code]
    return used


# On their own, and not one expression for each name: to compile that, and to try it at each byte of
# the page's code, took most of the time of a page with many closed scripts.
_BEGUN = re.compile(rb"(?<![\w$.-])|(?<=window\.)")
CALLED = re.compile(rb"\s*[.(\[]")
ENDED = re.compile(rb"\s*(?:[^\w$-]|\Z)")


def is_in(code: bytes, name: str, following: re.Pattern[bytes]) -> bool:
    """Whether code names something, with what `following` matches behind it."""
    written = name.encode()
    return any(
        _BEGUN.match(code, at) and following.match(code, at + len(written))
        for at in _places_of(code, written)
    )


def _places_of(code: bytes, name: bytes) -> Iterator[int]:
    """Like `_places`, those that overlap included."""
    at = code.find(name)
    while at >= 0:
        yield at
        at = code.find(name, at + 1)


def _text(code: bytes) -> str:
    return code.decode("latin-1")
