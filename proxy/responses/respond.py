"""An upstream's answer -> the visitor's reply, page or not, as it comes."""

from __future__ import annotations

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict

from proxy.context import RequestContext
from proxy.enforcement.response_filter import (
    finish_headers,
    hold_part,
    leads_to_closed,
    marked_decision,
)
from proxy.http.media_types import is_page, is_service_worker, is_xml_document
from proxy.responses.page import page_reply
from proxy.responses.page_reader import PageRead, read_page
from proxy.responses.service_worker import worker_reply
from proxy.responses.stream import stream
from proxy.responses.streamed_page import stream_page
from proxy.responses.xml_document import xml_reply
from proxy.upstream.timeouts import Timeouts
from proxy.upstream.tunnel import relay_tunnel


async def relay(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    context: RequestContext,
    timeouts: Timeouts,
    got: PageRead | None = None,
) -> web.StreamResponse:
    """Send on what the upstream is sending. `headers` are its own, forwarding rules applied; `got`
    is the page if it was read already.
    """
    decision = marked_decision(headers, context)
    if upstream.status == 101:
        finish_headers(headers, context, decision, is_document=False)
        return await relay_tunnel(request, upstream, headers)
    # Before anything else: the body of a redirect is mostly HTML, or has no type.
    if leads_to_closed(request, headers, context, decision):
        return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})
    if got is None and request.method != hdrs.METH_HEAD and is_page(upstream.status, headers):
        got = await read_page(upstream, headers, context, timeouts)
    if got is not None and got.goes_on:
        return await stream_page(request, upstream, headers, context, timeouts, got.read.body)
    if got is not None or is_page(upstream.status, headers):
        return await page_reply(request, upstream, headers, context, timeouts, got)
    hold_part(request, headers, upstream.status, context, decision)
    if decision.enforce and is_xml_document(request, upstream.status, headers):
        return await xml_reply(request, upstream, headers, context, decision, timeouts)
    if is_service_worker(request):
        return await worker_reply(request, upstream, headers, context, decision, timeouts)
    return await stream(request, upstream, headers, upstream.status, timeouts=timeouts)
