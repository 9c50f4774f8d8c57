"""A finished response that the origin only has to confirm: the short way of a revalidated one.

The origin is asked as on the full path, and with the same fields. Where its 304 says what the last
one said, all that the full path would find out is known, and the bytes are ready. Whatever else it
says goes to the full path, as the answer to the same question.
"""

from __future__ import annotations

import time
from dataclasses import replace

from aiohttp import web

from proxy.cache.confirmation import confirmation_of, renew
from proxy.cache.fast_path import ConfirmedReply
from proxy.cache.fetch import validating
from proxy.cache.in_hand import IN_HAND, InHand
from proxy.context import RequestContext
from proxy.enforcement.request_filter import upstream_request_headers
from proxy.http.access_record import (
    CACHE,
    DEVICE,
    LOGGED_PATH,
    PAGE,
    REQUEST_ID,
    SITE,
    UNREADABLE_CHOICE,
)
from proxy.http.adapters.writer import WrittenResponse
from proxy.http.forwarding import response_headers
from proxy.origin import InterimResponses
from proxy.runtime import Runtime
from proxy.server.connection import ProxyRequest
from proxy.upstream.exchange import UpstreamResponse
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.request import send_request


def ready_to_confirm(request: web.BaseRequest, runtime: Runtime) -> ConfirmedReply | None:
    """The finished response to a request, which the origin has to confirm. None for most."""
    fast_path = runtime.fast_path
    if fast_path is None or not isinstance(request, ProxyRequest):
        return None
    key = fast_path.key_of(request.message, request.remote or "", secure=request.secure)
    ready = None if key is None else fast_path.find_to_confirm(key, time.time())
    if key is not None and ready is not None:
        request[DEVICE] = key.device or ""
    return ready


async def confirmed_response(
    request: web.BaseRequest, ready: ConfirmedReply, runtime: Runtime, pool: UpstreamPool
) -> web.StreamResponse | None:
    """Ask the origin, and send the response if it is confirmed. None where the full path is to go
    on, with the origin's response in hand.

    Raises UpstreamError.
    """
    context = _context_of(request, ready)
    site = runtime.site(context)
    _record(request, ready)
    headers = validating(upstream_request_headers(request, context, site.enforcement), ready.entry)
    asked = time.time(), time.monotonic()
    with InterimResponses(request, context, runtime):
        opened = send_request(pool, request, site.upstream, headers, timeouts=runtime.timeouts)
        upstream = await opened.__aenter__()
    if not _is_confirmed(request, ready, runtime, upstream, asked):
        request[IN_HAND] = InHand(headers, upstream, opened, asked)
        return None
    await opened.__aexit__(None, None, None)
    request[CACHE] = "stale"
    if ready.page is not None:
        request[PAGE] = ready.page
    head = ready.confirmed_head(time.time(), request[REQUEST_ID])
    return await WrittenResponse(status=ready.status).send(request, head, ready.body)


def _context_of(request: web.BaseRequest, ready: ConfirmedReply) -> RequestContext:
    """The context of this request, as far as the upstream's fields depend on it."""
    context = ready.context
    cookies = "; ".join(request.headers.getall("Cookie", ()))
    return context if cookies == context.cookie_header else replace(context, cookie_header=cookies)


def _record(request: web.BaseRequest, ready: ConfirmedReply) -> None:
    request[SITE] = ready.site
    if ready.unreadable_choice:
        request[UNREADABLE_CHOICE] = ready.unreadable_choice
    if ready.logged_path:
        request[LOGGED_PATH] = ready.logged_path


def _is_confirmed(
    request: web.BaseRequest,
    ready: ConfirmedReply,
    runtime: Runtime,
    upstream: UpstreamResponse,
    asked: tuple[float, float],
) -> bool:
    """Whether the origin confirmed the entry and this connection stays; the entry is renewed."""
    if upstream.status != 304 or not request.keep_alive or runtime.cache is None:
        return False
    headers = response_headers(upstream.headers, upstream.version)
    said = confirmation_of(headers)
    return renew(runtime.cache.store, ready.entry, said, headers, asked, time.time())
