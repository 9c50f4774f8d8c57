"""The entry of a file that may not be stored, and comes each time, among those that are known."""

from __future__ import annotations

from aiohttp import web
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict

from proxy.cache import LiveResponse
from proxy.cache.known_files import known_head, sent_fields
from proxy.cache.policy import response_directives
from proxy.context import RequestContext
from proxy.enforcement.request_filter import fields_depend_on
from proxy.http.access_record import LOGGED_PATH, REQUEST_ID
from proxy.http.adapters.writer import ProxyResponse, head_of
from proxy.http.fetch_metadata import EMBEDDED_DESTINATIONS, destination
from proxy.http.media_types import is_xml, media_type
from proxy.http.request_trace import TRACE
from proxy.runtime import Runtime
from proxy.server.connection import ProxyRequest
from proxy.server.fast_path_key import fast_path_key
from proxy.upstream.exchange import UpstreamResponse

_ODD = (
    "Age", "Location", "Set-Cookie", "Set-Cookie2", "Trailer", "Transfer-Encoding", "Upgrade",
)  # fmt: skip
"""Of a response that has one of these another may differ in more than its date, or in framing."""
_STAYS = "keep-alive"


def add_known_file(
    request: web.BaseRequest,
    context: RequestContext,
    origin: LiveResponse,
    sent: web.StreamResponse,
    runtime: Runtime,
) -> None:
    """Add what the origin was asked, what it sent and what was made of it, where the next response
    will be passed on alike. `context` is the one that the request was resolved to.
    """
    fast_path, group, upstream = runtime.fast_path, origin.passes_by, origin.upstream
    if fast_path is None or group is None or not isinstance(sent, ProxyResponse):
        return
    if not isinstance(request, ProxyRequest) or not _is_plain(upstream) or sent.status != 200:
        return
    if not sent.keep_alive or "Content-Length" not in sent.headers or TRACE in request:
        return
    given, _ = response_directives(upstream.headers)
    if ("no-store" not in given or "must-understand" in given) and "private" not in given:
        return  # whether it may be stored is to be judged each time
    site = runtime.site(context)
    if LOGGED_PATH in request or site.enforcement.wp_consent_cookies:
        return
    if site.upstream.only is None or site.boundary.index.vendors_of_own_request(context.path):
        return  # which server is asked, or whether at all, is decided for each request
    headers = CIMultiDict(upstream.headers)
    if media_type(headers) == "text/event-stream":
        return  # it may be silent for long, holds a place of its own, and ends at a drain
    if is_xml(headers):
        return  # whether it is a document is in a field that is not part of the key
    if destination(request) in EMBEDDED_DESTINATIONS and context.site.has_patient_pages:
        return  # the page around it counts, by a referrer that is not part of the key
    key = fast_path_key(request, fast_path)
    asked = upstream.request
    line = f"{asked.method} {asked.target} HTTP/1.1"
    whole = head_of(line, asked.headers)
    fields = sent_fields(whole[len(line) + 2 :], request[REQUEST_ID])
    head = head_of(f"HTTP/1.1 200 {upstream.reason}", headers)
    length = upstream.content_length
    known = None if length is None else known_head(head, length)
    if key is None or fields is None or known is None:
        return
    peer, visitors = request.remote or "", request.message.raw_headers
    request_class = fields_depend_on(context)
    fast_path.files.put_fields(
        visitors, peer, fields, secure=request.secure, request_class=request_class
    )
    if fast_path.find_file(key, context.received_at) is None:
        fast_path.add_file(
            key,
            context,
            sent,
            known,
            line=whole[: len(line) + 2],
            request_class=request_class,
            server=upstream.server,
            group=group,
            site=site.enforcement,
            may_share_pages=origin.may_share,
        )


def _is_plain(upstream: UpstreamResponse) -> bool:
    """Whether a response ends with its length, and leaves the connection open."""
    return (
        upstream.method == "GET"
        and upstream.status == 200
        and upstream.version == HttpVersion11
        and not any(name in upstream.headers for name in _ODD)
        and upstream.headers.get("Connection", _STAYS).lower() == _STAYS
        and len(upstream.headers.getall("Connection", ())) <= 1
        and len(upstream.headers.getall("Content-Length", ())) == 1
        and upstream.headers["Content-Length"].isdigit()
    )
