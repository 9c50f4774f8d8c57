"""Dispatch the origin's response by kind, and enforce the decision on it.

What is gated is read first, for a page may declare its audience in its markup; then the decision is
applied to the head, once, by `deliver`; then it is sent.
"""

from __future__ import annotations

from aiohttp import hdrs, web
from multidict import CIMultiDict

from proxy.cache import LiveResponse, OriginResponse, StoredResponse
from proxy.cache.confirmation import confirmation_of
from proxy.context import RequestContext
from proxy.enforcement.csp import CSP, OWN_REPLY_POLICY
from proxy.enforcement.response_filter import ResponseKind, leads_to_closed, marked_audience
from proxy.http.fetch_metadata import is_service_worker, is_worker
from proxy.http.media_types import is_page, is_xml_document, may_be_xml_document
from proxy.resolve import set_logged_path, with_audience
from proxy.responses.known_file import add_known_file
from proxy.responses.page import page_head, page_reply
from proxy.responses.page_reader import prepare_page
from proxy.responses.repeated import add_repeated_page, may_come_again
from proxy.responses.reply import Reply, deliver, deliver_page
from proxy.responses.service_worker import service_worker_reply
from proxy.responses.stored import add_to_fast_path, stored_reply
from proxy.responses.stream import stream
from proxy.responses.streamed_page import streamed_page
from proxy.responses.xml_document import xml_reply
from proxy.runtime import Runtime
from proxy.upstream.tunnel import relay_tunnel


def kind_of(
    request: web.BaseRequest, status: int, headers: CIMultiDict[str], *, gates: bool = True
) -> ResponseKind:
    """The kind of a response by its head; a page may still turn out to be one that
    cannot be gated, and an XML document to be data. `gates` is False where nothing is gated: then
    no body is read to tell them apart.
    """
    if status == 101:
        return ResponseKind.UPGRADE
    if is_page(status, headers):
        return ResponseKind.PAGE
    if status == 206:
        return ResponseKind.PART
    if (may_be_xml_document if gates else is_xml_document)(request, status, headers):
        return ResponseKind.XML_DOCUMENT
    if is_service_worker(request):
        return ResponseKind.SERVICE_WORKER
    return ResponseKind.WORKER if is_worker(request) else ResponseKind.FILE


def with_origin_audience(
    request: web.BaseRequest,
    headers: CIMultiDict[str],
    context: RequestContext,
    runtime: Runtime,
) -> RequestContext:
    """The context with the audience of the origin's `X-Page-Audience`."""
    audience = marked_audience(headers.getall("X-Page-Audience", ()), context)
    context = with_audience(context, audience, runtime)
    set_logged_path(request, context)
    return context


def no_content() -> web.Response:
    """The response in place of a redirect to a closed vendor."""
    headers = {hdrs.CACHE_CONTROL: "no-store", CSP: OWN_REPLY_POLICY}
    return web.Response(status=204, headers=headers)


async def respond(
    request: web.BaseRequest, context: RequestContext, origin: OriginResponse, runtime: Runtime
) -> web.StreamResponse:
    """Send the origin's response, gated and enforced, to the visitor."""
    resolved, context = context, with_origin_audience(request, origin.headers, context, runtime)
    site = runtime.site(context).enforcement
    # Checked first: the body of a redirect is mostly HTML, or has no type.
    if leads_to_closed(request, origin.status, origin.headers, context, site):
        return no_content()
    gates = context.decision.enforce
    if isinstance(origin, StoredResponse):
        kind = kind_of(request, _stored_status(request, origin), origin.headers, gates=gates)
        stored = await stored_reply(request, context, origin, kind, runtime)
        sent = await deliver(request, stored, origin.headers, site)
        add_to_fast_path(request, resolved, origin, sent, runtime)
        return sent
    kind = kind_of(request, origin.status, origin.headers, gates=gates)
    if kind is not ResponseKind.PAGE or not isinstance(origin, LiveResponse):
        live = await _reply(request, context, origin, kind, runtime)
        passed_on = await deliver(request, live, origin.headers, site)
        if kind is ResponseKind.FILE and isinstance(origin, LiveResponse):
            add_known_file(request, resolved, origin, passed_on, runtime)
        return passed_on
    page = await _reply(request, context, origin, kind, runtime)
    # Its fields as they came: they are changed when it is sent.
    confirmation = confirmation_of(origin.headers) if may_come_again(origin) else None
    answer = await deliver_page(request, page, origin.status, origin.headers, site, runtime.heads)
    if confirmation is not None:
        add_repeated_page(request, resolved, origin, confirmation, answer, runtime)
    return answer


def _stored_status(request: web.BaseRequest, origin: StoredResponse) -> int:
    # An unsatisfiable range gets the whole, under the policy of a part.
    return 206 if "Range" in request.headers else origin.status


async def _reply(
    request: web.BaseRequest,
    context: RequestContext,
    origin: OriginResponse,
    kind: ResponseKind,
    runtime: Runtime,
) -> Reply[web.StreamResponse]:
    has_body = request.method != hdrs.METH_HEAD
    match kind:
        case ResponseKind.PAGE if has_body:
            page = origin.page or await prepare_page(origin, context, runtime)
            if isinstance(origin, LiveResponse):
                origin.page = page
            if page.is_streamed:
                return await streamed_page(request, context, origin, page.read.body, runtime)
            return page_reply(request, context, origin, page, runtime)
        case ResponseKind.PAGE:
            return page_head(request, context, origin, runtime)
        case ResponseKind.XML_DOCUMENT if has_body and context.decision.enforce:
            return await xml_reply(request, context, origin, runtime)
        case ResponseKind.SERVICE_WORKER:
            return await service_worker_reply(request, context, origin, runtime)

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        if isinstance(origin, LiveResponse) and kind is ResponseKind.UPGRADE:
            return await relay_tunnel(request, origin.upstream, headers)
        return await stream(request, origin, headers, timeouts=runtime.timeouts)

    return Reply(kind, context, send)
