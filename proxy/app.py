"""One request's way through the proxy, from the visitor to the upstream and back."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import ClientSession, hdrs, web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.matching.click_ids import without_click_ids
from proxy.cache.fast_path import ReadyReply
from proxy.consent.router import answer, is_own_path
from proxy.context import Asking, read
from proxy.cookies.cookie_header import without_closed
from proxy.cookies.wp_consent import truthful, wp_cookies
from proxy.enforcement.browser_headers import REFERRER_POLICY
from proxy.enforcement.first_party_trackers import nothing_of_a_closed_vendor
from proxy.http.access_record import SITE
from proxy.http.adapters.interim_connector import HEAR
from proxy.http.content_coding import asked_of_upstream
from proxy.http.error_pages import error_response
from proxy.http.forwarding import request_headers, response_headers
from proxy.rendering.variants import is_own_etag
from proxy.responses.page import PAGE_DESTINATIONS, cookie_openings
from proxy.responses.respond import relay
from proxy.responses.service_worker import is_service_worker
from proxy.responses.stored import forward
from proxy.runtime import Running
from proxy.server.connection import Memory
from proxy.upstream.interim import passing_on
from proxy.upstream.request import Timeouts, UpstreamError, answer_expectation, ask
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
        cleaned = _without_click_ids(request, asking)
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


def _without_click_ids(request: web.BaseRequest, asking: Asking) -> web.Response | None:
    """The redirect that takes click identifiers off a patient page's address, if it has any."""
    if asking.context.audience is not Audience.PATIENT or request.method not in {"GET", "HEAD"}:
        return None
    if request.headers.get("Sec-Fetch-Dest", "document") not in {"document", "iframe", "frame"}:
        return None
    target = without_click_ids(asking.target)
    if target is None:
        return None
    # The other slashes would make it the address of another host.
    there = "/" + target.lstrip("/\\")
    headers = {hdrs.LOCATION: there, hdrs.CACHE_CONTROL: "no-store", REFERRER_POLICY: "no-referrer"}
    return web.Response(status=302, headers=headers)


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
        headers_when_needed = partial(_upstream_headers, request, asking)
        return await forward(request, asking, session, headers_when_needed, timeouts)
    headers = _upstream_headers(request, asking)
    if hdrs.UPGRADE in request.headers and "websocket" in request.headers[hdrs.UPGRADE].lower():
        return await tunnel(tunnels, request, asking.site.upstream, headers, timeouts=timeouts)
    async with ask(session, request, asking.site.upstream, headers, timeouts=timeouts) as upstream:
        return await relay(request, upstream, response_headers(upstream), asking, timeouts)


def _upstream_headers(request: web.BaseRequest, asking: Asking) -> CIMultiDict[str]:
    headers = request_headers(
        request,
        peer_is_trusted=asking.trusted,
        host=None if asking.site.rules.preserve_host else asking.site.upstream.authority,
        vouched=asking.running.vouched(),
    )
    if asking.decision.enforce and asking.cookie_header:
        openings = cookie_openings(asking, asking.decision)
        kept, closed = without_closed(asking.cookie_header, asking.running.cookies, openings)
        if closed:
            headers.popall(hdrs.COOKIE, None)
            if kept:
                headers[hdrs.COOKIE] = kept
    if asking.running.config.signals.wp_consent_cookies and asking.decision.enforce:
        sent = headers.popall(hdrs.COOKIE, [])
        told = wp_cookies(asking.visitor.preferences, asking.decision)
        if kept := truthful("; ".join(sent), told):
            headers[hdrs.COOKIE] = kept
    headers[hdrs.ACCEPT_ENCODING] = asked_of_upstream(
        ", ".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
    )
    if is_service_worker(request):
        headers[hdrs.ACCEPT_ENCODING] = "identity"
    if _asks_for_page(request) or is_service_worker(request):
        # A part of a page cannot be gated; and "not modified" would leave the visitor with a page
        # written for an earlier choice, or by the origin before there was a proxy.
        for name in (
            hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE,
        ):  # fmt: skip
            headers.popall(name, None)
    return headers


def _asks_for_page(request: web.BaseRequest) -> bool:
    if request.headers.get("Sec-Fetch-Dest", "") in PAGE_DESTINATIONS:
        return True
    return any(map(is_own_etag, request.headers.getall(hdrs.IF_NONE_MATCH, ())))
