"""Decision -> the owners whose gates are open."""

from __future__ import annotations

from collections.abc import Iterator

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from proxy.html.owners import MARKETING_ONLY, AllowedCategory, Owner, known_vendor


def open_owners(decision: Decision) -> frozenset[Owner]:
    """The owners whose gates are open: vendors, and on marketing pages the allowed categories."""
    return frozenset(_open(decision))


def _open(decision: Decision) -> Iterator[Owner]:
    yield from map(known_vendor, decision.open)
    patient = decision.audience is Audience.PATIENT
    if not patient:
        yield MARKETING_ONLY
    for category, is_on in decision.categories.items():
        if is_on and (category is Category.NECESSARY or not patient):
            yield AllowedCategory(category)
