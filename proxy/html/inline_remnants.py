"""Remnants of a closed inline script: the site's own functions and data in it.

No part of a vendor's code may run. But a script may hold the site's configuration and calls of its
own beside it, and the rest of the page may call what it declares. So two things replace it: what of
it is the site's own (`own_statements`), of declarations those that the page uses; and stubs for
those that cannot be preserved.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import ahocorasick_rs

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.own_statements import Part, Path, parts_of

_MAX_BYTES = 4_000_000
"""Bytes of a script that is looked at at all."""


@dataclass(frozen=True, slots=True)
class Remnants:
    """`code` replaces the script; `names` are the functions that must exist as stubs."""

    code: bytes = b""
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VendorsOfCode:
    """The ids of the vendors that a text names, and of those whose code a script runs."""

    named: Callable[[str], Collection[str]]
    run: Callable[[str], Collection[str]]


_MARKS = (b"<script", b" on", b"\non", b"javascript:")
_SCRIPTS, *_HANDLERS, _URLS = range(len(_MARKS))
# All of them in a tenth of the time of a search each. No two overlap.
_ANY_MARK = ahocorasick_rs.BytesAhoCorasick(
    _MARKS, matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)
_HANDLER = lazy_pattern(rb"""on[a-z]+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
_UNTIL = lazy_pattern(rb"[^>]*")


def code_of(page: bytes) -> bytes:
    """The page's scripts and event handlers, approximately: where function names may be used."""
    lowered = page.lower()
    places = _places(lowered)
    found = [page[at : lowered.find(b"</script", at)] for at in places[_SCRIPTS]]
    found += _handlers(page, places)
    found += [until[0] for at in places[_URLS] if (until := _UNTIL.match(page, at)) is not None]
    # No name is followed by what stands elsewhere: the code of a page is that of its parts.
    return b"\n;".join(found)


class CodeOfPart(NamedTuple):
    """Whether a part of a page has what `code_of` takes for code, and whether all of that ends
    within it: then the code of the page is that of its parts.
    """

    is_any: bool
    is_ended: bool


def code_of_part(part: bytes) -> CodeOfPart:
    lowered = part.lower()
    places = _places(lowered)
    scripts, urls = places[_SCRIPTS], places[_URLS]
    handlers = _handlers(part, places)
    return CodeOfPart(
        bool(scripts or handlers or urls),
        all(lowered.find(b"</script", at) >= 0 for at in scripts)
        and not any(map(_is_half_quoted, handlers))
        and all(part.find(b">", at) >= 0 for at in urls),
    )


def _handlers(page: bytes, places: Sequence[Sequence[int]]) -> list[bytes]:
    """The values of a page's event handlers, with their quotes."""
    return [
        handler[1]
        for mark in _HANDLERS
        for at in places[mark]
        if (handler := _HANDLER.match(page, at + 1)) is not None
    ]


def _is_half_quoted(value: bytes) -> bool:
    quote = value[:1]
    return quote in {b'"', b"'"} and (len(value) < 2 or value[-1:] != quote)


def _places(lowered: bytes) -> Sequence[Sequence[int]]:
    """Where each of `_MARKS` stands in a lower-cased page."""
    places: list[list[int]] = [[] for _ in _MARKS]
    for mark, at, _ in _ANY_MARK.find_matches_as_indexes(lowered):
        places[mark].append(at)
    return places


Named = Callable[[str, "re.Pattern[bytes]"], bool]
"""Whether code names something, with what a pattern matches behind it: see `is_in`."""


@dataclass(frozen=True, slots=True)
class KnownRemnants:
    """The remnants of a script on some page, and what of the rest of it they depend on."""

    left: Remnants
    asked: tuple[tuple[str, re.Pattern[bytes], bool], ...]


def remnants(
    script: bytes,
    rest: Named,
    is_vendors: Callable[[str], bool],
    vendors: VendorsOfCode,
    *,
    parts_in: Callable[[bytes], Sequence[Part]] | None = None,
    all_used: bool = False,
) -> Remnants:
    """The remnants of a closed script.

    `rest` asks the code of the page around it (`code_of`); `is_vendors` decides whether a text or
    name identifies a vendor. `parts_in` is
    `parts_of` by the same `is_vendors` where that is remembered. `all_used`: more of
    the page may follow, and may use everything.
    """
    if len(script) > _MAX_BYTES or b"<!--" in script:
        return Remnants()
    parts = parts_of(script, is_vendors) if parts_in is None else parts_in(script)
    declared: dict[str, list[Part]] = {}
    for part in parts:
        if part.name and not is_vendors(part.name):
            declared.setdefault(part.name, []).append(part)
    defined = frozenset[str]().union(*(part.defines for part in parts)) - declared.keys()
    stay = [part for part in parts if part.stays]
    if not (stay or declared or defined):
        return Remnants()
    if not (declared or defined):
        rest = _names_nothing
    own = b"\n".join(part.code for part in stay)
    used = set(declared) if all_used else _used(declared, rest, own)
    stay += [one for name in used for one in declared[name] if one.code and not one.stays]
    stay, code = _without_vendors(stay, vendors)
    lost = {name for name in used - {part.name for part in stay} if len(name) > _SHORT}
    called = {
        name
        for name in lost | {name for name in defined if len(name) > _SHORT}
        if rest(name, CALLED) or is_in(code, name, CALLED)
    }
    blanks = b"".join(b"var %s;" % name.encode() for name in sorted(lost - called))
    empty = _empty_properties(parts, stay, rest, code)
    return Remnants(blanks + code + empty, frozenset({*called, _EMPTY} if empty else called))


def _names_nothing(_name: str, _following: re.Pattern[bytes]) -> bool:
    return False


_SHORT = 2
"""Characters of a name that says too little to get a stub: minified code is full of them."""


_EMPTY = "__consentClosed"
"""The stub that stands for what a lost statement would have put into an object that stays."""
_ASSIGN_EMPTY = b"\n%s=%s||self." + _EMPTY.encode() + b";"


def _empty_properties(
    parts: Sequence[Part], stay: Sequence[Part], rest: Named, code: bytes
) -> bytes:
    """Code that gives the objects that stay the properties which they have lost, and which are
    called: `x.y = ...` of a vendor's, where `x={}` is the site's.
    """
    remaining = frozenset[Path]().union(*(part.sets for part in stay))
    lost = frozenset[Path]().union(*(part.sets for part in parts if not part.code)) - remaining
    found = (
        b".".join(path)
        for path in sorted(lost)
        if path[:-1] in remaining and all(map(_IDENTIFIER.fullmatch, path))
    )
    return b"".join(
        _ASSIGN_EMPTY % (path, path)
        for path in found
        if rest(path.decode(), CALLED) or is_in(code, path.decode(), CALLED)
    )


_IDENTIFIER = lazy_pattern(rb"[A-Za-z_$][\w$]*")


def _without_vendors(parts: list[Part], vendors: VendorsOfCode) -> tuple[list[Part], bytes]:
    """The parts that may stay, with their code. Where the whole would run a vendor's code: without
    what reads data that names one; if that is not enough, without what names those that it runs.
    """
    code = _joined(parts)
    if not code or not vendors.run(_text(code)):
        return parts, code
    names = {part.start: frozenset(vendors.named(_text(part.code))) for part in parts}
    named = [part for part in parts if names[part.start]]
    stored = frozenset[Path]().union(*(part.sets for part in named if part.is_data))
    gone = [part for part in parts if not part.is_data and _reads_any(part, stored)]
    for _ in range(_MAX_TRIES):
        left = _without(parts, gone)
        code = _joined(left)
        running = frozenset(vendors.run(_text(code)))
        if not running:
            return left, code
        gone += [part for part in left if names[part.start] & running]
    left = _without(parts, named)
    code = _joined(left)
    return ([], b"") if vendors.run(_text(code)) else (left, code)


_MAX_TRIES = 3
"""How often what stays is analysed; without all that names a vendor it seldom has to be."""


def _reads_any(part: Part, paths: frozenset[Path]) -> bool:
    """Whether a part reads what one of the paths leads to, or what is around it as a whole."""
    around = {path[:end] for path in paths for end in range(1, len(path) + 1)}
    return any(
        read in around or any(read[:end] in paths for end in range(1, len(read)))
        for read in part.reads
    )


def _without(parts: list[Part], gone: list[Part]) -> list[Part]:
    """The parts without some, and without those that rest upon these: on what none that is left
    sets. A function may call what is gone, for which a stub stands.
    """
    left = {part.start: part for part in parts}
    set_by_left = Counter(path for part in parts for path in part.sets)
    by_read: dict[Path, list[int]] = {}
    for part in parts:
        if part.stays or not part.name:
            for path in {read[:end] for read in part.reads for end in range(1, len(read) + 1)}:
                by_read.setdefault(path, []).append(part.start)
    waiting = [part.start for part in gone]
    for start in waiting:  # it grows
        if start not in left:
            continue
        part = left.pop(start)
        set_by_left.subtract(part.sets)
        lost = (path for path in part.sets if not set_by_left[path])
        waiting += chain.from_iterable(by_read.pop(path, []) for path in lost)
    return list(left.values())


def _joined(parts: list[Part]) -> bytes:
    return b"\n".join(part.code for part in sorted(parts, key=lambda part: part.start))


def _used(declared: Mapping[str, Sequence[Part]], rest: Named, own: bytes) -> set[str]:
    """The names that the page uses, transitively through the preserved declarations."""
    used = {name for name in declared if rest(name, ENDED)}
    waiting = [own, *(one.code for name in used for one in declared[name] if one.code)]
    while waiting:
        text = waiting.pop()
        found = {name for name in declared.keys() - used if is_in(text, name, ENDED)}
        used |= found
        waiting += [one.code for name in found for one in declared[name] if one.code]
    return used


# On their own, and not one expression for each name: to compile that, and to try it at each byte of
# the page's code, took most of the time of a page with many closed scripts.
_BEGUN = lazy_pattern(rb"(?<![\w$.-])|(?<=window\.)")
CALLED = lazy_pattern(rb"\s*[.(\[]")
ENDED = lazy_pattern(rb"\s*(?:[^\w$-]|\Z)")


def is_in(code: bytes, name: str, following: re.Pattern[bytes]) -> bool:
    """Whether code names something, with what `following` matches behind it."""
    written = name.encode()
    return any(
        _BEGUN.match(code, at) and following.match(code, at + len(written))
        for at in _places_of(code, written)
    )


def _places_of(code: bytes, name: bytes) -> Iterator[int]:
    """Where a name stands, such places included as overlap."""
    at = code.find(name)
    while at >= 0:
        yield at
        at = code.find(name, at + 1)


def _text(code: bytes) -> str:
    return code.decode("latin-1")
