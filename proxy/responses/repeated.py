"""The entry of a page that may not be stored among the replies for when it is sent again."""

from __future__ import annotations

from aiohttp import web

from proxy.cache import LiveResponse
from proxy.cache.store import Confirmation
from proxy.context import RequestContext
from proxy.http.access_record import CACHE, LOGGED_PATH, PAGE
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.fetch_metadata import EMBEDDED_DESTINATIONS, destination
from proxy.runtime import Runtime
from proxy.server.connection import ProxyRequest
from proxy.server.fast_path_key import fast_path_key

_ONE_VISITORS = ("Set-Cookie", "Set-Cookie2")


def may_come_again(origin: LiveResponse) -> bool:
    """Whether a page that was sent may be added: one that differs from the last one of its address
    will not come again.
    """
    page = origin.page
    return (
        page is not None
        and page.compiled is not None
        and page.may_store
        and not page.compiled.page.passing
    )


def add_repeated_page(
    request: web.BaseRequest,
    context: RequestContext,
    origin: LiveResponse,
    confirmation: Confirmation,
    sent: web.StreamResponse,
    runtime: Runtime,
) -> None:
    """Add what was sent, where it was made of a whole page and follows from that and from the class
    of the visitor. `confirmation` has the origin's fields but for the date; `context` is the one
    that the request was resolved to.
    """
    fast_path, page, site = runtime.fast_path, origin.page, runtime.site(context)
    if fast_path is None or page is None:
        return
    if not origin.may_share or origin.status != 200 or not isinstance(sent, ProxyResponse):
        return
    if sent.status != 200 or not sent.sent or not isinstance(request, ProxyRequest):
        return
    if LOGGED_PATH in request or "Date" not in origin.headers:
        return
    if any(name in headers for name in _ONE_VISITORS for headers in (origin.headers, sent.headers)):
        return
    if any(name.lower() == "set-cookie" for name, _ in confirmation):
        return
    if site.boundary.index.vendors_of_own_request(context.path):
        return  # whether its vendor may act is decided for each request
    if destination(request) in EMBEDDED_DESTINATIONS and context.site.has_patient_pages:
        return  # the page around it counts, by a referrer that is not part of the key
    key = fast_path_key(request, fast_path)
    if key is None:
        return
    fast_path.add_repeated(
        key,
        context,
        sent,
        confirmation,
        page.read.body,
        site=site.enforcement,
        cache=request.get(CACHE, ""),
        page=request.get(PAGE),
    )
