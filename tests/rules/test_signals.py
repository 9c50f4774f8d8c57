"""Consent Mode: all seven types, true to the state, in a script that is safe anywhere."""

from __future__ import annotations

import json
import re
from itertools import product

import pytest

from consent_rules.categories import Category
from consent_rules.signals import GOOGLE_VENDORS, consent_mode, consent_mode_script
from consent_rules.vendors import catalogue

TYPES = {
    "ad_storage": Category.ADVERTISING,
    "ad_user_data": Category.ADVERTISING,
    "ad_personalization": Category.ADVERTISING,
    "analytics_storage": Category.ANALYTICS,
    "functionality_storage": Category.FUNCTIONAL,
    "personalization_storage": Category.FUNCTIONAL,
    "security_storage": Category.NECESSARY,
}


@pytest.mark.parametrize("states", list(product([True, False], repeat=len(Category))))
def test_every_type_in_every_state(states: tuple[bool, ...]) -> None:
    categories = dict(zip(Category, states, strict=True))
    told = consent_mode(categories)
    assert told == {t: "granted" if categories[c] else "denied" for t, c in TYPES.items()}


def test_what_is_unknown_is_denied() -> None:
    assert set(consent_mode({}).values()) == {"denied"}


def test_script() -> None:
    script = consent_mode_script({Category.ANALYTICS: True})
    assert script.isascii()
    assert "<" not in script
    found = re.search(r"gtag\('consent','default',(\{[^}]*\})\)", script)
    assert found is not None
    assert json.loads(found[1]) == consent_mode({Category.ANALYTICS: True})
    assert script.index("dataLayer=") < script.index("gtag('consent'")
    assert "gtag('set','url_passthrough',false)" in script


def test_the_vendors_that_read_it_are_in_the_catalogue() -> None:
    assert set(catalogue()) >= GOOGLE_VENDORS
