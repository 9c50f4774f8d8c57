"""One request's way through the proxy, from the visitor to the upstream and back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import ClientSession, web
from aiohttp.http import RawRequestMessage

from proxy.cache.fast_path import FastPathEntry
from proxy.consent.router import answer, is_own_path
from proxy.context import RequestContext
from proxy.enforcement.csp import CSP, OWN_REPLY_POLICY
from proxy.enforcement.first_party_trackers import block_first_party_tracker
from proxy.enforcement.request_filter import click_id_redirect, upstream_request_headers
from proxy.enforcement.response_filter import ResponseKind, enforce
from proxy.http.access_record import SITE
from proxy.http.adapters.interim_connector import ON_INTERIM
from proxy.http.error_pages import error_response
from proxy.http.fetch_metadata import is_service_worker
from proxy.http.forwarding import response_headers
from proxy.resolve import read
from proxy.responses.respond import respond
from proxy.responses.stored import forward
from proxy.runtime import Runtime
from proxy.server.connection import Memory
from proxy.upstream.errors import UpstreamError
from proxy.upstream.interim import interim_relay
from proxy.upstream.request import answer_expectation, ask
from proxy.upstream.tunnel import handshake_headers, is_upgrade

_log = logging.getLogger("consent_proxy.app")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def make_handler(
    current: Callable[[], Runtime], session: ClientSession, tunnels: ClientSession
) -> Handler:
    """The handler of all visitors' requests. `current` gives the configuration in force.

    `tunnels` is a pool without a bound, for connections that are upgraded and held for hours.
    """

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        runtime = current()
        context = read(request, runtime)
        if context is None:
            return error_response(request, 421)
        request[SITE] = context.site.rules.name
        local = await _local_response(request, context)
        if local is not None:
            local.headers.setdefault(CSP, OWN_REPLY_POLICY)
            return local
        try:
            return await _forward(request, context, session, tunnels)
        except UpstreamError as error:
            _log.warning(
                "%s %s%s: %s", request.method, context.host, context.logged_path, error.reason
            )
            return error_response(request, error.status)

    return handle


def memory_of(current: Callable[[], Runtime]) -> Memory:
    """What is ready to be sent under the configuration in force."""

    def memory(
        message: RawRequestMessage, peer: str, secure: bool, now: float
    ) -> FastPathEntry | None:
        ready = current().fast_path
        if ready is None:
            return None
        question = ready.question(message, peer, secure=secure)
        return None if question is None else ready.find(question, now)

    return memory


async def _local_response(
    request: web.BaseRequest, context: RequestContext
) -> web.StreamResponse | None:
    """The response to what the upstream is not asked for."""
    if is_own_path(context.path, context.runtime.prefix):
        await answer_expectation(request)
        return await answer(request, context)
    cleaned = click_id_redirect(request, context)
    if cleaned is not None:
        return cleaned
    blocked = block_first_party_tracker(request, context)
    if blocked is not None:
        await answer_expectation(request)
    return blocked


async def _forward(
    request: web.BaseRequest,
    context: RequestContext,
    session: ClientSession,
    tunnels: ClientSession,
) -> web.StreamResponse:
    request[ON_INTERIM] = interim_relay(
        request, lambda headers: enforce(headers, ResponseKind.INTERIM, context)
    )
    try:
        return await _from_memory_or_upstream(request, context, session, tunnels)
    finally:
        del request[
            ON_INTERIM
        ]  # an idle connection still has its last request, and all that hangs on it


async def _from_memory_or_upstream(
    request: web.BaseRequest,
    context: RequestContext,
    session: ClientSession,
    tunnels: ClientSession,
) -> web.StreamResponse:
    runtime = context.runtime
    timeouts = runtime.timeouts
    upgrade = is_upgrade(request)
    if runtime.cache is not None and not upgrade and not is_service_worker(request):
        headers_when_needed = partial(upstream_request_headers, request, context)
        return await forward(request, context, session, headers_when_needed, timeouts)
    headers = upstream_request_headers(request, context)
    if upgrade:
        headers = handshake_headers(headers)
    pool = tunnels if upgrade else session
    async with ask(
        pool, request, context.site.upstream, headers, timeouts=timeouts, upgrade=upgrade
    ) as upstream:
        return await respond(request, upstream, response_headers(upstream), context, timeouts)
