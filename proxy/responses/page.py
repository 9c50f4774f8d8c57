"""The reply with a page: audience, variant, headers."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.signals.gpp import sections_for
from proxy.banner.declaration import vendors_on
from proxy.banner.texts import Texts
from proxy.cache import OriginResponse, PreparedPage
from proxy.context import RequestContext
from proxy.enforcement.page_heads import PageHead
from proxy.enforcement.response_filter import ResponseKind
from proxy.enforcement.shared_caching import is_storable
from proxy.html import Page
from proxy.html.source import charset_of_content_type
from proxy.http.access_record import PAGE, REQUEST_ID
from proxy.http.adapters.writer import ProxyResponse, WrittenResponse
from proxy.http.content_coding import negotiated
from proxy.http.fetch_metadata import EMBEDDED_DESTINATIONS
from proxy.http.media_types import UNTYPED, media_type
from proxy.http.representation import FRESHNESS, OF_BYTES, VALIDATORS, remove_fields
from proxy.rendering.injected_markup import Injection
from proxy.rendering.variants import Variant, write_variant
from proxy.responses.page_reader import record_served_page, with_page_audience
from proxy.responses.reply import KnownHeadReply, Reply
from proxy.responses.stream import stream
from proxy.runtime import Runtime
from proxy.server.connection import ProxyRequest

_log = logging.getLogger("consent_proxy.responses")

_NOT_STORED = (*VALIDATORS, "Accept-Ranges", *FRESHNESS)
"""Fields removed where the origin's bytes are sent unchanged but must not be validated later."""
_ORIGIN_ONLY = (*OF_BYTES, *FRESHNESS)


def page_reply(
    request: web.BaseRequest,
    context: RequestContext,
    origin: OriginResponse,
    page: PreparedPage,
    runtime: Runtime,
) -> Reply[web.StreamResponse]:
    """The reply with a page that was read: gated, or unchanged under the closed policy where it
    cannot be.
    """
    if page.compiled is not None:
        return compiled_page_reply(request, page.compiled.page, origin.status, context, runtime)
    kind = ResponseKind.UNGATED_PAGE if page.is_html else ResponseKind.FILE
    if page.is_html:
        _log.warning(
            "%s%s cannot be gated (%s): sent with a policy that lets no third party act",
            context.site.name, context.logged_path, page.why,
        )  # fmt: skip

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        if page.is_html:
            record_served_page(origin.status, context, runtime)
            remove_fields(headers, _NOT_STORED)
        already = page.read.body
        return await stream(
            request, origin, headers, already_read=already, timeouts=runtime.timeouts
        )

    return Reply(kind, context, send)


def page_head(
    request: web.BaseRequest, context: RequestContext, origin: OriginResponse, runtime: Runtime
) -> Reply[web.StreamResponse]:
    """The reply to a HEAD for a page."""

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        remove_fields(headers, _ORIGIN_ONLY)
        return await stream(request, origin, headers, timeouts=runtime.timeouts)

    return Reply(ResponseKind.PAGE, context, send)


def injection_for(
    request: web.BaseRequest, page: Page, context: RequestContext, runtime: Runtime
) -> Injection:
    """Which of our own markup goes into a page for this request."""
    injection = _injection(request, page)
    decision = context.decision
    if runtime.includes_gpp and decision.audience is Audience.MARKETING:
        sections = sections_for(runtime.config.signals.gpp, context.visitor.region)
        injection = replace(injection, gpp=sections)
    if context.has_saved_form and injection.visible and decision.audience is Audience.MARKETING:
        injection = replace(injection, saved_form=True)
    if page.has_base:
        injection = replace(injection, origin=f"//{context.authority}")
    if page.declaration_at:
        declared = vendors_on(context.site, context.page_context.today)
        injection = replace(injection, declared=declared)
    return injection


def _injection(request: web.BaseRequest, page: Page) -> Injection:
    destination = request.headers.get("Sec-Fetch-Dest", "")
    if destination == "document":
        return _WHOLE
    if destination in EMBEDDED_DESTINATIONS:
        # The page around it carries the banner.
        return _EMBEDDED
    # Fetched by a script: a whole page may replace the present one; a part of one goes into a page
    # that has our markup.
    return _WHOLE if page.is_document else _PART


_WHOLE = Injection()
_EMBEDDED = Injection(visible=False)
_PART = Injection(signals=False, visible=False, placeholders=True)


def _variant(
    request: web.BaseRequest,
    page: Page,
    status: int,
    context: RequestContext,
    runtime: Runtime,
    texts: Texts,
) -> Variant:
    decision = context.decision
    injection = injection_for(request, page, context, runtime)
    # Where the browser will send no referrer, the form must name the page.
    return_to = context.target if decision.audience is Audience.PATIENT else ""
    chosen = runtime.variants.key(page, decision, texts, injection, return_to)
    key = (id(page), *chosen)
    # One that differs from the last page of its address is written for one visitor.
    known = None if page.passing else runtime.variants.get(key)
    if known is None or known.page is not page:
        record_served_page(status, context, runtime)
        known = write_variant(
            page,
            context.site,
            runtime.rules,
            runtime.config,
            runtime.theme,
            decision,
            texts,
            injection,
            return_to,
            runtime.markup,
            chosen,
        )
        if not page.passing:
            runtime.variants.put(key, known)
    return known


def compiled_page_reply(
    request: web.BaseRequest, page: Page, status: int, context: RequestContext, runtime: Runtime
) -> Reply[ProxyResponse]:
    """The reply with a compiled page, rendered for the visitor. `context` has the audience that the
    page's headers declare.
    """
    context = with_page_audience(page, context, runtime)
    accept_language = request.headers.get("Accept-Language", "")
    texts = runtime.wording.texts_for(page.language, accept_language)
    variant = _variant(request, page, status, context, runtime, texts)
    accept_encoding = request.headers.get("Accept-Encoding", "")

    async def send(headers: CIMultiDict[str], policy: str) -> ProxyResponse:
        request[PAGE] = variant.record
        describe_written_page(headers, page)
        is_kept = status == 200 and is_storable(headers)
        body, coding = variant.coded(negotiated(accept_encoding), is_kept=is_kept)
        if is_kept:
            # The policy is part of the representation: not every browser applies the policy of a
            # 304 to the page that it stored.
            etag = headers["ETag"] = variant.etag_with(policy, coding)
            asked = request.headers.getall("If-None-Match", ())
            if request.method == "GET" and any(etag in value for value in asked):
                return await ProxyResponse(status=304, headers=headers).send(request, b"")
        if coding:
            headers["Content-Encoding"] = coding
        headers["Content-Length"] = str(len(body))
        response = ProxyResponse(status=status, headers=headers)
        return await response.send(request, b"" if request.method == "HEAD" else body)

    async def send_under(known: PageHead, date: str) -> web.StreamResponse | None:
        body, coding = variant.coded(negotiated(accept_encoding), is_kept=known.is_kept)
        etag = ""
        if known.is_kept:
            policy = runtime.site(context).enforcement.policy(context.decision)
            etag = variant.etag_with(policy, coding)
        request[PAGE] = variant.record
        head = known.of_page(body, coding, etag, date, request[REQUEST_ID])
        return await WrittenResponse(status=status).send(request, head, body)

    is_alike = page.passing and _takes_known_head(request)
    again = KnownHeadReply((page.label, page.transcoded), send_under) if is_alike else None
    return Reply(ResponseKind.PAGE, context, send, variant.own, again)


def _takes_known_head(request: web.BaseRequest) -> bool:
    """Whether a request gets a whole page on a connection that stays, as most do."""
    return (
        isinstance(request, ProxyRequest)
        and request.method == hdrs.METH_GET
        and request.version == HttpVersion11
        and request.keep_alive
        and hdrs.IF_NONE_MATCH not in request.headers
    )


def describe_written_page(headers: CIMultiDict[str], page: Page) -> None:
    """Set the representation fields of a rendered page, in place of the origin's."""
    remove_fields(headers, _ORIGIN_ONLY)
    _set_type(headers, page)


_PLAIN_TYPE = re.compile(
    r"text/html *(?:; *(?:charset=(?:[\w:.+-]+|\"[\w:.+-]+\") *;? *)?)?", re.IGNORECASE
)


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
        # Of several the last valid one counts: only that one is sent.
        headers["Content-Type"] = next(
            (v for v in reversed(given) if "html" in v.lower()), given[-1]
        )
    content_type = headers["Content-Type"]
    if page.transcoded:
        headers["Content-Type"] = "text/html; charset=utf-8"
    elif page.label and page.label != charset_of_content_type(content_type):
        headers["Content-Type"] = f"text/html; charset={page.label}"
    elif not _PLAIN_TYPE.fullmatch(content_type):
        # Where parameters are not plain, engines differ in which of them counts.
        headers["Content-Type"] = f"text/html; charset={page.label}" if page.label else "text/html"
