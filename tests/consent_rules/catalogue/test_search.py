"""What a person may call a vendor, against the real catalogue."""

from __future__ import annotations

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.catalogue.search import meant_vendors


@pytest.mark.parametrize(
    ("word", "vendor"),
    [
        ("Google Analytics", "google-analytics"),
        ("google_analytics", "google-analytics"),
        ("googel-analytics", "google-analytics"),
        ("ga4", "google-analytics"),
        ("GTM", "google-tag-manager"),
        ("facebook", "meta-pixel"),
        ("Facebook Pixel", "meta-pixel"),
        ("hub spot", "hubspot"),
        ("clarity", "microsoft-clarity"),
        ("youtub", "youtube"),
    ],
)
def test_the_vendor_that_is_meant_is_among_the_three(word: str, vendor: str) -> None:
    found = meant_vendors(word, catalogue())
    assert vendor in found
    assert len(found) <= 3


@pytest.mark.parametrize("word", ["", "  ", "***", "quuxquuxquux"])
def test_nothing_is_made_up(word: str) -> None:
    assert meant_vendors(word, catalogue()) == ()
