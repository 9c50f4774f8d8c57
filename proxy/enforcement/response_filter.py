"""`enforce`: apply the decision to the head of a response. The only place where that happens.

Every response passes `enforce` once, with its kind: pages, files, parts, redirects, stored
responses, interim ones (1xx) and switches of protocol (101) alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import StrEnum

from aiohttp import web
from multidict import CIMultiDict

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from consent_rules.rules import has_patient_mark
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.expiry import expiring_set_cookies
from proxy.cookies.preference_cookie import set_load_once_cookie
from proxy.cookies.vendor_cookies import allowed_set_cookies
from proxy.cookies.wp_consent import set_wp_cookies
from proxy.enforcement.browser_headers import (
    FETCHING_FIELDS,
    filter_fetching_headers,
    replace_values,
    restrict_document,
)
from proxy.enforcement.csp import CSP, CSP_REPORT_ONLY, NO_ASSETS, OwnAssets, amend, own_endpoints
from proxy.enforcement.shared_caching import keep_page_private, make_private, make_unstorable
from proxy.enforcement.site import SiteEnforcement
from proxy.html.owners import KnownVendor, Owner
from proxy.http.fetch_metadata import is_navigation
from proxy.http.field_names import FieldNames


class ResponseKind(StrEnum):
    """What a response is to a browser, as far as its head depends on that."""

    PAGE = "page"
    """HTML that is gated, sent as a whole or streamed."""
    UNGATED_PAGE = "ungated page"
    """A page, in HTML or XML, that could not be gated, or only by leaving markup out."""
    XML_DOCUMENT = "XML document"
    """XHTML, SVG or other XML that is shown as a page, gated."""
    SERVICE_WORKER = "service worker"
    WORKER = "worker"
    PART = "part"
    """206: bytes of a whole that the proxy has not seen."""
    FILE = "file"
    """All others: scripts, styles, images, data, redirects, errors without a page, 304."""
    UPGRADE = "upgrade"
    """101."""
    INTERIM = "interim"
    """1xx but 101."""


_DOCUMENTS = frozenset(
    {ResponseKind.PAGE, ResponseKind.UNGATED_PAGE, ResponseKind.XML_DOCUMENT}
)  # fmt: skip
_GATED = frozenset({ResponseKind.PAGE, ResponseKind.XML_DOCUMENT})
_WORKERS = frozenset({ResponseKind.SERVICE_WORKER, ResponseKind.WORKER})
_WITHOUT_POLICY = frozenset({ResponseKind.UPGRADE, ResponseKind.INTERIM})
"""Nothing of these is ever shown or run."""


def enforce(
    headers: CIMultiDict[str],
    kind: ResponseKind,
    context: RequestContext,
    site: SiteEnforcement,
    own: OwnAssets = NO_ASSETS,
) -> str:
    """Apply the decision to the head of a response, in place, and return our policy.

    `context` has the audience that the whole response declares. `own` are the assets that were
    added to a page: the origin's policies are amended for them.
    """
    if kind is ResponseKind.INTERIM:
        _filter_interim(headers, context, site)
        return ""
    _redirect_to_preferences(headers, context, site)
    differs = _filter(headers, context, site) if context.decision.enforce else False
    if kind in _DOCUMENTS and context.decision.enforce:
        _restrict_document(headers, context, site)
    if kind in _WORKERS:
        headers.popall("Service-Worker-Allowed", None)
    if kind in _WITHOUT_POLICY:
        return ""
    _amend_origin_policies(headers, own, context, site)
    governing = _policy_decision(kind, context)
    policy = _add_policy(headers, kind, context, site.policy(governing))
    if governing is not None and kind not in _DOCUMENTS:
        differs = True
    # The upstream got the decision: what it sends may be for visitors with this one only.
    differs = differs or bool(context.consent_header)
    _limit_caching(headers, kind, context, differs=differs)
    return policy


def page_head_depends_on(
    headers: CIMultiDict[str], context: RequestContext, site: SiteEnforcement
) -> Hashable | None:
    """What `enforce` reads of a context for the head of a page that is gated, beside the decision:
    with equal ones, equal fields and the same assets it does the same. None where the head gets
    cookies, which are one visitor's.
    """
    if context.load_once or site.wp_consent_cookies or "Set-Cookie" in headers:
        return None
    decision = context.decision
    if context.cookie_header and decision.audience is not Audience.PATIENT:
        openings = cookie_openings(context, decision)
        if any(site.cookies.is_closed(name, openings) for name in names_in(context.cookie_header)):
            return None
    # Addresses in fields are relative to the page's.
    url = context.target if _WITH_ADDRESSES.any_in(headers) else ""
    return context.site.name, context.scheme, context.authority, url


_WITH_ADDRESSES = FieldNames({*map(str.lower, FETCHING_FIELDS), "location"}.__contains__)


def _filter_interim(
    headers: CIMultiDict[str], context: RequestContext, site: SiteEnforcement
) -> None:
    """Filter the links of an interim response, which browsers fetch before the audience of the page
    is known: only those to the site's own hosts remain, whatever the visitor has allowed.
    """
    boundary = site.boundary
    filter_fetching_headers(
        headers, lambda url: boundary.owner(url, context.url) is not None, Audience.MARKETING
    )


def _redirect_to_preferences(
    headers: CIMultiDict[str], context: RequestContext, site: SiteEnforcement
) -> None:
    """A 307 or 308 repeats the visitor's POST at its target: through the origin's redirect, a form
    of the page or of another site would choose in the visitor's name.
    """
    boundary = site.boundary
    values = headers.getall("Location", ())
    if any(boundary.is_own_endpoint(value, context.url) for value in values):
        headers["Location"] = boundary.preferences_url


def _filter(headers: CIMultiDict[str], context: RequestContext, site: SiteEnforcement) -> bool:
    """Filter fetching fields and `Set-Cookie`. Returns whether another visitor would get another
    head: then no downstream cache may store it.
    """
    decision, boundary = context.decision, site.boundary
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
    if "Set-Cookie" in headers:
        index = site.cookies
        values = headers.getall("Set-Cookie")
        set_names = [value.partition("=")[0].strip() for value in values]
        differs = differs or any(map(index.vendors_of, set_names))
        openings = cookie_openings(context, decision)
        replace_values(headers, "Set-Cookie", allowed_set_cookies(values, index, openings))
    return differs


def _restrict_document(
    headers: CIMultiDict[str], context: RequestContext, site: SiteEnforcement
) -> None:
    """Restrict a document's features, and correct its cookies."""
    decision, rules = context.decision, context.site
    patient = decision.audience is Audience.PATIENT
    restrict_document(
        headers,
        decision.audience,
        advertising=decision.categories[Category.ADVERTISING],
        sensors=rules.patient_permissions if patient else rules.permissions,
        origin=f"{context.scheme}://{context.authority}",
        trustworthy=context.secure or _is_loopback(context.host),
    )
    if context.load_once:
        headers.add("Set-Cookie", set_load_once_cookie("", secure=context.secure))
    if not patient and context.cookie_header:
        openings = cookie_openings(context, decision)
        sent = names_in(context.cookie_header)
        names = [name for name in sent if site.cookies.is_closed(name, openings)]
        for value in expiring_set_cookies(names, context.host, context.path, secure=context.secure):
            headers.add("Set-Cookie", value)
    if site.wp_consent_cookies:
        for value in set_wp_cookies(
            context, context.visitor.preferences, context.site_decision, site.cookie_domain
        ):
            headers.add("Set-Cookie", value)


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "[::1]"} or host.endswith(".localhost") or host.startswith("127.")


def _policy_decision(kind: ResponseKind, context: RequestContext) -> Decision | None:
    """The decision whose policy a response carries; None for the closed one, under which no third
    party acts.

    What is no page gets the closed one, for it may be shown in a frame or a window all the same,
    whose globals its opener can then read; a script may be run as a worker later, from the
    browser's own cache. It is the same for everyone, so that any cache may store it. A worker is
    held to the policy of its script, whatever page starts it: on a site with patient pages it may
    do no more than all of its pages may.
    """
    if kind in _GATED:
        return context.decision
    if kind in _WORKERS and not context.site.has_patient_pages:
        return context.decision
    return None


def _add_policy(
    headers: CIMultiDict[str], kind: ResponseKind, context: RequestContext, policy: str
) -> str:
    """Add our own policy beside the origin's, and return it.

    In observe mode it is report-only on marketing pages; what a patient page could use as a way out
    (files in frames, scripts as workers) is enforced there too.
    """
    way_out = kind not in _DOCUMENTS and context.site.has_patient_pages
    headers.add(CSP if context.decision.enforce or way_out else CSP_REPORT_ONLY, policy)
    return policy


def _amend_origin_policies(
    headers: CIMultiDict[str], own: OwnAssets, context: RequestContext, site: SiteEnforcement
) -> None:
    if own is NO_ASSETS or not (CSP in headers or CSP_REPORT_ONLY in headers):
        return
    endpoints = (own_endpoints(context.authority, site.prefix),)
    libraries = site.boundary.libraries.hosts
    for name in (CSP, CSP_REPORT_ONLY):
        if name in headers:
            values = [amend(v, own, endpoints, libraries) for v in headers.getall(name)]
            replace_values(headers, name, values)


def _limit_caching(
    headers: CIMultiDict[str], kind: ResponseKind, context: RequestContext, *, differs: bool
) -> None:
    if kind is ResponseKind.XML_DOCUMENT and context.decision.enforce:
        # Written for this visitor, now: neither a cache nor the browser may show it again.
        make_unstorable(headers)
    elif kind in {ResponseKind.PAGE, ResponseKind.UNGATED_PAGE}:
        keep_page_private(headers)
    elif differs or kind is ResponseKind.XML_DOCUMENT:
        make_private(headers)


def leads_to_closed(
    request: web.BaseRequest,
    status: int,
    headers: CIMultiDict[str],
    context: RequestContext,
    site: SiteEnforcement,
) -> bool:
    """Whether a response redirects a subresource request, or what a form has sent, to a vendor that
    may not act. No other redirect of the visitor's own navigation is blocked.
    """
    decision = context.decision
    if "Location" not in headers or not decision.enforce:
        return False
    # These repeat the request's body at the target (RFC 9110, 15.4.8). Not every browser applies
    # form-action to redirects.
    sends_on = status in {307, 308} and request.method not in {"GET", "HEAD"}
    if is_navigation(request) and not sends_on:
        return False
    owner = site.boundary.owner(headers["Location"], context.url)
    return owner is not None and not _may_act(owner, decision)


def _may_act(owner: Owner, decision: Decision) -> bool:
    """Whether the owner of a URL may act: only vendors ever may."""
    return isinstance(owner, KnownVendor) and owner.id in decision.open


def cookie_openings(context: RequestContext, decision: Decision) -> frozenset[str]:
    """The vendors whose cookies are forwarded. A cookie goes to the whole site, not to one page's
    tags.
    """
    if decision.audience is Audience.PATIENT:
        return decision.open
    return context.site_decision.open


def marked_audience(marks: Iterable[str], context: RequestContext) -> Audience:
    """The audience of a page, given what the page itself declares."""
    return Audience.PATIENT if has_patient_mark(marks) else context.page_context.audience
