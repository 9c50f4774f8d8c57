"""Decision -> the owners whose gates are open."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from proxy.html.owners import MARKETING_ONLY, AllowedCategory, Owner, known_vendor


def open_owners(decision: Decision) -> frozenset[Owner]:
    """The owners whose gates are open: vendors, and on marketing pages the allowed categories."""
    allowed = tuple([category for category, is_on in decision.categories.items() if is_on])
    return _remembered(decision.open, allowed, decision.audience is Audience.PATIENT)


def _owners(
    vendors: frozenset[str], allowed: tuple[Category, ...], patient: bool
) -> frozenset[Owner]:
    return frozenset(_open(vendors, allowed, patient))


_remembered = lru_cache(maxsize=256)(_owners)


def _open(vendors: frozenset[str], allowed: tuple[Category, ...], patient: bool) -> Iterator[Owner]:
    yield from map(known_vendor, vendors)
    if not patient:
        yield MARKETING_ONLY
    for category in allowed:
        if category is Category.NECESSARY or not patient:
            yield AllowedCategory(category)
