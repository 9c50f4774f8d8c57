"""Hold response headers to the decision: cookies, policy, fetching headers."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web
from multidict import CIMultiDict

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from consent_rules.rules import says_patient
from proxy.context import RequestContext
from proxy.cookies.cookie_header import expiring, names_in
from proxy.cookies.preference_cookie import set_load_once_cookie
from proxy.cookies.vendor_cookies import allowed_set_cookies
from proxy.cookies.wp_consent import set_wp_cookies
from proxy.enforcement.browser_headers import (
    filter_fetching_headers,
    replace_values,
    restrict_document,
)
from proxy.enforcement.shared_caching import make_private
from proxy.html.owners import KnownVendor, Owner
from proxy.http.media_types import (
    PAGE_DESTINATIONS,
    is_service_worker,
    is_worker,
    is_xml_document,
    needs_policy,
)

CSP = "Content-Security-Policy"
CSP_REPORT_ONLY = "Content-Security-Policy-Report-Only"


def leads_to_closed(
    request: web.BaseRequest, headers: CIMultiDict[str], context: RequestContext, decision: Decision
) -> bool:
    """Whether an answer sends an image, a script or a fetch on to someone who may not act.

    Where it sends the visitor's own navigation is the visitor's and the site's business.
    """
    if "Location" not in headers or not decision.enforce:
        return False
    if request.headers.get("Sec-Fetch-Dest", "document") in PAGE_DESTINATIONS:
        return False
    owner = context.site.boundary.owner(headers["Location"], context.url)
    return owner is not None and not _may_act(owner, decision)


def _may_act(owner: Owner, decision: Decision) -> bool:
    """Whether the owner of a URL may act: of these only vendors ever may."""
    return isinstance(owner, KnownVendor) and owner.id in decision.open


def add_policy(
    headers: CIMultiDict[str], context: RequestContext, decision: Decision, *, alone: bool = False
) -> str:
    """Add our own policy beside the origin's, and return it. `alone`: no third party may act."""
    policy = context.runtime.policy(context.site.rules, None if alone else decision)
    headers.add(CSP if decision.enforce else CSP_REPORT_ONLY, policy)
    return policy


def marked_decision(headers: CIMultiDict[str], context: RequestContext) -> Decision:
    """The decision once the origin's `X-Page-Audience` is heard."""
    return context.marked(marked_audience(headers.getall("X-Page-Audience", ()), context))[1]


def finish_headers(
    headers: CIMultiDict[str], context: RequestContext, decision: Decision, *, is_document: bool
) -> None:
    """Hold an answer's headers and cookies to the decision. Asset or page alike."""
    if not decision.enforce:
        return
    boundary = context.site.boundary

    # Whether another visitor would get other headers: then no cache in front of us may keep them.
    differs = decision.audience is Audience.PATIENT

    def closed(url: str) -> bool:
        nonlocal differs
        owner = boundary.owner(url, context.url)
        if owner is None:
            return False
        differs = True
        return not _may_act(owner, decision)

    filter_fetching_headers(headers, closed, decision.audience)
    if "Location" in headers:
        closed(headers["Location"])  # `leads_to_closed`: for some it is a 204
    allowed_cookies = cookie_openings(context, decision)
    if "Set-Cookie" in headers:
        values = headers.getall("Set-Cookie")
        set_names = [value.partition("=")[0].strip() for value in values]
        differs = differs or any(map(context.runtime.cookies.vendors_of, set_names))
        replace_values(
            headers,
            "Set-Cookie",
            allowed_set_cookies(values, context.runtime.cookies, allowed_cookies),
        )
    if not is_document:
        if differs:
            make_private(headers)
        return
    advertising = decision.categories[Category.ADVERTISING]
    patient = decision.audience is Audience.PATIENT
    site = context.site.rules
    sensors = site.patient_permissions if patient else site.permissions
    restrict_document(
        headers,
        decision.audience,
        advertising=advertising,
        sensors=sensors,
        trustworthy=context.secure or _is_loopback(context.host),
    )
    if context.load_once:
        headers.add("Set-Cookie", set_load_once_cookie("", secure=context.secure))
    if decision.audience is Audience.MARKETING and context.cookie_header:
        index = context.runtime.cookies
        names = [n for n in names_in(context.cookie_header) if index.is_closed(n, allowed_cookies)]
        for value in expiring(names, context.host, context.path, secure=context.secure):
            headers.add("Set-Cookie", value)
    if context.runtime.config.signals.wp_consent_cookies:
        for value in set_wp_cookies(context, context.visitor.preferences, context.site_decision):
            headers.add("Set-Cookie", value)


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "[::1]"} or host.endswith(".localhost") or host.startswith("127.")


def cookie_openings(context: RequestContext, decision: Decision) -> frozenset[str]:
    """The vendors whose cookies pass. A cookie goes to the whole site, not to one page's tags."""
    if decision.audience is Audience.PATIENT:
        return decision.open
    return context.site_decision.open


def marked_audience(marks: Iterable[str], context: RequestContext) -> Audience:
    """For whom a page is, once what it says of itself is heard."""
    return Audience.PATIENT if says_patient(marks) else context.page_context.audience


def hold_part(
    request: web.BaseRequest,
    headers: CIMultiDict[str],
    status: int,
    context: RequestContext,
    decision: Decision,
) -> None:
    """Hold the headers of what is no page to the decision."""
    is_document = is_xml_document(request, status, headers)
    finish_headers(headers, context, decision, is_document=is_document)
    if needs_policy(request, headers):
        # Part of a page, or a document that cannot be gated: nobody else acts in it. A service
        # worker sees the requests of every page, so it may do what a patient page may.
        part = status == 206
        everywhere = is_service_worker(request)
        alone = part or (everywhere and context.site.rules.has_patient_pages)
        # An image or data now, and the same for all: a cache in front of us may keep it, and give
        # it to somebody who opens it as a page.
        alone = alone or not (is_document or is_worker(request))
        add_policy(headers, context, decision, alone=alone)
        if not alone:
            make_private(headers)
        headers.popall("Service-Worker-Allowed", None)
