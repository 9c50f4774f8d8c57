"""Which of the demo's vendors should fire for a choice, said by the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import CHOOSABLE, Category
from examples.demo.vendors import UNAPPROVED, VENDORS

TAG_MANAGER = "google-tag-manager"
VIDEO = "youtube"
APPROVED = frozenset(VENDORS) - {UNAPPROVED}
OFFERED = tuple(c for c in CHOOSABLE if c in {catalogue()[v].category for v in APPROVED})
"""The categories with a switch: a site without social vendors does not ask about them."""


def vendors_of(categories: Iterable[Category | str]) -> set[str]:
    """Approved vendors of these categories; the tag manager when it serves one of them."""
    wanted = {Category(category) for category in categories}
    known = {vendor: catalogue()[vendor] for vendor in APPROVED}
    return {
        vendor for vendor, table in known.items() if wanted & set(table.serves or (table.category,))
    }
