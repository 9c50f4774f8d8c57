"""One request's way through the cache: kept, asked again, fetched for all, or passed by."""

from __future__ import annotations

import time

from aiohttp import web

from proxy.cache import cache_status as cache_status
from proxy.cache.fetch import (
    CACHE_STATUS,
    RANGE_FIELDS,
    Replies,
    SharedCache,
    Visit,
    bypass,
    fetch_response,
    refresh,
)
from proxy.cache.keys import Key
from proxy.cache.outcomes import ReadPage
from proxy.cache.policy import WANTS_NOTHING, Use, freshness, wants
from proxy.cache.store import Entry
from proxy.cache.stored_response import aged_headers
from proxy.http.access_record import CACHE
from proxy.http.error_pages import error_response

# A GET with one of these is not the GET that its URL names: an origin that obeys it would fill the
# cache with the answer to something else.
_NOT_THIS_REQUEST = (
    "If-Match",
    "If-Unmodified-Since",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "Upgrade",
)


async def lookup(visit: Visit) -> web.StreamResponse:
    """Answer a request from what is kept, or ask the upstream and keep what may be kept.

    Raises UpstreamError when there is no answer.
    """
    request = visit.request
    if request.method not in {"GET", "HEAD"}:
        return await bypass(visit, "method")
    given = request.headers
    if request.body_exists or any(name in given for name in _NOT_THIS_REQUEST):
        return await bypass(visit, "bypass")
    plain = "Cache-Control" not in given and "Pragma" not in given
    want = WANTS_NOTHING if plain else wants(given)
    if want.no_store:
        return await bypass(visit, "request")
    entry = visit.cache.store.get(visit.key, lambda: visit.headers)
    if entry is not None:
        if not visit.may_have(entry):
            return await bypass(visit, "bypass")
        now = time.time()
        use = freshness(entry.terms, entry.age(now), want)
        if use is Use.WHILE_REVALIDATING and request.method == "GET":
            refresh(visit, entry)
        if use is not Use.VALIDATE:
            return await _reply_hit(visit, entry, now)
    if want.only_if_cached:
        return error_response(request, 504)
    if request.method == "HEAD":
        return await bypass(visit, "method", None if visit.is_alone else entry)
    if (entry is None or not visit.may_validate(entry)) and any(
        name in visit.headers for name in RANGE_FIELDS
    ):
        # Answered by the upstream itself: a part is not kept, nor is "not modified".
        return await bypass(visit, "miss")
    return await fetch_response(visit, entry, want)


async def _reply_hit(visit: Visit, entry: Entry, now: float) -> web.StreamResponse:
    visit.request[CACHE] = "hit"
    headers = aged_headers(entry, now)
    if visit.cache.tells:
        headers.add(CACHE_STATUS, cache_status.hit(entry.terms.lifetime - entry.age(now)))
    return await visit.replies.stored(entry, headers, now)


__all__ = [
    "CACHE_STATUS",
    "Entry",
    "Key",
    "ReadPage",
    "Replies",
    "SharedCache",
    "Visit",
    "bypass",
    "lookup",
]
