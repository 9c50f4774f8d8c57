"""Block requests to trackers on the site's own host (`/g/collect`).

A page's markup is gated, but no policy distinguishes one path of the site's own from another. So a
request to a closed vendor's path gets an empty response from the proxy and is never forwarded.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import hdrs, web

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from consent_rules.matching.vendor_index import VendorIndex
from proxy.context import RequestContext


def block_first_party_tracker(
    request: web.BaseRequest,
    context: RequestContext,
    index: VendorIndex,
    patient_decision: Callable[[], Decision],
) -> web.Response | None:
    """The response to a request that would reach a closed vendor; None where the request may pass.
    `patient_decision` returns the visitor's decision for patient pages.
    """
    vendors = index.vendors_of_own_request(context.path)
    if not vendors or not context.decision.enforce or _is_navigation(request):
        return None
    need_consent = {vendor.id for vendor in vendors if vendor.category is not Category.NECESSARY}
    if need_consent <= _open(request, context, patient_decision):
        return None
    return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})


def _is_navigation(request: web.BaseRequest) -> bool:
    """Whether a request is the visitor's own navigation, which is never blocked."""
    destination = request.headers.get("Sec-Fetch-Dest")
    if destination is None:
        return request.headers.get(hdrs.ACCEPT, "").startswith("text/html")
    return destination == "document"


def _open(
    request: web.BaseRequest, context: RequestContext, patient_decision: Callable[[], Decision]
) -> frozenset[str]:
    """The vendors that may act on the requesting page: its tags count, not those of the path."""
    if context.page_context.audience is Audience.PATIENT:
        return context.decision.open
    origin = f"{context.scheme}://{context.authority}"
    referrer = request.headers.get(hdrs.REFERER, "")
    if context.site.audience_of_referrer(referrer, origin) is Audience.PATIENT:
        return patient_decision().open
    return context.site_decision.open
