"""What a person may call a vendor, against the real catalogue."""

from __future__ import annotations

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.config.vendor_search import closest_vendors, find_vendors, sure_vendor


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
    found = closest_vendors(word, catalogue())
    assert vendor in found
    assert len(found) <= 3


@pytest.mark.parametrize("word", ["", "  ", "***", "quuxquuxquux"])
def test_nothing_is_made_up(word: str) -> None:
    assert closest_vendors(word, catalogue()) == ()


@pytest.mark.parametrize(
    ("text", "vendor"),
    [
        ("Google Maps", "google-maps"),
        ("G-ABC1234", "google-analytics"),
        ("GTM-ABCD12", "google-tag-manager"),
        ("gtm-abcd12", "google-tag-manager"),
        ("AW-123456789", "google-ads"),
        ("AW-123456789/AbC-D_efG", "google-ads"),
        ("UA-12345-1", "google-analytics"),
        ("ca-pub-1234567890", "google-ad-manager"),
        ("gtag", "google-analytics"),
        ("fbq", "meta-pixel"),
        ("_paq", "matomo"),
        ("hj", "hotjar"),
        ("ttq", "tiktok-pixel"),
        ("_fbp", "meta-pixel"),
        ("https://www.googletagmanager.com/gtag/js?id=G-1", "google-analytics"),
        ("//static.hotjar.com/c/hotjar-1.js?sv=6", "hotjar"),
        ("snap.licdn.com", "linkedin-insight"),
        ("maps.googleapis.com/maps/api/js", "google-maps"),
        ('<script async src="https://connect.facebook.net/en_US/fbevents.js"></script>',
         "meta-pixel"),
        ("<script>fbq('init', '123'); fbq('track', 'PageView');</script>", "meta-pixel"),
        ('<iframe src="https://www.youtube.com/embed/abc"></iframe>', "youtube"),
        ("adwords", "google-ads"),
    ],
)  # fmt: skip
def test_what_people_have_of_a_vendor(text: str, vendor: str) -> None:
    assert find_vendors(text, catalogue())[0] == vendor
    assert sure_vendor(text, catalogue()) == vendor


def test_a_tag_for_ads_with_its_loader_is_found() -> None:
    pasted = """<!-- Google tag (gtag.js) -->
    <script async src="https://www.googletagmanager.com/gtag/js?id=AW-1"></script>
    <script>window.dataLayer = window.dataLayer || [];
    function gtag(){dataLayer.push(arguments);} gtag('js', new Date());
    gtag('config', 'AW-1');</script>"""
    assert sure_vendor(pasted, catalogue()) == "google-ads"


@pytest.mark.parametrize("text", ["facebook", "google", "linkedin", "analytics", "qqqq", "", "<b>"])
def test_what_may_mean_several_is_for_a_person_to_say(text: str) -> None:
    assert sure_vendor(text, catalogue()) is None


def test_a_host_that_two_share_is_both() -> None:
    assert set(find_vendors("connect.facebook.net", catalogue())) == {
        "meta-pixel",
        "facebook-social",
    }


def test_every_vendor_is_found_by_its_id_name_and_address() -> None:
    known = catalogue()
    for vendor in known.values():
        assert sure_vendor(vendor.id, known) == vendor.id
        assert vendor.id in find_vendors(vendor.name, known), vendor.name
