"""Vendors' cookies by name, and the filters of `Cookie` and `Set-Cookie`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial

from consent_rules.vendors import Vendor

_MAX_REMEMBERED = 4096
_MAX_REMEMBERED_LENGTH = 256
"""Characters of a cookie's name."""


class CookieIndex:
    """Cookie name -> ids of the vendors that set it. Built once per config."""

    __slots__ = ("_beginnings", "_exact", "_find", "_remembered")

    def __init__(self, vendors: Iterable[Vendor]) -> None:
        self._exact: dict[str, list[str]] = {}
        # Text before the first star -> the rest as a regular expression ("" for any rest).
        self._beginnings: dict[str, list[tuple[str, str]]] = {}
        for vendor in vendors:
            for pattern in vendor.cookies:
                if "*" not in pattern:
                    self._exact.setdefault(pattern, []).append(vendor.id)
                    continue
                head, _, rest = pattern.partition("*")
                tail = f".*{'.*'.join(map(re.escape, rest.split('*')))}" if rest else ""
                self._beginnings.setdefault(head, []).append((tail, vendor.id))
        lengths = tuple(sorted({len(head) for head in self._beginnings}))
        # Of this index, not of the module: with it they go, when a reload makes another. A bound
        # method would keep the index: in a cycle, which is rarely collected.
        self._find = partial(_find, self._exact, self._beginnings, lengths)
        self._remembered = lru_cache(maxsize=_MAX_REMEMBERED)(self._find)

    def vendors_of(self, name: str) -> tuple[str, ...]:
        """Ids of the vendors that set a cookie of this name; several share `_gcl_au`."""
        if len(name) > _MAX_REMEMBERED_LENGTH:
            return self._find(name)
        return self._remembered(name)

    def is_closed(self, name: str, is_open: frozenset[str]) -> bool:
        """Whether a cookie has vendors, none of which may act."""
        owners = self.vendors_of(name)
        return bool(owners) and is_open.isdisjoint(owners)


def _find(
    exact: dict[str, list[str]],
    beginnings: dict[str, list[tuple[str, str]]],
    lengths: tuple[int, ...],
    name: str,
) -> tuple[str, ...]:
    found = list(exact.get(name, ()))
    for length in lengths:
        if length > len(name):
            break
        for tail, vendor_id in beginnings.get(name[:length], ()):
            if not tail or re.fullmatch(tail, name[length:]):  # re remembers a few hundred
                found.append(vendor_id)
    return tuple(found)


def without_closed_cookies(
    header: str, index: CookieIndex, is_open: frozenset[str]
) -> tuple[str, list[str]]:
    """A Cookie header without the closed vendors' cookies, and the names taken out."""
    remaining: list[str] = []
    closed: list[str] = []
    for pair in header.split(";"):
        name = pair.partition("=")[0].strip()
        if name and index.is_closed(name, is_open):
            closed.append(name)
        else:
            remaining.append(pair)
    if not closed:
        return header, closed
    return ";".join(remaining).strip(), closed


def allowed_set_cookies(
    values: Sequence[str], index: CookieIndex, is_open: frozenset[str]
) -> list[str]:
    """The Set-Cookie values that do not belong to closed vendors, in order."""
    return [value for value in values if not index.is_closed(_name_set(value), is_open)]


def _name_set(set_cookie: str) -> str:
    # A cookie without a name is sent as its value alone, which then reads like a name (RFC
    # 6265bis).
    return set_cookie.partition(";")[0].strip().lstrip("= \t").partition("=")[0].strip()
