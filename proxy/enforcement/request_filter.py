"""Request headers to the upstream, and the redirect that drops click identifiers."""

from __future__ import annotations

from collections.abc import Hashable

from aiohttp import hdrs, web
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.matching.click_ids import without_click_ids
from proxy.context import RequestContext
from proxy.cookies.vendor_cookies import without_closed_cookies
from proxy.cookies.wp_consent import with_wp_cookies, wp_cookies
from proxy.enforcement.browser_headers import REFERRER_POLICY, replace_values
from proxy.enforcement.consent_header import CONSENT_HEADER
from proxy.enforcement.response_filter import cookie_openings
from proxy.enforcement.site import SiteEnforcement
from proxy.http.content_coding import upstream_accept_encoding
from proxy.http.fetch_metadata import (
    PAGE_DESTINATIONS,
    destination,
    is_service_worker,
    may_become_page,
)
from proxy.http.forwarding import request_headers
from proxy.http.media_types import without_signed_exchange
from proxy.http.representation import is_own_etag, remove_fields


def click_id_redirect(request: web.BaseRequest, context: RequestContext) -> web.Response | None:
    """The redirect that takes click identifiers off a patient page's address, if it has any."""
    if context.page_context.audience is not Audience.PATIENT or request.method not in {
        "GET",
        "HEAD",
    }:
        return None
    if request.headers.get("Sec-Fetch-Dest", "document") not in {"document", "iframe", "frame"}:
        return None
    target = without_click_ids(context.target)
    if target is None:
        return None
    # The other slashes would make it the address of another host.
    there = "/" + target.lstrip("/\\")
    headers = {hdrs.LOCATION: there, hdrs.CACHE_CONTROL: "no-store", REFERRER_POLICY: "no-referrer"}
    return web.Response(status=302, headers=headers)


def upstream_request_headers(
    request: web.BaseRequest, context: RequestContext, site: SiteEnforcement
) -> CIMultiDict[str]:
    """The header fields of the upstream request, without what the decision closes."""
    headers = request_headers(
        request,
        peer_is_trusted=context.peer_is_trusted,
        host=site.upstream_host,
        trusted_headers=site.trusted_headers,
    )
    if context.decision.enforce and context.cookie_header:
        openings = cookie_openings(context, context.decision)
        remaining, closed = without_closed_cookies(context.cookie_header, site.cookies, openings)
        if closed:
            headers.popall(hdrs.COOKIE, None)
            if remaining:
                headers[hdrs.COOKIE] = remaining
    if site.wp_consent_cookies and context.decision.enforce:
        sent = headers.popall(hdrs.COOKIE, [])
        consent_cookies = wp_cookies(context.visitor.preferences, context.decision)
        if remaining := with_wp_cookies("; ".join(sent), consent_cookies):
            headers[hdrs.COOKIE] = remaining
    if context.consent_header:
        headers[CONSENT_HEADER] = context.consent_header
    if context.decision.enforce:
        accepted = headers.getall(hdrs.ACCEPT, [])
        left = [without_signed_exchange(value) for value in accepted]
        if left != accepted:
            replace_values(headers, hdrs.ACCEPT, [value for value in left if value])
    headers[hdrs.ACCEPT_ENCODING] = upstream_accept_encoding(
        ", ".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
    )
    if is_service_worker(request):
        headers[hdrs.ACCEPT_ENCODING] = "identity"
    needs_whole = _needs_whole_response(request)
    if needs_whole:
        remove_fields(headers, (hdrs.RANGE, hdrs.IF_RANGE))
    if needs_whole or may_become_page(request):
        remove_fields(headers, (hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE))
    return headers


def fields_depend_on(context: RequestContext) -> Hashable:
    """What `upstream_request_headers` reads of a context, beside what follows from the visitor's
    own fields and address: two requests with equal ones are sent on alike. Not so where a site
    gets cookies of ours.
    """
    decision = context.decision
    openings = cookie_openings(context, decision) if decision.enforce else None
    return context.site.name, openings, context.consent_header


def _needs_whole_response(request: web.BaseRequest) -> bool:
    """Whether the request must be sent upstream without conditions and ranges.

    A part of a page cannot be gated, and a 304 would leave the visitor with a page rendered for an
    earlier choice, or by the origin before there was a proxy. A part of what only may be a page has
    a policy under which no third party acts: video players need ranges.
    """
    if hdrs.UPGRADE in request.headers or is_service_worker(request):
        return True
    if destination(request) in PAGE_DESTINATIONS:
        return True
    return any(map(is_own_etag, request.headers.getall(hdrs.IF_NONE_MATCH, ())))
