"""Everything a visitor needs works without JavaScript, and the pixels for that case are gated."""

from __future__ import annotations

import pytest

from e2e.approved import vendors_of
from e2e.conftest import NewVisitor
from e2e.site import EVERY_VENDOR
from e2e.visitor import PREFERENCE_COOKIE, Visitor, until

NOSCRIPT = {"google-tag-manager", "google-analytics", "meta-pixel", "linkedin-insight", "youtube"}
"""What fires with JavaScript off: pixels, the container's frame and what is in it, the video."""


@pytest.fixture
def plain(new_visitor: NewVisitor) -> Visitor:
    return new_visitor(java_script_enabled=False)


def test_without_the_proxy_the_pixels_fire(plain: Visitor) -> None:
    plain.open_origin(EVERY_VENDOR)
    until(lambda: plain.fired() >= NOSCRIPT, f"{NOSCRIPT} fire")


def test_banner_asks_and_nothing_fires(plain: Visitor) -> None:
    plain.open(EVERY_VENDOR)
    assert plain.accept_button.is_visible()
    assert plain.reject_button.is_visible()
    assert plain.fired() == set()
    assert plain.hosts_asked() == set()


def test_accepting_by_plain_form_opens_the_pixels(plain: Visitor) -> None:
    plain.open(EVERY_VENDOR)
    plain.accept_all()
    assert plain.page.url == plain.demo.url(EVERY_VENDOR)
    until(lambda: plain.fired() >= NOSCRIPT, f"{NOSCRIPT} fire")
    plain.settle()
    assert plain.fired() == NOSCRIPT
    assert not plain.accept_button.is_visible()


def test_rejecting_by_plain_form_keeps_them_shut(plain: Visitor) -> None:
    plain.open(EVERY_VENDOR)
    plain.reject_all()
    assert plain.page.url == plain.demo.url(EVERY_VENDOR)
    assert not plain.reject_button.is_visible()
    plain.open("/")
    assert plain.fired() == set()
    assert set(plain.cookies()) == {PREFERENCE_COOKIE}


def test_preferences_page_chooses_and_withdraws(plain: Visitor) -> None:
    plain.open("/")
    plain.preferences_link.click()
    plain.settle()
    assert "/.consent/preferences" in plain.page.url
    plain.choose(["advertising"])
    plain.forget()
    plain.open(EVERY_VENDOR)
    expected = vendors_of(["advertising"]) & NOSCRIPT
    until(lambda: plain.fired() >= expected, f"{expected} fire")
    plain.settle()
    # The container's frame is the tag manager's own page: what is in it, its own policy rules.
    assert plain.fired() - {"google-analytics"} == expected
    plain.open("/.consent/preferences")
    plain.reject_all()
    plain.forget()
    plain.open(EVERY_VENDOR)
    assert plain.fired() == set()
