"""The advice is such that its reader can follow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_rules.audit.remedies import contact_remedy
from consent_rules.categories import Audience
from consent_rules.decision import Reason
from tests.support.audits import catalogue_scope

BY_CATALOGUE = catalogue_scope()
BY_CONFIG = replace(BY_CATALOGUE, by_catalogue=False)
HOTJAR = BY_CATALOGUE.rules.vendors["hotjar"]
OF_A_CONFIG = ("first_party", "[[", "approve")


@pytest.mark.parametrize("audience", Audience)
def test_without_a_config_none_of_its_keys_is_named(audience: Audience) -> None:
    remedy = contact_remedy(None, "x.example:9", Reason.UNKNOWN, audience, BY_CATALOGUE)
    assert "audit with --own x.example:9" in remedy
    assert not [word for word in OF_A_CONFIG if word in remedy]


@pytest.mark.parametrize(
    ("audience", "words", "not_words"),
    [
        (Audience.MARKETING, ["name it in first_party", "[[vendor]] and approve it"], ["baa"]),
        (Audience.PATIENT, ["name it in first_party", "baa = true"], ["approve it"]),
    ],
)
def test_with_a_config_its_keys_are(
    audience: Audience, words: list[str], not_words: list[str]
) -> None:
    remedy = contact_remedy(None, "x.example", Reason.UNKNOWN, audience, BY_CONFIG)
    assert [word for word in words if word not in remedy] == []
    assert [word for word in not_words if word in remedy] == []


def test_on_a_patient_page_an_approval_alone_is_no_advice() -> None:
    marketing = contact_remedy(HOTJAR, "x", Reason.NO_TAG, Audience.MARKETING, BY_CONFIG)
    patient = contact_remedy(HOTJAR, "x", Reason.NO_TAG, Audience.PATIENT, BY_CONFIG)
    assert "tag add hotjar" in marketing
    assert "tag add" not in patient
    assert "baa = true" in patient
