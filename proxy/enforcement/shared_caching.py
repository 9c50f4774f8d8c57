"""Caching headers for shared caches downstream, such as a CDN."""

from __future__ import annotations

from functools import lru_cache

from aiohttp import hdrs
from multidict import CIMultiDict

from proxy.http.field_names import FieldNames

_SHARED = ("public", "s-maxage", "proxy-revalidate", "private")
# Fields that win over Cache-Control in the caches that they are for: CDN-Cache-Control and all that
# are made after it (RFC 9213), and older ones.
_TARGETED = frozenset({"surrogate-control", "edge-control", "x-accel-expires"})
_TARGETED_ALL = "-cache-control"
_DEPENDS_ON = (hdrs.COOKIE, "Sec-GPC")
_PAGE_DEPENDS_ON = (
    hdrs.ACCEPT_ENCODING, hdrs.ACCEPT_LANGUAGE, hdrs.COOKIE, "Sec-GPC", "Sec-Fetch-Dest",
)  # fmt: skip
_NO_STORE = "no-store"
_MAX_REMEMBERED = 200
"""Characters of a Vary field whose continuation is remembered."""


def _is_cdn_directive(name: str) -> bool:
    name = name.lower()
    return name in _TARGETED or name.endswith(_TARGETED_ALL)


_CDN_DIRECTIVES = FieldNames(_is_cdn_directive)


def make_private(headers: CIMultiDict[str]) -> None:
    """Allow storing a response that differs by visitor in this visitor's own browser only, for as
    long as the origin allows.
    """
    given = ",".join(headers.popall(hdrs.CACHE_CONTROL, ())).split(",")
    remaining = [
        directive
        for directive in map(str.strip, given)
        if directive and directive.partition("=")[0].strip().lower() not in _SHARED
    ]
    headers[hdrs.CACHE_CONTROL] = ", ".join(["private", *remaining])
    remove_cdn_directives(headers)
    vary(headers, *_DEPENDS_ON)


def keep_page_private(headers: CIMultiDict[str]) -> None:
    """Forbid shared caches to store a visitor's page, and require validation on each visit. The
    visitor's own browser may store it unless the origin forbids that.
    """
    given = ",".join(headers.popall(hdrs.CACHE_CONTROL, ())).lower()
    remove_cdn_directives(headers)
    headers[hdrs.CACHE_CONTROL] = _NO_STORE if _NO_STORE in given else "private, no-cache"
    vary(headers, *_PAGE_DEPENDS_ON)


def make_unstorable(headers: CIMultiDict[str]) -> None:
    """Forbid every cache to store a response, the browser's included."""
    headers.popall(hdrs.CACHE_CONTROL, None)
    headers[hdrs.CACHE_CONTROL] = _NO_STORE
    remove_cdn_directives(headers)


def is_storable(headers: CIMultiDict[str]) -> bool:
    """Whether the visitor's own browser may store a page that went through `keep_page_private`."""
    return headers.get(hdrs.CACHE_CONTROL) != _NO_STORE


def remove_cdn_directives(headers: CIMultiDict[str]) -> None:
    """Remove the origin's directives for single caches: there they would override our
    Cache-Control.
    """
    if _CDN_DIRECTIVES.any_in(headers):
        for name in filter(_is_cdn_directive, set(headers)):
            headers.popall(name, None)


def vary(headers: CIMultiDict[str], *names: str) -> None:
    """Add names to `Vary`."""
    given = ",".join(headers.popall(hdrs.VARY, ()))
    known = len(given) <= _MAX_REMEMBERED
    headers[hdrs.VARY] = _remembered(given, names) if known else _joined(given, names)


def _joined(given: str, names: tuple[str, ...]) -> str:
    present = [v.strip() for v in given.split(",")]
    lowered = {v.lower() for v in present}
    present += [name for name in names if name.lower() not in lowered]
    return ", ".join(v for v in present if v)


_remembered = lru_cache(maxsize=1024)(_joined)
