"""The origin's response -> the visitor's: one dispatch by kind, with enforcement before anything.

What is to be gated is read first, for a page may say within that it is for patients; then the
decision is applied to the head, once, by `deliver`; then it is sent.
"""

from __future__ import annotations

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict

from proxy.context import RequestContext
from proxy.enforcement.csp import CSP, OWN_REPLY_POLICY
from proxy.enforcement.response_filter import ResponseKind, leads_to_closed, marked_audience
from proxy.http.fetch_metadata import is_service_worker, is_worker
from proxy.http.media_types import is_page, is_xml_document
from proxy.resolve import with_audience
from proxy.responses.page import page_head, page_reply
from proxy.responses.page_reader import PageRead, read_page
from proxy.responses.reply import Reply, deliver
from proxy.responses.service_worker import service_worker_reply
from proxy.responses.stream import stream
from proxy.responses.streamed_page import streamed_page
from proxy.responses.xml_document import xml_reply
from proxy.runtime import Runtime
from proxy.upstream.tunnel import relay_tunnel


def kind_of(request: web.BaseRequest, status: int, headers: CIMultiDict[str]) -> ResponseKind:
    """What a response is, as far as its head tells; a page may turn out to be none that can be
    gated.
    """
    if status == 101:
        return ResponseKind.UPGRADE
    if is_page(status, headers):
        return ResponseKind.PAGE
    if status == 206:
        return ResponseKind.PART
    if is_xml_document(request, status, headers):
        return ResponseKind.XML_DOCUMENT
    if is_service_worker(request):
        return ResponseKind.SERVICE_WORKER
    return ResponseKind.WORKER if is_worker(request) else ResponseKind.FILE


def heed(headers: CIMultiDict[str], context: RequestContext, runtime: Runtime) -> RequestContext:
    """The context once the origin's `X-Page-Audience` is heard."""
    audience = marked_audience(headers.getall("X-Page-Audience", ()), context)
    return with_audience(context, audience, runtime)


def nothing() -> web.Response:
    """In place of what would lead to a closed vendor."""
    headers = {hdrs.CACHE_CONTROL: "no-store", CSP: OWN_REPLY_POLICY}
    return web.Response(status=204, headers=headers)


async def respond(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    context: RequestContext,
    runtime: Runtime,
    read: PageRead | None = None,
) -> web.StreamResponse:
    """Send on what the upstream is sending. `headers` are its own, forwarding rules applied; `read`
    is the page if it was read already.
    """
    context, site = heed(headers, context, runtime), runtime.site(context).enforcement
    # Before anything else: the body of a redirect is mostly HTML, or has no type.
    if leads_to_closed(request, headers, context, site):
        return nothing()
    reply = await _reply(request, upstream, headers, context, runtime, read)
    return await deliver(reply, headers, site)


async def _reply(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    context: RequestContext,
    runtime: Runtime,
    read: PageRead | None,
) -> Reply[web.StreamResponse]:
    kind = kind_of(request, upstream.status, headers)
    has_body = request.method != hdrs.METH_HEAD
    match kind:
        case ResponseKind.PAGE if has_body:
            if read is None:
                read = await read_page(upstream, headers, context, runtime)
            if read.goes_on:
                body = read.read.body
                return await streamed_page(request, upstream, headers, context, runtime, body)
            return page_reply(request, upstream, context, runtime, read)
        case ResponseKind.PAGE:
            return page_head(request, upstream, context, runtime)
        case ResponseKind.XML_DOCUMENT if has_body and context.decision.enforce:
            return await xml_reply(request, upstream, headers, context, runtime)
        case ResponseKind.SERVICE_WORKER:
            return await service_worker_reply(request, upstream, context, runtime)

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        if kind is ResponseKind.UPGRADE:
            return await relay_tunnel(request, upstream, headers)
        return await stream(request, upstream, headers, upstream.status, timeouts=runtime.timeouts)

    return Reply(kind, context, send)
