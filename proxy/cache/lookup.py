"""Look up a stored response and decide whether it may be used; else fetch."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager, nullcontext

from proxy.cache import cache_status
from proxy.cache.fetch import CACHE_STATUS, RANGE_FIELDS, Lookup, bypass, fetch_response, refresh
from proxy.cache.origin_response import OriginResponse, StoredResponse
from proxy.cache.policy import WANTS_NOTHING, Use, freshness, wants
from proxy.cache.store import Entry
from proxy.cache.stored_response import aged_headers
from proxy.http.access_record import CACHE
from proxy.http.field_names import FieldNames

# A GET with one of these may be taken for another method: an origin that obeys it would fill the
# cache with the response to another request.
_NOT_THIS_REQUEST = FieldNames(
    frozenset(
        {
            "if-match", "if-unmodified-since", "x-http-method-override", "x-http-method",
            "x-method-override", "upgrade",
        }
    ).__contains__
)  # fmt: skip
_RANGES = FieldNames(frozenset(map(str.lower, RANGE_FIELDS)).__contains__)


class NotStoredError(Exception):
    """An `only-if-cached` request without a usable stored response: a 504 (RFC 9111, 5.2.1.7)."""


def find_or_fetch(lookup: Lookup) -> AbstractAsyncContextManager[OriginResponse]:
    """The stored response to a request, or the origin's, which is stored where it may be.

    Raises NotStoredError; on entering, UpstreamError when there is no response.
    """
    request = lookup.request
    if request.method not in {"GET", "HEAD"}:
        return bypass(lookup, "method")
    given = request.headers
    if request.body_exists or _NOT_THIS_REQUEST.any_in(given):
        return bypass(lookup, "bypass")
    plain = "Cache-Control" not in given and "Pragma" not in given
    want = WANTS_NOTHING if plain else wants(given)
    if want.no_store:
        return bypass(lookup, "request")
    entry = lookup.cache.store.get(lookup.key, lambda: lookup.headers)
    if entry is not None:
        if not lookup.may_use(entry):
            return bypass(lookup, "bypass")
        now = time.time()
        use = freshness(entry.policy, entry.age(now), want)
        if use is Use.WHILE_REVALIDATING and request.method == "GET":
            refresh(lookup, entry)
        if use is not Use.VALIDATE:
            return nullcontext(_hit(lookup, entry, now))
    if want.only_if_cached:
        raise NotStoredError
    if request.method == "HEAD":
        return bypass(lookup, "method", None if lookup.is_alone else entry)
    validates = entry is not None and lookup.may_validate(entry)
    if not validates and _RANGES.any_in(lookup.headers):
        # The upstream's own response: a part is not stored, nor is "not modified".
        return bypass(lookup, "miss")
    return fetch_response(lookup, entry, want)


def _hit(lookup: Lookup, entry: Entry, now: float) -> StoredResponse:
    lookup.request[CACHE] = "hit"
    headers = aged_headers(entry, now)
    if lookup.cache.adds_cache_status:
        headers.add(CACHE_STATUS, cache_status.hit(entry.policy.lifetime - entry.age(now)))
    return StoredResponse(entry, headers, now, lookup.may_share)
