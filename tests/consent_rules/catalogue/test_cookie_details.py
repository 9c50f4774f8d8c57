"""What the declaration says of cookies: of known vendors and cookies only, in known words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_rules.catalogue.cookie_details import (
    SESSION,
    CookiePurpose,
    details_of,
    known_details,
    normal_lifetime,
    third_party_details,
)
from consent_rules.catalogue.load import catalogue
from consent_rules.vendors import CookieDetail


def test_every_detail_is_of_a_cookie_of_the_catalogue() -> None:
    vendors = catalogue()
    for vendor, details in known_details().items():
        assert vendor in vendors, vendor
        assert {detail.name for detail in details} <= set(vendors[vendor].cookies), vendor


def test_lifetimes_and_purposes_are_in_our_words() -> None:
    purposes = {"", *CookiePurpose}
    for vendor, details in known_details().items():
        for detail in details:
            assert detail.purpose in purposes, (vendor, detail)
            if detail.lifetime:
                assert normal_lifetime(detail.lifetime) == detail.lifetime, (vendor, detail)


def test_the_usual_vendors_are_known_in_full() -> None:
    for vendor in ("google-analytics", "meta-pixel", "linkedin-insight", "hotjar", "hubspot"):
        known = details_of(catalogue()[vendor])
        assert all(detail.lifetime and detail.purpose for detail in known if "*" not in detail.name)


def test_the_configs_word_comes_before_ours() -> None:
    vendor = catalogue()["meta-pixel"]
    own = CookieDetail("_fbp", "7 days", "Counts visits to our blog")
    vendor = replace(vendor, cookie_details=(own,), cookies=(*vendor.cookies, "new"))
    details = {detail.name: detail for detail in details_of(vendor)}
    assert details["_fbp"] == own
    assert details["_fbc"].lifetime == "90 days"
    assert details["new"] == CookieDetail("new")


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("Session", SESSION),
        ("2 years", "2 years"),
        ("1 years", "1 year"),
        (" 30  Minutes ", "30 minutes"),
        ("13 month", "13 months"),
    ],
)
def test_lifetimes_are_made_normal(given: str, normal: str) -> None:
    assert normal_lifetime(given) == normal


@pytest.mark.parametrize(
    "wrong", ["", "2", "years", "0 days", "-1 day", "1 fortnight", "1 day ago"]
)
def test_what_is_no_lifetime_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a lifetime"):
        normal_lifetime(wrong)


@pytest.mark.parametrize(
    ("vendor", "cookies"),
    [
        # policies.google.com/technologies/cookies
        (
            "youtube",
            {"VISITOR_INFO1_LIVE": "6 months", "YSC": SESSION, "__Secure-YEC": "13 months",
             "PREF": "8 months"},
        ),
        ("google-maps", {"NID": "6 months"}),
        # help.vimeo.com/hc/en-us/articles/26080940921361
        (
            "vimeo",
            {"vuid": "2 years", "player": "1 year", "flags": "1 year", "player_clearance": "7 days",
             "__cf_bm": "30 minutes", "_cfuvid": SESSION, "cf_clearance": "1 year"},
        ),
    ],
)  # fmt: skip
def test_embeds_cookies_are_those_of_the_vendors_own_pages(
    vendor: str, cookies: dict[str, str]
) -> None:
    known = {one.name.partition(" ")[0]: one.lifetime for one in third_party_details()[vendor]}
    assert known == cookies
