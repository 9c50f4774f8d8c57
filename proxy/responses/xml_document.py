"""Documents in XML that a browser shows as pages: gated as well, for each visitor anew.

Most XML is data, an image or a feed and passes as it is. Only where a browser says that it will
show the answer as a page, or transform one by it, is it read and written again. That is rare, so
nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import logging
import re

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.decision import Decision
from proxy.context import RequestContext
from proxy.enforcement.response_filter import add_policy, finish_headers
from proxy.enforcement.shared_caching import remove_cdn_directives
from proxy.html import UndecodableError
from proxy.html.xml import gated_xml
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.content_coding import CodingError, decoded
from proxy.http.representation import FRESHNESS, remove_fields, remove_origin_metadata
from proxy.rendering.open_owners import open_owners
from proxy.responses.stream import stream
from proxy.upstream.body import read_body
from proxy.upstream.timeouts import Timeouts

_log = logging.getLogger("consent_proxy.pages")
_READ_SECONDS = 30.0
_OFF_LOOP = 100_000
"""Bytes. A larger document is read in a thread, so that other visitors need not wait for it."""
_PATIENT = re.compile(rb"<(?:[\w.-]+:)?meta\s[^<]*page-audience[^<]*patient", re.IGNORECASE)


async def xml_reply(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    context: RequestContext,
    decision: Decision,
    timeouts: Timeouts,
) -> web.StreamResponse:
    """Send on a document that the upstream is sending. `headers` are held to the decision."""
    limit = context.runtime.config.proxy.max_page_bytes
    read = await read_body(upstream, limit, timeouts.idle, _READ_SECONDS)
    if read.whole:
        return await send_xml(request, read.body, headers, upstream.status, context, decision)
    _cannot_be_gated(read.ending.replace("_", " "), headers, context, decision)
    return await stream(
        request, upstream, headers, upstream.status, already_read=read.body, timeouts=timeouts
    )


async def send_xml(
    request: web.BaseRequest,
    body: bytes,
    headers: CIMultiDict[str],
    status: int,
    context: RequestContext,
    decision: Decision,
) -> ProxyResponse:
    """Send a document, coded as its headers say. These are held to the decision."""
    try:
        limit = context.runtime.config.proxy.max_page_bytes
        plain = decoded(body, headers.get(hdrs.CONTENT_ENCODING, ""), limit)
        if _PATIENT.search(plain):
            decision = context.marked(Audience.PATIENT)[1]
            finish_headers(headers, context, decision, is_document=True)
            add_policy(headers, context, decision)
        kind = headers.get(hdrs.CONTENT_TYPE, "")
        arguments = (plain, kind, context.url, context.site.boundary, open_owners(decision))
        if len(plain) > _OFF_LOOP:
            body = await asyncio.to_thread(gated_xml, *arguments)
        else:
            body = gated_xml(*arguments)
        remove_origin_metadata(headers)
        remove_fields(headers, FRESHNESS)
    except (CodingError, UndecodableError) as error:
        _cannot_be_gated(str(error), headers, context, decision)
    # Written for this visitor, now: neither a cache nor the browser may show it again.
    headers[hdrs.CACHE_CONTROL] = "no-store"
    remove_cdn_directives(headers)
    headers[hdrs.CONTENT_LENGTH] = str(len(body))
    response = ProxyResponse(status=status, headers=headers)
    await response.prepare(request)
    await response.write(body)
    await response.write_eof()
    return response


def _cannot_be_gated(
    why: str, headers: CIMultiDict[str], context: RequestContext, decision: Decision
) -> None:
    _log.warning(
        "%s%s cannot be gated (%s): sent with a policy that lets no third party act",
        context.site.rules.name, context.path, why,
    )  # fmt: skip
    add_policy(headers, context, decision, alone=True)
