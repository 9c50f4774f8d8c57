"""Consent calls: true to the state, whole, and in a script that is safe anywhere."""

from __future__ import annotations

import json
import re
from itertools import product

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import CHOOSABLE, Category
from consent_rules.signals.tag_signals import SIGNALS, SignalState, signal_script, signal_states
from consent_rules.vendors import Vendor

TYPES = {
    "ad_storage": Category.ADVERTISING,
    "ad_user_data": Category.ADVERTISING,
    "ad_personalization": Category.ADVERTISING,
    "analytics_storage": Category.ANALYTICS,
    "functionality_storage": Category.FUNCTIONAL,
    "personalization_storage": Category.FUNCTIONAL,
    "security_storage": Category.NECESSARY,
}
NOTHING = dict.fromkeys(Category, False) | {Category.NECESSARY: True}
ALL = dict.fromkeys(Category, True)


def vendors(*ids: str) -> list[Vendor]:
    return [catalogue()[one] for one in ids]


def said(
    *ids: str,
    categories: dict[Category, bool] = ALL,
    exceptions: dict[str, bool] | None = None,
    has_banner: bool = False,
) -> str:
    return signal_script(
        signal_states(vendors(*ids), categories, exceptions or {}), has_banner=has_banner
    )


@pytest.mark.parametrize("states", list(product([True, False], repeat=len(CHOOSABLE))))
def test_every_consent_mode_type_in_every_state(states: tuple[bool, ...]) -> None:
    categories = {Category.NECESSARY: True, **dict(zip(CHOOSABLE, states, strict=True))}
    (one,) = signal_states(vendors("google-tag-manager"), categories, {})
    assert dict(one.state) == {t: categories[c] for t, c in TYPES.items()}


def test_what_is_unknown_is_denied() -> None:
    (one,) = signal_states(vendors("google-analytics"), {}, {})
    assert {t for t, granted in one.state.items() if granted} == {"security_storage"}


@pytest.mark.parametrize(
    ("exceptions", "granted"),
    [
        ({"google-ads": True}, {"ad_storage", "ad_user_data", "ad_personalization"}),
        ({"google-analytics": True}, {"analytics_storage"}),
        ({"meta-pixel": True}, set()),
    ],
)
def test_what_was_said_of_a_vendor_alone_counts_for_its_types(
    exceptions: dict[str, bool], granted: set[str]
) -> None:
    both = vendors("google-ads", "google-analytics")
    (one,) = signal_states(both, NOTHING, exceptions)
    assert {t for t, yes in one.state.items() if yes} == granted | {"security_storage"}
    (one,) = signal_states(both, ALL, dict.fromkeys(exceptions, False))
    assert {t for t, yes in one.state.items() if not yes} == granted


def test_consent_mode_script() -> None:
    script = said("google-analytics", categories=NOTHING | {Category.ANALYTICS: True})
    found = re.search(r"gtag\('consent','default',(\{[^}]*\})\)", script)
    assert found is not None
    assert json.loads(found[1]) == {
        t: "granted" if c in {Category.ANALYTICS, Category.NECESSARY} else "denied"
        for t, c in TYPES.items()
    }
    assert script.index("queue('dataLayer'") < script.index("gtag('consent'")
    assert "gtag('set','url_passthrough',false)" in script
    assert "gtag('set','ads_data_redaction',true)" in script


@pytest.mark.parametrize(
    ("vendor", "call"),
    [
        ("microsoft-ads", """uetq('consent','default',{"ad_storage":"granted"})"""),
        (
            "microsoft-clarity",
            """clarity('consentv2',{"ad_Storage":"granted","analytics_Storage":"granted"})""",
        ),
        ("meta-pixel", "fbq('consent','grant')"),
        ("tiktok-pixel", "ttq(['grantConsent'])"),
        ("pinterest-tag", "pintrk('setconsent',true)"),
        ("xandr", """pixie('consent','default',{"ad_storage":"granted"})"""),
        (
            "hubspot",
            "_hsp(['setHubSpotConsent',"
            '{"analytics":true,"advertisement":true,"functionality":true}])',
        ),
    ],
)
def test_each_vendor_is_told_in_its_own_words(vendor: str, call: str) -> None:
    assert call in said(vendor)


def test_clarity_of_a_visitor_who_refused_advertising() -> None:
    script = said("microsoft-clarity", categories=NOTHING | {Category.SESSION_REPLAY: True})
    assert '{"ad_Storage":"denied","analytics_Storage":"granted"}' in script


def test_limited_data_use_where_only_the_vendor_was_allowed() -> None:
    limited = "fbq('dataProcessingOptions',['LDU'],0,0)"
    assert limited in said("meta-pixel", categories=NOTHING, exceptions={"meta-pixel": True})
    assert limited not in said("meta-pixel")


def test_only_those_that_may_act_are_told() -> None:
    assert said("google-fonts", "youtube") == ""
    script = said("microsoft-ads", "google-fonts")
    assert "uetq" in script
    assert not re.search("gtag|fbq|clarity|ttq|pintrk", script)


def test_a_later_choice_is_told_where_one_can_be_made() -> None:
    assert "'consent','update'" not in said("google-analytics")
    script = said("google-analytics", "meta-pixel", has_banner=True)
    assert "addEventListener('consent:change'" in script
    found = re.search(r"gtag\('consent','update',(\{[^}]*\})\)", script)
    assert found is not None
    assert set(re.findall(r'"(\w+)":c', found[1])) == set(TYPES)
    assert "window.fbq&&fbq('consent',c.advertising?'grant':'revoke')" in script


@pytest.mark.parametrize("has_banner", [True, False])
def test_the_script_is_safe_in_any_page(has_banner: bool) -> None:
    signalled = [v.id for v in catalogue().values() if v.signal]
    script = said(*signalled, has_banner=has_banner)
    assert script.isascii()
    assert "<" not in script
    assert "MODE" not in script
    assert "STATE" not in script


def test_the_catalogue_names_calls_that_are_known() -> None:
    named = {v.signal for v in catalogue().values() if v.signal}
    assert named == set(SIGNALS)
    assert {v.id for v in catalogue().values() if v.signal == "consent-mode"} == {
        "google-ads", "google-ad-manager", "google-analytics", "google-campaign-manager",
        "google-tag-manager",
    }  # fmt: skip


def test_nothing_to_tell_is_no_script() -> None:
    assert signal_script([], has_banner=True) == ""
    assert isinstance(signal_states([], ALL, {}), tuple)
    assert all(isinstance(one, SignalState) for one in signal_states(vendors("hubspot"), ALL, {}))
