"""Cache policy: may a response be stored, may a stored one be used (RFC 9111, 5861, 9213).

Pure functions on header fields and times. Times are seconds since 1970, ages and lifetimes are
seconds; nothing here reads a clock.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from multidict import CIMultiDict, MultiMapping

from proxy.cache.conditional import opaque_tag
from proxy.cache.dates import as_http_date, http_date
from proxy.cache.directives import FOREVER, Directives, cache_control, targeted
from proxy.cache.keys import vary_names
from proxy.http.media_types import media_type
from proxy.http.representation import OF_CONTENT
from proxy.http.request_fields import TRACING, unknown_fields

HEURISTIC_STATUSES = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses that are heuristically cacheable (RFC 9110, 15.1), without 206."""

_UNDERSTOOD = HEURISTIC_STATUSES | {302, 303, 307}
_NEVER_STORED = frozenset({206, 304, 412, 416})
"""Responses to a condition or a range: true for the request that had it."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
ERRORS = frozenset({500, 502, 503, 504})
"""What `stale-if-error` covers (RFC 5861, 4)."""

MAX_HEURISTIC_LIFETIME = 3600.0
MAX_HEURISTIC_PAGE_LIFETIME = 60.0
"""Seconds. The tenth of a file's age (RFC 9111, 4.2.2) can be days; an editor who changes a page
without caching directives expects to see it soon.
"""

UNREACHABLE = 86400.0
"""Seconds that a stale response may stand in for an upstream that cannot be reached, where the
origin does not forbid it (RFC 9111, 4.2.4)."""

_AGE = re.compile(r"[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class FreshnessPolicy:
    """Freshness lifetimes of a stored response, in seconds."""

    lifetime: float
    stale_while_revalidate: float = 0.0
    stale_if_error: float | None = None
    no_cache: bool = False
    """Validated before every use."""
    never_stale: bool = False
    """must-revalidate or proxy-revalidate: not even `stale-*` may bend it."""
    shared_lifetime: bool = False
    """s-maxage forbids staleness too, unless the origin itself says `stale-*` beside it."""
    explicit: bool = False
    """The lifetime is the origin's own, not a heuristic one."""


@dataclass(frozen=True, slots=True)
class RequestDirectives:
    """The caching directives of a request."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int = 0


WANTS_NOTHING = RequestDirectives()


class Use(enum.Enum):
    """How a stored response may be used."""

    FRESH = "fresh"
    WHILE_REVALIDATING = "stale-while-revalidate"
    VALIDATE = "validate"


def wants(headers: MultiMapping[str]) -> RequestDirectives:
    """The caching directives of a request (RFC 9111, 5.2.1). `Pragma` applies without
    Cache-Control.

    `max-stale` is ignored, as in Varnish and nginx: how old a response may be is between the origin
    and its cache. A client could request what waits to be validated with it.
    """
    if "Cache-Control" not in headers:
        pragma = headers.get("Pragma", "")
        if pragma and "no-cache" in pragma.lower():
            return RequestDirectives(no_cache=True)
        return WANTS_NOTHING
    given = cache_control(headers.getall("Cache-Control"))
    return RequestDirectives(
        no_store="no-store" in given,
        no_cache="no-cache" in given,
        only_if_cached="only-if-cached" in given,
        max_age=given.seconds("max-age"),
        min_fresh=given.seconds("min-fresh") or 0,
    )


def response_directives(headers: MultiMapping[str]) -> tuple[Directives, bool]:
    """The directives that apply, and whether they are CDN-Cache-Control's.

    A targeted field replaces Cache-Control and Expires altogether (RFC 9213, 2.2).
    """
    if "CDN-Cache-Control" in headers:
        own = targeted(headers.getall("CDN-Cache-Control"))
        if own is not None:
            return own, True
    return cache_control(headers.getall("Cache-Control", ())), False


def storage_refusal(
    method: str,
    request: MultiMapping[str],
    status: int,
    headers: CIMultiDict[str],
    policy: FreshnessPolicy,
    *,
    is_page: bool = False,
    has_credentials: bool = False,
) -> str:
    """Why a response may not be stored for all visitors; "" when it may (RFC 9111, 3). `policy` is
    what `freshness_policy` makes of it.

    Stricter than the RFC where what was made for one visitor may be in a response:

    - A page that sets a cookie is never stored; anything else that does only if it says `public`.
    - `has_credentials`: the request has a session cookie or `Authorization`. No page is
      stored then, and nothing else without a lifetime that the origin itself gives, be it styles,
      scripts, fonts, images, sound or film; all other types only with `public` or `s-maxage`.
    - A request field that is not in the cache key may have changed the response, unless `Vary`
      names it.

    What could neither be fresh nor be validated is not worth its place.
    """
    if method != "GET":
        return "method"
    if status < 200 or status in _NEVER_STORED:
        return "status"
    given, _ = response_directives(headers)
    if "must-understand" in given:
        if status not in _UNDERSTOOD:
            return "must-understand"
    elif "no-store" in given:
        return "no-store"
    if "private" in given:
        return "private"
    if "Cache-Control" in request and wants(request).no_store:
        return "request no-store"
    if "Authorization" in request and not any(
        name in given for name in ("public", "s-maxage", "must-revalidate")
    ):
        return "authorization"
    if any(name in headers for name in _COOKIES) and (is_page or "public" not in given):
        return "set-cookie"
    varies = vary_names(headers)
    if varies is None:
        return "vary"
    if not set(unknown_fields(request)) <= set(varies):
        return "request field"
    if has_credentials:
        for_all = "public" in given or "s-maxage" in given
        # A lifetime of 0 would be validated with other visitors' requests: an origin whose
        # validators are alike for two visitors' files (size and time) would give one the other's.
        if is_page or not policy.explicit or policy.lifetime <= 0 or policy.no_cache:
            return "credentials"
        if not for_all and not is_static(headers):
            return "credentials"
    if policy.lifetime <= 0 and not has_validator(headers):
        return "no lifetime"
    return ""


_STATIC_TYPES = frozenset(
    {
        "text/css", "text/javascript", "application/javascript", "application/x-javascript",
        "application/ecmascript", "text/ecmascript", "application/wasm",
        "application/vnd.ms-fontobject",
    }
)  # fmt: skip
_STATIC_PREFIXES = (
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/font-",
    "application/x-font-",
)


def is_static(headers: CIMultiDict[str]) -> bool:
    """Whether a response is of a type that sites serve from files: styles, scripts, fonts, images,
    sound, film.
    """
    kind = media_type(headers)
    return kind in _STATIC_TYPES or kind.startswith(_STATIC_PREFIXES)


def has_validator(headers: MultiMapping[str]) -> bool:
    """Whether a response can be validated."""
    return "ETag" in headers or "Last-Modified" in headers


def freshness_policy(
    status: int, headers: MultiMapping[str], now: float, *, is_page: bool = False
) -> FreshnessPolicy:
    """The freshness lifetimes of a response that was received at `now`."""
    given, is_targeted = response_directives(headers)
    shared = given.seconds("s-maxage")
    lifetime = float(shared) if shared is not None else None
    if lifetime is None:
        maximum = given.seconds("max-age")
        lifetime = float(maximum) if maximum is not None else None
    if lifetime is None and not is_targeted and "Expires" in headers:
        lifetime = _until_expiry(headers, now)
    explicit = lifetime is not None
    if lifetime is None:
        lifetime = _heuristic(status, headers, given, now, is_page=is_page)
    # `no-cache="field"` takes the field out of what is stored; alone it holds for the whole.
    no_cache = "" in given.given.get("no-cache", ("-",))
    return FreshnessPolicy(
        lifetime=lifetime,
        stale_while_revalidate=given.seconds("stale-while-revalidate") or 0,
        stale_if_error=given.seconds("stale-if-error"),
        no_cache=no_cache,
        never_stale="must-revalidate" in given or "proxy-revalidate" in given,
        shared_lifetime=shared is not None,
        explicit=explicit,
    )


def _until_expiry(headers: MultiMapping[str], now: float) -> float:
    lines = set(headers.getall("Expires"))
    if len(lines) > 1:
        return 0.0
    expires = http_date(lines.pop(), now)
    if expires is None:
        return 0.0
    return max(0.0, expires - _date(headers, now))


def _heuristic(
    status: int, headers: MultiMapping[str], given: Directives, now: float, *, is_page: bool
) -> float:
    if status not in HEURISTIC_STATUSES and "public" not in given:
        return 0.0
    if "Cache-Control" not in headers and "no-cache" in headers.get("Pragma", "").lower():
        return 0.0
    modified = http_date(headers.get("Last-Modified", ""), now)
    if modified is None:
        return 0.0
    longest = MAX_HEURISTIC_PAGE_LIFETIME if is_page else MAX_HEURISTIC_LIFETIME
    return min(longest, max(0.0, (_date(headers, now) - modified) / 10))


def _date(headers: MultiMapping[str], now: float) -> float:
    date = http_date(headers.get("Date", ""), now)
    return now if date is None else date


def initial_age(headers: MultiMapping[str], asked_at: float, answered_at: float) -> float:
    """The age of a response when it was received (RFC 9111, 4.2.3)."""
    apparent = max(0.0, answered_at - _date(headers, answered_at))
    if apparent < 1:
        apparent = 0.0  # dates have whole seconds
    first = headers.get("Age", "").partition(",")[0].strip()
    stated = min(int(first), FOREVER) if _AGE.match(first) and len(first) < 40 else 0
    return max(apparent, stated + max(0.0, answered_at - asked_at))


def freshness(policy: FreshnessPolicy, age: float, want: RequestDirectives) -> Use:
    """How a stored response of this age may be used."""
    if want.no_cache or policy.no_cache:
        return Use.VALIDATE
    if want.max_age is not None and age > want.max_age:
        return Use.VALIDATE
    left = policy.lifetime - age
    if left > 0 and left >= want.min_fresh:
        return Use.FRESH
    if policy.never_stale or want.min_fresh:
        return Use.VALIDATE
    if -left < policy.stale_while_revalidate:
        return Use.WHILE_REVALIDATING
    return Use.VALIDATE


def allows_stale_on_error(
    policy: FreshnessPolicy, age: float, want: RequestDirectives, *, reached: bool
) -> bool:
    """Whether a stored response may stand in for a failure of the upstream.

    `reached` distinguishes an error status (500, 502, 503, 504) from an upstream that gave no
    response: only for the latter may a cache decide itself (RFC 9111, 4.2.4). What has no lifetime
    of the origin's own stands in for nothing.
    """
    if (
        not policy.explicit
        or policy.no_cache
        or policy.never_stale
        or want.no_cache
        or want.min_fresh
    ):
        return False
    if want.max_age is not None and age > want.max_age:
        return False
    if policy.stale_if_error is not None:
        return age - policy.lifetime <= policy.stale_if_error
    if reached or policy.shared_lifetime or policy.lifetime <= 0:
        return False
    return age - policy.lifetime <= UNREACHABLE


def stored_headers(headers: CIMultiDict[str], now: float) -> CIMultiDict[str]:
    """The header fields that are stored with a response. Hop-by-hop fields are gone already.

    What `no-cache="..."` names is left out, and so are cookies and names of the request: they are
    one visitor's. `Age` is written anew on each use.
    """
    stored = CIMultiDict(headers)
    for name in (*_COOKIES, "Age", *_PROXY_ONLY, *TRACING.intersection(map(str.lower, headers))):
        stored.popall(name, None)
    given, _ = response_directives(headers)
    for name in given.fields("no-cache"):
        stored.popall(name, None)
    if http_date(stored.get("Date", ""), now) is None:
        stored["Date"] = as_http_date(now)
    return stored


_COOKIES = ("Set-Cookie", "Set-Cookie2")
_PROXY_ONLY = ("Proxy-Authentication-Info", "Proxy-Connection")

# What describes the bytes that are stored: a 304 does not change them (RFC 9111, 3.2).
_OF_THE_BYTES = frozenset(map(str.lower, (*OF_CONTENT, "Transfer-Encoding", "ETag", "Vary")))


def updated_headers(
    stored: CIMultiDict[str], newer: CIMultiDict[str], now: float
) -> CIMultiDict[str]:
    """Stored header fields, updated by a 304, or by a 200 to HEAD for the same bytes."""
    fresh = stored_headers(newer, now)
    result = CIMultiDict(stored)
    changing = [(name, value) for name, value in fresh.items() if name.lower() not in _OF_THE_BYTES]
    for name, _ in changing:
        result.popall(name, None)
    for name, value in changing:
        result.add(name, value)
    return result


def describes_same(stored: MultiMapping[str], head: MultiMapping[str]) -> bool:
    """Whether a 200 to HEAD is about the stored bytes (RFC 9111, 4.3.5)."""
    for name in ("ETag", "Last-Modified", "Content-Length"):
        new = head.get(name)
        if new is None:
            continue
        old = stored.get(name)
        if name == "ETag" and old is not None:
            old, new = opaque_tag(old), opaque_tag(new)
        if old != new:
            return False
    return True


def also_invalid(url: str, headers: MultiMapping[str]) -> list[str]:
    """The URLs, other than its own, that a successful unsafe request makes invalid (RFC 9111, 4.4).

    Only of the same origin: no site may invalidate another's responses.
    """
    here = urlsplit(url)
    found: list[str] = []
    for name in ("Location", "Content-Location"):
        for value in headers.getall(name, ()):
            try:
                target = urljoin(url, value)
                there = urlsplit(target)
            except ValueError:
                continue
            if (there.scheme, there.netloc.lower()) == (here.scheme, here.netloc.lower()):
                found.append(target.partition("#")[0])
    return found
