"""The way of a request: resolve it, answer it locally or fetch it, respond."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from aiohttp import ClientSession, web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict

from consent_rules.categories import Audience
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
from proxy.http.handler import Handler
from proxy.resolve import resolve, with_audience
from proxy.responses.respond import respond
from proxy.responses.stored import forward
from proxy.runtime import Runtime
from proxy.server.connection import FastPathLookup
from proxy.upstream.errors import UpstreamError
from proxy.upstream.interim import interim_relay
from proxy.upstream.request import answer_expectation, send_request
from proxy.upstream.tunnel import handshake_headers, is_upgrade

_log = logging.getLogger("consent_proxy.app")


def make_handler(
    current: Callable[[], Runtime], session: ClientSession, tunnels: ClientSession
) -> Handler:
    """The handler of all visitors' requests. `current` gives the configuration in force.

    `tunnels` is a pool without a bound, for connections that are upgraded and held for hours.
    """

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        runtime = current()
        context = resolve(request, runtime)  # site, page, visitor, decision
        if context is None:
            return error_response(request, 421)
        request[SITE] = context.site.name
        for local in _LOCAL:
            response = await local(request, context, runtime)
            if response is not None:
                response.headers.setdefault(CSP, OWN_REPLY_POLICY)
                return response
        try:
            with _interim_responses(request, context, runtime):
                if runtime.cache is None or is_upgrade(request) or is_service_worker(request):
                    return await _from_upstream(request, context, runtime, session, tunnels)
                headers = partial(_upstream_headers, request, context, runtime)
                return await forward(request, context, runtime, session, headers)
        except UpstreamError as error:
            where = f"{context.host}{context.logged_path}"
            _log.warning("%s %s: %s", request.method, where, error.reason)
            return error_response(request, error.status)

    return handle


def fast_path_lookup(current: Callable[[], Runtime]) -> FastPathLookup:
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


async def _consent_endpoint(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.StreamResponse | None:
    if not is_own_path(context.path, runtime.prefix):
        return None
    await answer_expectation(request)
    return await answer(request, context, runtime)


async def _click_id_redirect(
    request: web.BaseRequest, context: RequestContext, _: Runtime
) -> web.StreamResponse | None:
    return click_id_redirect(request, context)


async def _first_party_tracker(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.StreamResponse | None:
    blocked = block_first_party_tracker(
        request,
        context,
        runtime.site(context).boundary.index,
        lambda: with_audience(context, Audience.PATIENT, runtime).decision,
    )
    if blocked is not None:
        await answer_expectation(request)
    return blocked


_LOCAL = (_consent_endpoint, _click_id_redirect, _first_party_tracker)
"""What answers without the upstream, in this order; each gives None for what is not its own."""


@contextmanager
def _interim_responses(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> Iterator[None]:
    """Send the upstream's interim responses (1xx) on to the visitor, held to the decision."""
    site = runtime.site(context).enforcement
    request[ON_INTERIM] = interim_relay(
        request, lambda headers: enforce(headers, ResponseKind.INTERIM, context, site)
    )
    try:
        yield
    finally:
        # An idle connection still has its last request, and all that hangs on it.
        del request[ON_INTERIM]


async def _from_upstream(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    session: ClientSession,
    tunnels: ClientSession,
) -> web.StreamResponse:
    """Ask the upstream for this visitor alone, past the cache."""
    headers = _upstream_headers(request, context, runtime)
    upgrade = is_upgrade(request)
    async with send_request(
        tunnels if upgrade else session,
        request,
        runtime.site(context).upstream,
        handshake_headers(headers) if upgrade else headers,
        timeouts=runtime.timeouts,
        upgrade=upgrade,
    ) as upstream:
        return await respond(request, upstream, response_headers(upstream), context, runtime)


def _upstream_headers(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> CIMultiDict[str]:
    return upstream_request_headers(request, context, runtime.site(context).enforcement)
