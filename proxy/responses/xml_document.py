"""The reply with an XML document that a browser shows as a page.

Most XML is data, an image or a feed and is sent unchanged. It is gated only where the browser says
that it will show the response as a page, or apply it to one (XSLT), or where the browser says
nothing and the document is a transformation. That is rare, so no gated document is stored.
"""

from __future__ import annotations

import logging
import re

from aiohttp import hdrs, web
from multidict import CIMultiDict

from consent_rules.categories import Audience
from proxy.cache import OriginResponse
from proxy.context import RequestContext
from proxy.enforcement.response_filter import ResponseKind
from proxy.html import UndecodableError
from proxy.html.xml import gated_xml, may_transform
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.content_coding import CodingError, decoded
from proxy.http.media_types import is_xml_document, media_type
from proxy.http.representation import FRESHNESS, OF_BYTES, VALIDATORS, remove_fields
from proxy.rendering.open_owners import open_owners
from proxy.resolve import with_audience
from proxy.responses.page_reader import record_served_page
from proxy.responses.reply import Reply
from proxy.responses.stream import stream
from proxy.runtime import Runtime
from proxy.upstream.body import read_body

_log = logging.getLogger("consent_proxy.responses")
_READ_SECONDS = 30.0
_OFF_LOOP = 100_000
"""Bytes. A larger document is read in a thread, so that other visitors need not wait for it."""
_SHOWN = frozenset({"image/svg+xml", "application/xhtml+xml"})
_HTML = b"http://www.w3.org/1999/xhtml"
_NOT_STORED = (*VALIDATORS, "Accept-Ranges", *FRESHNESS)
_PATIENT = re.compile(rb"<(?:[\w.-]+:)?meta\s[^<]*page-audience[^<]*patient", re.IGNORECASE)


async def xml_reply(
    request: web.BaseRequest, context: RequestContext, origin: OriginResponse, runtime: Runtime
) -> Reply[web.StreamResponse]:
    """The reply with a document that the upstream is sending."""
    limit = runtime.config.proxy.max_page_bytes
    read = await read_body(origin.body, limit, runtime.timeouts.idle, _READ_SECONDS)
    if is_data(request, read.body, origin, runtime):
        return _data_reply(request, read.body, context, origin, runtime)
    if read.whole:
        return await xml_body_reply(request, read.body, origin, context, runtime)

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        record_served_page(origin.status, context, runtime)
        remove_fields(headers, _NOT_STORED)
        already = read.body
        return await stream(
            request, origin, headers, already_read=already, timeouts=runtime.timeouts
        )

    _cannot_be_gated(read.ending.replace("_", " "), context)
    return Reply(ResponseKind.UNGATED_PAGE, context, send)


def is_data(
    request: web.BaseRequest, body: bytes, origin: OriginResponse, runtime: Runtime
) -> bool:
    """Whether XML is neither shown as a page nor applied to one, though its request did not say so
    (`may_be_xml_document`): it is no transformation, and no document that an object may show, with
    elements of HTML in it. Feeds have those, too: other types stay data.
    """
    if is_xml_document(request, origin.status, origin.headers):
        return False
    limit = runtime.config.proxy.max_page_bytes
    try:
        plain = decoded(body, origin.headers.get(hdrs.CONTENT_ENCODING, ""), limit)
    except CodingError:
        return False
    if media_type(origin.headers) in _SHOWN and _HTML in plain.replace(b"\0", b""):
        return False
    return not may_transform(plain)


def _data_reply(
    request: web.BaseRequest,
    read: bytes,
    context: RequestContext,
    origin: OriginResponse,
    runtime: Runtime,
) -> Reply[web.StreamResponse]:
    """The reply with XML that is sent unchanged; `read` is what was taken of it."""

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        return await stream(request, origin, headers, already_read=read, timeouts=runtime.timeouts)

    return Reply(ResponseKind.FILE, context, send)


async def xml_body_reply(
    request: web.BaseRequest,
    body: bytes,
    origin: OriginResponse,
    context: RequestContext,
    runtime: Runtime,
) -> Reply[ProxyResponse]:
    """The reply with a complete document, `body`, coded as its headers say."""
    headers, status = origin.headers, origin.status
    kind = ResponseKind.XML_DOCUMENT
    no_longer_true: tuple[str, ...] = (*OF_BYTES, *FRESHNESS)
    try:
        limit = runtime.config.proxy.max_page_bytes
        plain = decoded(body, headers.get(hdrs.CONTENT_ENCODING, ""), limit)
        if _PATIENT.search(plain):
            context = with_audience(context, Audience.PATIENT, runtime)
        content_type = headers.get(hdrs.CONTENT_TYPE, "")
        owners = open_owners(context.decision)
        arguments = (plain, content_type, context.url, runtime.site(context).boundary, owners)
        if len(plain) > _OFF_LOOP:
            body = await runtime.turns.in_thread(gated_xml, *arguments)
        else:
            body = gated_xml(*arguments)
    except (CodingError, UndecodableError) as error:
        kind, no_longer_true = ResponseKind.UNGATED_PAGE, _NOT_STORED
        _cannot_be_gated(str(error), context)

    async def send(headers: CIMultiDict[str], _: str) -> ProxyResponse:
        record_served_page(status, context, runtime)
        remove_fields(headers, no_longer_true)
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
        response = ProxyResponse(status=status, headers=headers)
        return await response.send(request, b"" if request.method == "HEAD" else body)

    return Reply(kind, context, send)


def _cannot_be_gated(why: str, context: RequestContext) -> None:
    _log.warning(
        "%s%s cannot be gated (%s): sent with a policy that lets no third party act",
        context.site.name, context.logged_path, why,
    )  # fmt: skip
