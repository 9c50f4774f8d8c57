"""How bad a finding is, and what mends it."""

from __future__ import annotations

from consent_rules.audit.findings import Rule, Severity
from consent_rules.audit.scope import AuditScope
from consent_rules.audit.states import AuditState
from consent_rules.categories import Audience, Category
from consent_rules.decision import UNCHOOSABLE, Reason, VendorDecision
from consent_rules.vendors import Vendor
from consent_rules.wording import category_words

_SERVICES = frozenset({Category.NECESSARY, Category.FUNCTIONAL})
_UNAPPROVED = UNCHOOSABLE | {Reason.UNKNOWN}


def contact_severity(
    vendor: Vendor | None, decided: VendorDecision, state: AuditState, audience: Audience | None
) -> Severity:
    """The severity of a request, a cookie or a storage entry of a receiver that may not act."""
    is_service = vendor is not None and (vendor.category in _SERVICES or vendor.looks)
    if audience is Audience.PATIENT:
        return Severity.HIGH if is_service else Severity.CRITICAL
    if is_service:
        return Severity.MEDIUM
    accepted = bool(state.allowed)
    if accepted and decided.reason in _UNAPPROVED:
        return Severity.MEDIUM
    return Severity.HIGH


_BAA = "an agreement for patients' data that its [[tag]] names (baa = true)"


def contact_remedy(
    vendor: Vendor | None, host: str, reason: Reason, audience: Audience, scope: AuditScope
) -> str:
    """What mends a request to a receiver that may not act."""
    on_patient_page = audience is Audience.PATIENT
    if vendor is None:
        return _remedy_of_unknown(host, scope, on_patient_page=on_patient_page)
    name, site = vendor.name, scope.site.name
    match reason:
        case Reason.PATIENT_PAGE:
            return f"Take {name} off the pages for patients: no choice permits it there."
        case Reason.NO_TAG if on_patient_page:
            return f"Take {name} off the pages for patients. It may stay only with {_BAA}."
        case Reason.NO_TAG:
            return (
                f"Nobody approved {name} for this page. Take it off, or approve it: "
                f"consent-proxy tag add {vendor.id} --site {site}."
            )
        case Reason.EXPIRED_TAG | Reason.NOT_YET_APPROVED:
            return f"The approval of {name} does not hold today: renew its [[tag]], or take it off."
    if scope.by_catalogue:
        return (
            f"Load {name} only after the visitor allowed {category_words(vendor.category)}, and "
            "stop it when that is withdrawn."
        )
    return (
        f'Have consent-proxy serve the page, with mode = "enforce" for the site: {name} is '
        "approved, but must wait until the visitor allows it."
    )


def _remedy_of_unknown(host: str, scope: AuditScope, *, on_patient_page: bool) -> str:
    if scope.by_catalogue:
        is_own = f"If it is the site's own, audit with --own {host}"
        needed = "load it only after the visitor allowed it"
    else:
        is_own = "If it is the site's own, name it in first_party"
        needed = "describe it as a [[vendor]] and approve it"
    if on_patient_page:
        needed = f"it may stay only with {_BAA}"
        if scope.by_catalogue:
            needed = "it may stay only with an agreement for patients' data"
    return (
        f"Find out who {host} is. {is_own}; if it is needed, {needed}; else take it off the page."
    )


_DATA_REMEDIES = {
    Rule.PAGE_DATA: "Take the receiver off the pages for patients, and send no referrer from them.",
    Rule.QUERY_DATA: "Keep what visitors type or look for out of addresses (send forms by "
    "POST), or have the tag send the address without its query.",
    Rule.FORM_DATA: "Switch off automatic advanced matching, enhanced conversions and form capture "
    "in the vendor's settings, and keep its script off pages with forms.",
    Rule.STORED_ID: "Have the server drop the identifier unless the visitor allowed the vendor: "
    "server-side tagging needs the same consent.",
}


def data_remedy(rule: Rule) -> str:
    return _DATA_REMEDIES[rule]


def cookie_remedy(vendor: Vendor | None, host: str, scope: AuditScope) -> str:
    """What mends a cookie or a storage entry."""
    who = host if vendor is None else vendor.name
    if vendor is not None and scope.by_catalogue:
        return (
            f"Set it only after the visitor allowed {category_words(vendor.category)}, on the "
            "server too, and delete it when that is withdrawn."
        )
    return f"Find what sets it, the server included, and hold {who} to the visitor's choice."
