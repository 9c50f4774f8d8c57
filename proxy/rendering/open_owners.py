"""Decision -> the owners whose gates are open."""

from __future__ import annotations

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from proxy.html.cmp_markup import category_owner
from proxy.html.gates import MARKETING_ONLY


def open_vendors(decision: Decision) -> frozenset[str]:
    if decision.audience is Audience.PATIENT:
        return decision.open
    return decision.open | {MARKETING_ONLY}


def open_owners(decision: Decision) -> frozenset[str]:
    """What `render` may leave open: vendors, and on marketing pages the categories that are."""
    patient = decision.audience is Audience.PATIENT
    allowed = (
        category_owner(category)
        for category, is_on in decision.categories.items()
        if is_on and (category is Category.NECESSARY or not patient)
    )
    return open_vendors(decision).union(allowed)
