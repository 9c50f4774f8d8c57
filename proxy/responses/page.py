"""An upstream's page -> the visitor's page: read, compile, decide, render, reply."""

from __future__ import annotations

import logging
from dataclasses import replace

from aiohttp import ClientResponse, web
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.decision import Decision
from consent_rules.signals.gpp import sections_for
from proxy.banner.declaration import vendors_on
from proxy.banner.texts import Texts
from proxy.context import RequestContext
from proxy.enforcement.csp import OwnAssets, amend, own_endpoints
from proxy.enforcement.response_filter import (
    CSP,
    CSP_REPORT_ONLY,
    add_policy,
    finish_headers,
    marked_decision,
)
from proxy.enforcement.shared_caching import remove_cdn_directives, vary
from proxy.html import Page
from proxy.html.source import charset_of_content_type
from proxy.http.access_record import PAGE
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.content_coding import negotiated
from proxy.http.media_types import EMBEDDED_DESTINATIONS, UNTYPED, media_type
from proxy.rendering.injected_markup import Injection
from proxy.rendering.variants import Variant, variant_key, write_variant
from proxy.responses.page_reader import PageRead, page_audience, read_page
from proxy.responses.stream import stream
from proxy.upstream.timeouts import Timeouts

_log = logging.getLogger("consent_proxy.pages")

# What describes the origin's bytes does not describe ours.
_VALIDATORS = ("ETag", "Last-Modified", "Accept-Ranges", "Expires", "Age", "Pragma")
_ORIGIN_ONLY = (
    "Content-Length", "Content-Encoding", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest",
    *_VALIDATORS,
)  # fmt: skip


async def page_reply(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    context: RequestContext,
    timeouts: Timeouts,
    got: PageRead | None = None,
) -> web.StreamResponse:
    """Rewrite a page for the visitor. `headers` are the upstream's, forwarding rules applied; `got`
    is the page if it was read already.
    """
    status = upstream.status
    decision = marked_decision(headers, context)
    if request.method == "HEAD":
        _keep_private(headers)
        for name in _ORIGIN_ONLY:
            headers.popall(name, None)
        finish_headers(headers, context, decision, is_document=True)
        add_policy(headers, context, decision)
        return await stream(request, upstream, headers, status, timeouts=timeouts)
    if got is None:
        got = await read_page(upstream, headers, context, timeouts)
    already = got.read.body
    if not got.is_html:
        finish_headers(headers, context, decision, is_document=False)
        # Whatever a browser still takes it for.
        add_policy(headers, context, decision, alone=True)
        return await stream(
            request, upstream, headers, status, already_read=already, timeouts=timeouts
        )
    if got.page is None:
        _log.warning(
            "%s%s cannot be gated (%s): sent with a policy that lets no third party act",
            context.site.rules.name, context.path, got.why,
        )  # fmt: skip
        _keep_private(headers)
        finish_headers(headers, context, decision, is_document=True)
        for name in _VALIDATORS:
            headers.popall(name, None)
        add_policy(headers, context, decision, alone=True)
        return await stream(
            request, upstream, headers, status, already_read=already, timeouts=timeouts
        )
    return await send_page(request, got.page, headers, status, context, decision)


def injection_for(
    request: web.BaseRequest, page: Page, context: RequestContext, decision: Decision
) -> Injection:
    """How much of our own goes into a page for this request."""
    injection = _injection(request, page)
    runtime = context.runtime
    if runtime.tells_gpp and decision.audience is Audience.MARKETING:
        sections = sections_for(runtime.config.signals.gpp, context.visitor.region)
        injection = replace(injection, gpp=sections)
    if context.has_saved_form and injection.visible and decision.audience is Audience.MARKETING:
        injection = replace(injection, kept=True)
    if page.has_base:
        injection = replace(injection, origin=f"//{context.authority}")
    if page.declaration_at:
        declared = vendors_on(context.site.rules, context.page_context.today)
        injection = replace(injection, declared=declared)
    return injection


def _injection(request: web.BaseRequest, page: Page) -> Injection:
    destination = request.headers.get("Sec-Fetch-Dest", "")
    if destination == "document":
        return Injection()
    if destination in EMBEDDED_DESTINATIONS:
        # The page around it carries the banner.
        return Injection(visible=False)
    # Fetched by a script: a whole page may be put in place of the present one, a part of one is
    # the site's own business.
    return Injection() if page.is_document else Injection(signals=False, visible=False)


def _variant(
    request: web.BaseRequest, page: Page, context: RequestContext, decision: Decision, texts: Texts
) -> Variant:
    runtime = context.runtime
    injection = injection_for(request, page, context, decision)
    # Where the browser will not tell where a visitor came from, the form must.
    return_to = context.target if decision.audience is Audience.PATIENT else ""
    key = (id(page), variant_key(page, decision, texts, injection, return_to))
    known = runtime.variants.get(key)
    if known is None or known.page is not page:
        known = write_variant(
            page,
            context.site.rules,
            runtime.rules,
            runtime.config,
            runtime.theme,
            decision,
            texts,
            injection,
            return_to,
            runtime.markup,
        )
        if not page.passing:
            runtime.variants.put(key, known)
    return known


async def send_page(
    request: web.BaseRequest,
    page: Page,
    headers: CIMultiDict[str],
    status: int,
    context: RequestContext,
    decision: Decision,
) -> ProxyResponse:
    """Send a page as the visitor may see it. `decision` is the one by the page's headers."""
    if decision.audience is not Audience.PATIENT:
        decision = context.marked(page_audience(page, context))[1]
    accept_language = request.headers.get("Accept-Language", "")
    texts = context.runtime.wording.texts_for(page.language, accept_language)
    variant = _variant(request, page, context, decision, texts)
    request[PAGE] = variant.counted
    body, coding = variant.coded(negotiated(request.headers.get("Accept-Encoding", "")))
    stored, policy = page_headers(headers, page, variant.own, context, decision)
    if status == 200 and stored:
        # What the page may do belongs to what the visitor holds: not every browser takes the
        # policy of a 304 for that of the page it kept.
        etag = headers["ETag"] = variant.etag_with(policy, coding)
        asked = request.headers.getall("If-None-Match", ())
        if request.method == "GET" and any(etag in value for value in asked):
            return await ProxyResponse(status=304, headers=headers).send(request, b"")
    if coding:
        headers["Content-Encoding"] = coding
    headers["Content-Length"] = str(len(body))
    response = ProxyResponse(status=status, headers=headers)
    return await response.send(request, b"" if request.method == "HEAD" else body)


def page_headers(
    headers: CIMultiDict[str],
    page: Page,
    own: OwnAssets,
    context: RequestContext,
    decision: Decision,
    *,
    alone: bool = False,
) -> tuple[bool, str]:
    """Make the origin's headers those of a page that we wrote. Returns whether a browser may store
    it, and our policy; `alone`: the policy lets no third party act.
    """
    stored = _keep_private(headers)
    for name in _ORIGIN_ONLY:
        headers.popall(name, None)
    finish_headers(headers, context, decision, is_document=True)
    _amend_origin_policies(headers, own, context)
    policy = add_policy(headers, context, decision, alone=alone)
    _set_type(headers, page)
    return stored, policy


def _amend_origin_policies(
    headers: CIMultiDict[str], own: OwnAssets, context: RequestContext
) -> None:
    endpoints = own_endpoints(context.authority, context.runtime.prefix)
    for name in (CSP, CSP_REPORT_ONLY):
        if name in headers:
            for value in headers.popall(name):
                headers.add(name, amend(value, own, endpoints))


def _keep_private(headers: CIMultiDict[str]) -> bool:
    """Keep one visitor's page from another's: no shared cache, and each visit asks again. Returns
    whether the visitor's own browser may store it.
    """
    given = ",".join(headers.popall("Cache-Control", ())).lower()
    remove_cdn_directives(headers)
    stored = "no-store" not in given
    headers["Cache-Control"] = "private, no-cache" if stored else "no-store"
    vary(headers, "Accept-Encoding", "Accept-Language", "Cookie", "Sec-GPC", "Sec-Fetch-Dest")
    return stored


def _set_type(headers: CIMultiDict[str], page: Page) -> None:
    """Name the charset in the header: our markup in the head may push the origin's <meta> out of
    the first kilobyte, where browsers look for it. Name the type that was sniffed: with our
    markup in it, the page may look like something else.
    """
    nosniff = "nosniff" in headers.get("X-Content-Type-Options", "").lower()
    if media_type(headers) in UNTYPED and not nosniff:
        headers["Content-Type"] = "text/html"
    given = [one.strip() for v in headers.getall("Content-Type", ()) for one in v.split(",")]
    if not given:
        return  # no browser takes it for HTML
    if len(given) > 1:
        # Of several the last that is one counts: it alone is passed on, as the page is HTML by it.
        headers["Content-Type"] = next(
            (v for v in reversed(given) if "html" in v.lower()), given[-1]
        )
    content_type = headers["Content-Type"]
    if page.transcoded:
        headers["Content-Type"] = "text/html; charset=utf-8"
    elif page.label and not charset_of_content_type(content_type):
        headers["Content-Type"] = f"{content_type.rstrip('; ')}; charset={page.label}"
