"""A finished response that the origin only has to confirm: by a 304, or by sending the same again.

The origin is asked as on the full path, and with the same fields. Where its 304 has the fields of
the last one, or the page comes with the same fields and bytes, all that the full path would find
out is known, and the response is ready. Whatever else it answers goes to the full path, in hand.
"""

from __future__ import annotations

import time
from dataclasses import replace

from aiohttp import web

from proxy.cache import LiveResponse
from proxy.cache.confirmation import confirmation_of, renew
from proxy.cache.fast_path import ConfirmedReply
from proxy.cache.fetch import validating
from proxy.cache.in_hand import IN_HAND, InHand
from proxy.cache.passing import PassingRequest
from proxy.cache.repeated import RepeatedReply
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
from proxy.responses.page_reader import read_page
from proxy.runtime import Runtime
from proxy.server.fast_path_key import fast_path_key
from proxy.upstream.exchange import UpstreamResponse
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.request import send_request

Ready = ConfirmedReply | RepeatedReply


def ready_to_confirm(request: web.BaseRequest, runtime: Runtime) -> Ready | None:
    """The finished response to a request, which the origin has to confirm. None for most."""
    fast_path = runtime.fast_path
    if fast_path is None:
        return None
    key = fast_path_key(request, fast_path)
    if key is None:
        return None
    now = time.time()
    ready = fast_path.find_to_confirm(key, now) or fast_path.find_repeated(key, now)
    if ready is not None:
        request[DEVICE] = key.device or ""
    return ready


async def confirmed_response(
    request: web.BaseRequest, ready: Ready, runtime: Runtime, pool: UpstreamPool
) -> web.StreamResponse | None:
    """Ask the origin, and send the response if it is confirmed. None where the full path is to go
    on, with the origin's response in hand.

    Raises UpstreamError.
    """
    context = context_of(request, ready.context)
    site = runtime.site(context)
    record(request, ready)
    if isinstance(ready, RepeatedReply):
        request[CACHE] = ready.cache
    headers = upstream_request_headers(request, context, site.enforcement)
    if isinstance(ready, ConfirmedReply):
        headers = validating(headers, ready.entry)
    asked = time.time(), time.monotonic()
    with InterimResponses(request, context, runtime):
        opened = send_request(pool, request, site.upstream, headers, timeouts=runtime.timeouts)
        upstream = await opened.__aenter__()
    try:
        head = await _head_if_confirmed(request, ready, context, runtime, upstream, asked)
    except BaseException as error:
        await opened.__aexit__(type(error), error, error.__traceback__)
        raise
    if head is None:
        request[IN_HAND] = InHand(headers, upstream, opened, asked)
        return None
    await opened.__aexit__(None, None, None)
    request[CACHE] = _cache_word(ready)
    if ready.page is not None:
        request[PAGE] = ready.page
    return await WrittenResponse(status=ready.status).send(request, head, ready.body)


async def _head_if_confirmed(
    request: web.BaseRequest,
    ready: Ready,
    context: RequestContext,
    runtime: Runtime,
    upstream: UpstreamResponse,
    asked: tuple[float, float],
) -> bytes | None:
    """The head to send; None where the upstream's response is not the one that is awaited."""
    if not request.keep_alive or runtime.cache is None:
        return None
    headers = response_headers(upstream.headers, upstream.version)
    confirmation, name = confirmation_of(headers), request[REQUEST_ID]
    if isinstance(ready, ConfirmedReply):
        now = time.time()
        renewed = upstream.status == 304 and renew(
            runtime.cache.store, ready.entry, confirmation, headers, asked, now
        )
        return ready.confirmed_head(now, name) if renewed else None
    if upstream.status != 200 or confirmation != ready.confirmation or "Date" not in headers:
        return None
    read = await read_page(LiveResponse(upstream, headers), context, runtime)
    if read.whole and read.body == ready.origin_body and request.keep_alive:
        return ready.head_for(headers["Date"], name)
    upstream.begun = read.body
    return None


def _cache_word(ready: Ready) -> str:
    """Why the request was sent on, as the cache says it."""
    return "stale" if isinstance(ready, ConfirmedReply) else ready.cache


def context_of(request: web.BaseRequest, context: RequestContext) -> RequestContext:
    """The context of this request, made of one of its class."""
    cookies = "; ".join(request.headers.getall("Cookie", ()))
    return context if cookies == context.cookie_header else replace(context, cookie_header=cookies)


def record(request: web.BaseRequest, ready: Ready | PassingRequest) -> None:
    """Note for logs and metrics whose a request is that is not resolved."""
    request[SITE] = ready.site
    if ready.unreadable_choice:
        request[UNREADABLE_CHOICE] = ready.unreadable_choice
    if not isinstance(ready, PassingRequest) and ready.logged_path:
        request[LOGGED_PATH] = ready.logged_path
