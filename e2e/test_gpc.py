"""Global Privacy Control and regions: what holds when nobody pressed anything."""

from __future__ import annotations

import pytest

from consent_rules.categories import ALWAYS_ASKS, CHOOSABLE, SALE_OR_SHARING, Category
from e2e.approved import APPROVED, vendors_of
from e2e.conftest import NewVisitor
from e2e.site import EVERY_VENDOR
from e2e.visitor import PREFERENCE_COOKIE, until

OPT_OUT = {"CF-IPCountry": "US"}
OPT_IN = {"CF-IPCountry": "DE"}
GPC = {"Sec-GPC": "1"}


def test_opt_out_region_opens_all_but_what_always_asks(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=OPT_OUT)
    visitor.open(EVERY_VENDOR)
    expected = vendors_of(set(CHOOSABLE) - ALWAYS_ASKS)
    until(lambda: visitor.fired() >= expected, f"{expected} fire")
    visitor.settle()
    assert visitor.fired() == expected
    assert PREFERENCE_COOKIE not in visitor.cookies()


@pytest.mark.parametrize("headers", [OPT_IN, {}, {"CF-IPCountry": "XX"}])
def test_elsewhere_everything_asks(new_visitor: NewVisitor, headers: dict[str, str]) -> None:
    visitor = new_visitor(extra_http_headers=headers)
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()
    assert visitor.accept_button.is_visible()


def test_gpc_closes_advertising_and_social_in_an_opt_out_region(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=OPT_OUT | GPC)
    visitor.open(EVERY_VENDOR)
    expected = vendors_of(set(CHOOSABLE) - ALWAYS_ASKS - SALE_OR_SHARING)
    until(lambda: visitor.fired() >= expected, f"{expected} fire")
    visitor.settle()
    assert visitor.fired() == expected
    assert not {"_fbp", "li_fat_id", PREFERENCE_COOKIE} & set(visitor.cookies())


def test_gpc_elsewhere_changes_nothing_and_writes_nothing(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=GPC)
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()
    assert visitor.cookies() == {}


def test_explicit_choice_after_gpc_wins(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=OPT_OUT | GPC)
    visitor.open("/.consent/preferences")
    visitor.accept_all()
    visitor.forget()
    visitor.open(EVERY_VENDOR)
    until(lambda: visitor.fired() == APPROVED, f"{APPROVED} fire")


def test_refusal_holds_in_an_opt_out_region(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=OPT_OUT)
    visitor.open("/.consent/preferences")
    visitor.reject_all()
    visitor.forget()
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()


def test_the_sites_code_sees_the_signal(new_visitor: NewVisitor) -> None:
    """By the header, which the server saw, or by the property alone, where something on the way
    took the header off.
    """
    visitor = new_visitor(extra_http_headers=GPC)
    visitor.open("/")
    assert visitor.page.evaluate("consent.get().gpc") is True
    assert visitor.page.get_by_text("Opt-out preference signal honored").first.is_visible()
    visitor = new_visitor()
    visitor.context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true })"
    )
    visitor.open("/")
    assert visitor.page.evaluate("consent.get().gpc") is True
    visitor = new_visitor()
    visitor.open("/")
    assert visitor.page.evaluate("consent.get().gpc") is False


def test_a_choice_under_the_signal_wins_for_what_it_names_only(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=OPT_OUT | GPC)
    visitor.open(EVERY_VENDOR)
    visitor.choose([Category.ANALYTICS])
    visitor.forget()
    visitor.open(EVERY_VENDOR)
    expected = vendors_of([Category.ANALYTICS])
    until(lambda: visitor.fired() >= expected, f"{expected} fire")
    visitor.settle()
    assert visitor.fired() == expected
