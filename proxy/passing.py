"""The short way of a request that passes by the cache, as the last one of its class did.

Nothing is resolved, and nothing looked up: the origin is asked as the full path would ask it, and
what it says is answered as there.
"""

from __future__ import annotations

import time
from dataclasses import replace

from aiohttp import web

from proxy.cache import LiveResponse
from proxy.cache.passing import PassingRequest, is_never_stored
from proxy.context import RequestContext
from proxy.enforcement.request_filter import upstream_request_headers
from proxy.http.access_record import CACHE, DEVICE
from proxy.http.forwarding import response_headers
from proxy.origin import InterimResponses
from proxy.responses.respond import respond
from proxy.revalidation import context_of, record
from proxy.runtime import Runtime
from proxy.server.fast_path_key import fast_path_key
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.request import send_request


def find_passing(request: web.BaseRequest, runtime: Runtime) -> PassingRequest | None:
    """What a request like this one was resolved to, if it passes by the cache still."""
    fast_path, cache = runtime.fast_path, runtime.cache
    key = None if fast_path is None else fast_path_key(request, fast_path)
    if fast_path is None or cache is None or key is None:
        return None
    known = fast_path.find_passing(key, time.time())
    if known is None or not cache.flights.is_uncacheable(known.group):
        return None
    if cache.store.knows(known.group[0]):
        return None
    request[DEVICE] = key.device or ""
    return known


async def bypassing_response(
    request: web.BaseRequest, known: PassingRequest, runtime: Runtime, pool: UpstreamPool
) -> web.StreamResponse:
    """Ask the origin, and respond with what it sends.

    Raises UpstreamError.
    """
    context = _context_of(request, known, runtime)
    record(request, known)
    request[CACHE] = "miss"
    site = runtime.site(context)
    headers = upstream_request_headers(request, context, site.enforcement)
    with InterimResponses(request, context, runtime):
        sent = send_request(pool, request, site.upstream, headers, timeouts=runtime.timeouts)
        async with sent as upstream:
            received = response_headers(upstream.headers, upstream.version)
            known.holds = is_never_stored(received)
            origin = LiveResponse(upstream, received, may_share=True, passes_by=known.group)
            return await respond(request, context, origin, runtime)


def _context_of(
    request: web.BaseRequest, known: PassingRequest, runtime: Runtime
) -> RequestContext:
    """The context of this request. What is kept of it for later ones ends with this visitor's own
    choice, not with that of the visitor who came first.
    """
    context, fast_path = context_of(request, known.context), runtime.fast_path
    key = None if fast_path is None else fast_path_key(request, fast_path)
    if context is known.context or fast_path is None or key is None:
        return context
    return replace(context, choice_until=fast_path.choice_until(key))
