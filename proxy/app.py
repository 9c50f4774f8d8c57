"""The way of a request: resolve it, answer it locally or fetch it, respond."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDictProxy

from consent_rules.categories import Audience
from proxy.banner.error_words import unavailable_words
from proxy.cache import NotStoredError
from proxy.cache.fast_path import FastPathHit, FastPathKey, KnownHit
from proxy.cache.in_hand import drop_in_hand
from proxy.consent.router import answer, is_own_path
from proxy.context import RequestContext
from proxy.enforcement.csp import CSP, OWN_REPLY_POLICY
from proxy.enforcement.first_party_trackers import block_first_party_tracker
from proxy.enforcement.request_filter import click_id_redirect
from proxy.enforcement.response_filter import ResponseKind, enforce
from proxy.http.access_record import LOGGED_PATH, REQUEST_ID, SITE
from proxy.http.addresses import client_address
from proxy.http.client_requests import ClientRequests
from proxy.http.error_pages import error_response
from proxy.http.handler import Handler
from proxy.http.request_id import RequestIdOf, request_id_of
from proxy.origin import InterimResponses, Pools, origin_response
from proxy.passing import bypassing_response, find_passing
from proxy.relaying import FileRelay, find_relay
from proxy.resolve import resolve, set_logged_path, with_audience
from proxy.responses.passing import add_passing_request
from proxy.responses.respond import respond
from proxy.revalidation import confirmed_response, context_of, ready_to_confirm
from proxy.runtime import Runtime
from proxy.server.connection import FastPathLookup, FinishedLookup
from proxy.tracebacks import drop_frames
from proxy.upstream.errors import UpstreamError
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.request import answer_expectation

_log = logging.getLogger("consent_proxy.app")

_MAINTENANCE_SECONDS = "60"
"""After which a crawler or client of a site in maintenance may ask again."""


def make_handler(
    current: Callable[[], Runtime], requests: UpstreamPool, tunnels: UpstreamPool
) -> Handler:
    """The handler of all visitors' requests.

    `current` returns the configuration in force. `tunnels` are connections apart: an upgraded one
    is held for hours.
    """
    pools = Pools(requests, tunnels)
    clients = ClientRequests()

    async def limited(request: web.BaseRequest) -> web.StreamResponse:
        runtime = current()
        most = runtime.config.proxy.client_requests
        address = client_address(request, runtime.trusted) if most else ""
        if not address:  # no limit, or a peer of a Unix socket that names nobody
            return await handle(request)
        client = clients.enter(address, most)
        if client is None:
            return error_response(request, 429, request.get(REQUEST_ID, ""))
        try:
            return await handle(request)
        finally:
            clients.leave(client)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        runtime = current()
        ready = ready_to_confirm(request, runtime)
        passing = find_passing(request, runtime) if ready is None else None
        try:
            if ready is not None:
                confirmed = await confirmed_response(request, ready, runtime, requests)
                return confirmed or await handle_in_full(request, runtime)
            if passing is not None:
                return await bypassing_response(request, passing, runtime, requests)
            return await handle_in_full(request, runtime)
        except UpstreamError as error:
            known = ready or passing
            if known is None:
                raise
            return _failed(request, context_of(request, known.context), runtime, error)
        finally:
            await drop_in_hand(request)

    async def handle_in_full(request: web.BaseRequest, runtime: Runtime) -> web.StreamResponse:
        context = resolve(request, runtime)  # site, page, visitor, decision
        if context is None:
            return error_response(request, 421)
        request[SITE] = context.site.name
        set_logged_path(request, context)
        for local in _LOCAL:  # consent endpoints, click-id redirect, first-party trackers
            if (response := await local(request, context, runtime)) is not None:
                return _own_reply(response)
        if runtime.site(context).in_maintenance:
            return _maintenance(request, context, runtime)
        try:
            with InterimResponses(request, context, runtime):
                async with origin_response(request, context, runtime, pools) as origin:
                    add_passing_request(request, context, origin, runtime)
                    return await respond(request, context, origin, runtime)
        except NotStoredError:
            return _unavailable(request, context, runtime, 504)
        except UpstreamError as error:
            return _failed(request, context, runtime, error)

    return limited


def _failed(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, error: UpstreamError
) -> web.Response:
    _log_failure(request, context, error)
    drop_frames(error)
    return _unavailable(request, context, runtime, error.status)


def _unavailable(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, status: int
) -> web.Response:
    """The page of a failed upstream, in the visitor's language: the site's own one, or ours. Of a
    bad request the usual one.
    """
    if status < 500:
        return error_response(request, status, request.get(REQUEST_ID, ""))
    site, reference = runtime.site(context), request.get(REQUEST_ID, "")
    texts = runtime.wording.texts_for(None, request.headers.get("Accept-Language", ""))
    own = site.maintenance_page
    page = None if own is None else own.written(texts.lang, reference)
    response = error_response(request, status, reference, unavailable_words(texts), page)
    enforce(response.headers, ResponseKind.UNGATED_PAGE, context, site.enforcement)
    return response


def _maintenance(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.Response:
    """Every page of a site in maintenance. Its preferences are still there."""
    response = _unavailable(request, context, runtime, 503)
    response.headers[hdrs.RETRY_AFTER] = _MAINTENANCE_SECONDS
    return response


def _own_reply(response: web.StreamResponse) -> web.StreamResponse:
    response.headers.setdefault(CSP, OWN_REPLY_POLICY)
    return response


def _log_failure(request: web.BaseRequest, context: RequestContext, error: UpstreamError) -> None:
    where = f"{context.host}{request.get(LOGGED_PATH, context.path)}"
    _log.warning(
        "%s %s: %s (reference %s)", request.method, where, error.reason, request.get(REQUEST_ID, "")
    )


def fast_path_lookup(current: Callable[[], Runtime]) -> FinishedLookup:
    """The lookup of finished responses under the configuration in force."""

    def lookup(
        message: RawRequestMessage, peer: str, secure: bool, now: float
    ) -> FastPathHit | None:
        fast_path = current().fast_path
        if fast_path is None:
            return None
        key = fast_path.key_of(message, peer, secure=secure)
        if key is None:
            return None
        reply = fast_path.find(*key, now)
        return None if reply is None else (reply, key)

    return lookup


def relaying_lookup(current: Callable[[], Runtime], pool: UpstreamPool) -> FastPathLookup:
    """The same, and known files are relayed, by connections of a pool."""

    def lookup(
        message: RawRequestMessage, peer: str, secure: bool, now: float
    ) -> FastPathHit | FileRelay | None:
        runtime = current()
        fast_path = runtime.fast_path
        if fast_path is None:
            return None
        key = fast_path.key_of(message, peer, secure=secure)
        if key is None:
            return None
        reply = fast_path.find(*key, now)
        if reply is not None:
            return reply, key
        return find_relay(fast_path, key, message, peer, runtime, pool, secure=secure, now=now)

    return lookup


class KnownRequests:
    """The same for requests that need not be parsed: a `proxy.server.connection.KnownRequests`."""

    def __init__(self, current: Callable[[], Runtime]) -> None:
        self._current = current

    def find(self, data: bytes, peer: str, secure: bool, now: float) -> KnownHit | None:
        fast_path = self._current().fast_path
        return None if fast_path is None else fast_path.find_known(data, peer, secure, now)

    def add(
        self, data: bytes, message: RawRequestMessage, key: FastPathKey, peer: str, secure: bool
    ) -> None:
        fast_path = self._current().fast_path
        if fast_path is not None:
            fast_path.add_known(data, message, key, peer, secure)


def request_ids(current: Callable[[], Runtime]) -> RequestIdOf:
    """The identifiers of requests: those that the trusted peers of the configuration gave."""

    def id_of(headers: CIMultiDictProxy[str], peer: str) -> str:
        return request_id_of(headers, peer, current().trusted)

    return id_of


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
"""Local handlers, in this order; each returns None for a request that is not its own."""
