"""An upstream's answer -> the visitor's reply, page or not, as it comes."""

from __future__ import annotations

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict

from consent_rules.decision import Decision
from proxy.context import Asking
from proxy.enforcement.shared_caching import keep_apart
from proxy.responses.page import (
    PageRead,
    add_policy,
    finish_headers,
    is_page,
    is_worker,
    leads_to_closed,
    marked_decision,
    needs_policy,
    page_reply,
    read_page,
)
from proxy.responses.service_worker import is_service_worker, worker_reply
from proxy.responses.streamed_page import stream_page
from proxy.responses.xml_document import is_xml_document, xml_reply
from proxy.upstream.request import Timeouts, stream


async def relay(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    asking: Asking,
    timeouts: Timeouts,
    got: PageRead | None = None,
) -> web.StreamResponse:
    """Send on what the upstream is sending. `headers` are its own, forwarding rules applied; `got`
    is the page if it was read already.
    """
    decision = marked_decision(headers, asking)
    # Before anything else: the body of a redirect is mostly HTML, or has no type.
    if leads_to_closed(request, headers, asking, decision):
        return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})
    if got is None and request.method != hdrs.METH_HEAD and is_page(upstream.status, headers):
        got = await read_page(upstream, headers, asking, timeouts)
    if got is not None and got.goes_on:
        return await stream_page(request, upstream, headers, asking, timeouts, got.read.body)
    if got is not None or is_page(upstream.status, headers):
        return await page_reply(request, upstream, headers, asking, timeouts, got)
    hold_part(request, headers, upstream.status, asking, decision)
    if decision.enforce and is_xml_document(request, upstream.status, headers):
        return await xml_reply(request, upstream, headers, asking, decision, timeouts)
    if is_service_worker(request):
        return await worker_reply(request, upstream, headers, asking, decision, timeouts)
    return await stream(request, upstream, headers, upstream.status, timeouts=timeouts)


def hold_part(
    request: web.BaseRequest,
    headers: CIMultiDict[str],
    status: int,
    asking: Asking,
    decision: Decision,
) -> None:
    """Hold the headers of what is no page to the decision."""
    is_document = is_xml_document(request, status, headers)
    finish_headers(headers, asking, decision, is_document=is_document)
    if needs_policy(request, headers):
        # Part of a page, or a document that cannot be gated: nobody else acts in it. A service
        # worker sees the requests of every page, so it may do what a patient page may.
        part = status == 206
        everywhere = is_service_worker(request)
        alone = part or (everywhere and asking.site.rules.has_patient_pages)
        # An image or data now, and the same for all: a cache in front of us may keep it, and give
        # it to somebody who opens it as a page.
        alone = alone or not (is_document or is_worker(request))
        add_policy(headers, asking, decision, alone=alone)
        if not alone:
            keep_apart(headers)
        headers.popall("Service-Worker-Allowed", None)
