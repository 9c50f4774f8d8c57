"""One request's way through the proxy, from the visitor to the upstream and back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import ClientSession, hdrs, web
from aiohttp.http import RawRequestMessage

from proxy.cache.fast_path import ReadyReply
from proxy.consent.router import answer, is_own_path
from proxy.context import Asking
from proxy.enforcement.first_party_trackers import nothing_of_a_closed_vendor
from proxy.enforcement.request_filter import click_id_redirect, upstream_request_headers
from proxy.http.access_record import SITE
from proxy.http.adapters.interim_connector import HEAR
from proxy.http.error_pages import error_response
from proxy.http.forwarding import response_headers
from proxy.http.media_types import is_service_worker
from proxy.resolve import read
from proxy.responses.respond import relay
from proxy.responses.stored import forward
from proxy.runtime import Running
from proxy.server.connection import Memory
from proxy.upstream.errors import UpstreamError
from proxy.upstream.interim import passing_on
from proxy.upstream.request import answer_expectation, ask
from proxy.upstream.timeouts import Timeouts
from proxy.upstream.tunnel import tunnel

_log = logging.getLogger("consent_proxy")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def make_handler(
    current: Callable[[], Running], session: ClientSession, tunnels: ClientSession
) -> Handler:
    """The handler of all visitors' requests. `current` gives the configuration in force.

    `tunnels` is a pool without a bound, for connections that are upgraded and held for hours.
    """

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        running = current()
        asking = read(request, running)
        if asking is None:
            return error_response(request, 421)
        request[SITE] = asking.site.rules.name
        if is_own_path(asking.path, running.prefix):
            await answer_expectation(request)
            return await answer(request, asking)
        cleaned = click_id_redirect(request, asking)
        if cleaned is not None:
            return cleaned
        nothing = nothing_of_a_closed_vendor(request, asking)
        if nothing is not None:
            await answer_expectation(request)
            return nothing
        try:
            return await _forward(request, asking, session, tunnels)
        except UpstreamError as error:
            _log.warning("%s %s%s: %s", request.method, asking.host, asking.path, error.reason)
            return error_response(request, error.status)

    return handle


def memory_of(current: Callable[[], Running]) -> Memory:
    """What is ready to be sent under the configuration in force."""

    def memory(
        message: RawRequestMessage, peer: str, secure: bool, now: float
    ) -> ReadyReply | None:
        ready = current().ready
        if ready is None:
            return None
        question = ready.question(message, peer, secure=secure)
        return None if question is None else ready.find(question, now)

    return memory


async def _forward(
    request: web.BaseRequest, asking: Asking, session: ClientSession, tunnels: ClientSession
) -> web.StreamResponse:
    request[HEAR] = passing_on(
        request, lambda url: asking.site.boundary.owner(url, asking.url) is not None
    )
    try:
        return await _from_memory_or_upstream(request, asking, session, tunnels)
    finally:
        del request[HEAR]  # an idle connection still has its last request, and all that hangs on it


async def _from_memory_or_upstream(
    request: web.BaseRequest, asking: Asking, session: ClientSession, tunnels: ClientSession
) -> web.StreamResponse:
    running = asking.running
    proxy = running.config.proxy
    timeouts = Timeouts(connect=proxy.upstream_connect_timeout, first_byte=proxy.upstream_timeout)
    for_all = hdrs.UPGRADE not in request.headers and not is_service_worker(request)
    if running.cache is not None and for_all:
        headers_when_needed = partial(upstream_request_headers, request, asking)
        return await forward(request, asking, session, headers_when_needed, timeouts)
    headers = upstream_request_headers(request, asking)
    if hdrs.UPGRADE in request.headers and "websocket" in request.headers[hdrs.UPGRADE].lower():
        return await tunnel(tunnels, request, asking.site.upstream, headers, timeouts=timeouts)
    async with ask(session, request, asking.site.upstream, headers, timeouts=timeouts) as upstream:
        return await relay(request, upstream, response_headers(upstream), asking, timeouts)
