"""What the visitor chose is what fires: all, none, one category, and none again."""

from __future__ import annotations

import pytest

from consent_rules.categories import CHOOSABLE, Category
from e2e.approved import APPROVED, OFFERED, VIDEO, vendors_of
from e2e.site import EVERY_VENDOR, MARKETING_PAGES
from e2e.visitor import PREFERENCE_COOKIE, Visitor, until
from examples.demo.vendors import UNAPPROVED

TRACKER_COOKIES = {
    "_ga",
    "_ga_BWDEMO0001",
    "_ga_BWGTM00001",
    "_fbp",
    "li_fat_id",
    "_hjSession_3100041",
    "_hjSessionUser_3100041",
}


def test_accept_all_fires_each_approved_vendor_and_no_other(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    visitor.accept_all()
    until(lambda: visitor.fired() >= APPROVED, f"{APPROVED - visitor.fired()} fire too")
    visitor.settle()
    assert visitor.fired() == APPROVED
    assert not visitor.accept_button.is_visible()
    assert set(visitor.cookies()) >= TRACKER_COOKIES
    assert "mm_id" not in visitor.cookies()


def test_acceptance_holds_on_every_page(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    for path in MARKETING_PAGES:
        visitor.leave()
        visitor.open(path)
        expected = APPROVED - (set() if path == EVERY_VENDOR else {VIDEO})
        until(lambda: visitor.fired() >= expected, f"{expected} fire on {path}")  # noqa: B023
        assert UNAPPROVED not in visitor.fired()
        assert not visitor.accept_button.is_visible()
        assert visitor.preferences_link.count() == 1


@pytest.mark.parametrize("category", OFFERED)
def test_one_category_alone_fires_its_vendors_alone(visitor: Visitor, category: Category) -> None:
    visitor.choose([category])
    visitor.forget()
    visitor.open(EVERY_VENDOR)
    expected = vendors_of([category])
    until(lambda: visitor.fired() >= expected, f"{expected} fire, not only {visitor.fired()}")
    visitor.settle()
    assert visitor.fired() == expected


def test_what_the_container_loads_is_held_to_the_choice(visitor: Visitor) -> None:
    visitor.choose([Category.ANALYTICS])
    visitor.forget()
    visitor.open("/")
    hits = visitor.demo.ledger.hits
    until(lambda: any("via=gtm" in hit.query for hit in hits), "the container's analytics fires")
    visitor.settle()
    assert {hit.vendor for hit in hits if "via=gtm" in hit.query} == {"google-analytics"}
    assert "_fbp" not in visitor.cookies()
    visitor.choose([Category.ADVERTISING])
    visitor.forget()
    visitor.open("/")
    until(lambda: any("via=gtm" in hit.query for hit in hits), "the container's pixel fires")
    visitor.settle()
    # The container and the analytics it loads come from one host: its path tells them apart.
    assert {hit.vendor for hit in hits if "via=gtm" in hit.query} == {"meta-pixel"}
    assert not {name for name in visitor.cookies() if name.startswith("_ga")}


def test_reject_all_silences_every_vendor_for_good(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    visitor.reject_all()
    assert not visitor.reject_button.is_visible()
    for path in (EVERY_VENDOR, *MARKETING_PAGES):
        visitor.open(path)
        assert not visitor.reject_button.is_visible(), path
        assert visitor.preferences_link.count() == 1, path
    visitor.page.reload()
    visitor.settle()
    assert not visitor.reject_button.is_visible()
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()
    assert set(visitor.cookies()) == {PREFERENCE_COOKIE}


def test_withdrawal_silences_what_ran_and_removes_its_cookies(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    until(lambda: set(visitor.cookies()) >= TRACKER_COOKIES, "the trackers set their cookies")
    visitor.preferences_link.click()
    visitor.settle()
    visitor.reject_all()
    visitor.forget()
    for path in MARKETING_PAGES:
        visitor.open(path)
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()
    assert set(visitor.cookies()) == {PREFERENCE_COOKIE}


def test_withdrawing_one_category_removes_its_cookies_only(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    until(lambda: set(visitor.cookies()) >= TRACKER_COOKIES, "the trackers set their cookies")
    visitor.choose({*CHOOSABLE} - {Category.SESSION_REPLAY})
    visitor.forget()
    visitor.open("/")
    until(lambda: "google-analytics" in visitor.fired(), "analytics still fires")
    names = set(visitor.cookies())
    assert "hotjar" not in visitor.fired()
    assert {"_ga", "_fbp"} <= names
    assert not {name for name in names if name.startswith("_hj")}


def test_going_back_after_withdrawal_wakes_nothing(visitor: Visitor) -> None:
    visitor.open("/product")
    visitor.accept_all()
    visitor.open("/")
    visitor.preferences_link.click()
    visitor.settle()
    visitor.reject_all()
    visitor.forget()
    # Back over every page that was shown while everything was open.
    for _ in range(5):
        visitor.page.go_back()
        visitor.settle()
        assert visitor.fired() == set(), visitor.page.url


def test_changed_mind_opens_again(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.reject_all()
    visitor.preferences_link.click()
    visitor.settle()
    visitor.accept_all()
    visitor.forget()
    visitor.open(EVERY_VENDOR)
    until(lambda: visitor.fired() == APPROVED, f"{APPROVED} fire")
