"""The reply with a stored response, and its entry on the fast path."""

from __future__ import annotations

from aiohttp import web
from multidict import CIMultiDict

from proxy.cache import Entry, StoredResponse, send_stored
from proxy.cache.policy import WANTS_NOTHING, Use, freshness
from proxy.cache.store import CompiledPage
from proxy.context import RequestContext
from proxy.enforcement.response_filter import ResponseKind
from proxy.html import Page
from proxy.http.access_record import LOGGED_PATH, PAGE
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.fetch_metadata import EMBEDDED_DESTINATIONS, destination, expects_page
from proxy.http.media_types import is_xml, is_xml_document
from proxy.responses.page import compiled_page_reply
from proxy.responses.page_reader import compile_body
from proxy.responses.reply import Reply
from proxy.responses.xml_document import is_data, xml_body_reply
from proxy.runtime import Runtime
from proxy.server.connection import ProxyRequest
from proxy.server.fast_path_key import fast_path_key


async def stored_reply(
    request: web.BaseRequest,
    context: RequestContext,
    origin: StoredResponse,
    kind: ResponseKind,
    runtime: Runtime,
) -> Reply[ProxyResponse]:
    """The reply with a stored response: gated, whole, a part of it, or 304."""
    entry = origin.stored
    if entry.is_page:
        page = await _page(entry, context, runtime)
        return compiled_page_reply(request, page, entry.status, context, runtime)
    if kind is ResponseKind.XML_DOCUMENT and is_data(request, entry.body, origin, runtime):
        kind = ResponseKind.FILE
    if kind is ResponseKind.XML_DOCUMENT and context.decision.enforce:
        return await xml_body_reply(request, entry.body, origin, context, runtime)

    async def send(headers: CIMultiDict[str], _: str) -> ProxyResponse:
        return await send_stored(request, entry, headers, origin.now)

    return Reply(kind, context, send)


async def _page(entry: Entry, context: RequestContext, runtime: Runtime) -> Page:
    boundary, compiled = runtime.site(context).boundary, entry.compiled
    if compiled is not None and compiled.boundary is boundary:
        return compiled.page
    page = await compile_body(entry.body, entry.headers, context, runtime)
    if runtime.cache is not None:
        runtime.cache.store.set_compiled(entry, CompiledPage(page, boundary))
    return page


def add_to_fast_path(
    request: web.BaseRequest,
    context: RequestContext,
    origin: StoredResponse,
    sent: ProxyResponse,
    runtime: Runtime,
) -> None:
    """Add what was sent to the fast path, where the next visitor of this class may get the same.
    `context` is the one that the request was resolved to.
    """
    entry, fast_path, site = origin.stored, runtime.fast_path, runtime.site(context)
    if fast_path is None or sent.status not in {entry.status, 304}:
        return
    if site.boundary.index.vendors_of_own_request(context.path):
        return  # whether its vendor may act is decided for each request
    to_confirm = entry.confirmation is not None and origin.may_share
    if freshness(entry.policy, entry.age(origin.now), WANTS_NOTHING) is not Use.FRESH:
        if not to_confirm or entry.has_credentials:
            return  # to be validated, each time or soon
    else:
        to_confirm = False
    if is_xml_document(request, entry.status, entry.headers):
        return  # gated for each visitor anew
    if destination(request) in EMBEDDED_DESTINATIONS and context.site.has_patient_pages:
        return  # the page around it counts, by a referrer that is not part of the key
    if destination(request) is None and is_xml(entry.headers):
        return  # whether it is a document is in a field that is not part of the key
    if destination(request) is None and "Location" in entry.headers:
        return  # its destination is in a field that is not part of the key
    if not isinstance(request, ProxyRequest):
        return
    key = fast_path_key(request, fast_path)
    if key is not None:
        fast_path.add(
            key,
            context,
            entry,
            sent,
            site=site.enforcement,
            page=request.get(PAGE),
            logged_path=request.get(LOGGED_PATH, ""),
            may_share_pages=origin.may_share,
            expects_page=expects_page(request),
            to_confirm=to_confirm,
        )
