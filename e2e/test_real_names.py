"""The vendors under their true names: the catalogue alone recognises what the pages carry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from consent_rules.categories import Category
from e2e.approved import APPROVED, OFFERED, vendors_of
from e2e.chromium import launch
from e2e.real_names import demo_with_real_names, resolver_rules
from e2e.site import EVERY_VENDOR, PATIENT_PAGE, RunningDemo
from e2e.visitor import Visitor, until
from examples.demo.vendors import VENDORS


@pytest.fixture(scope="module")
def real_demo() -> Iterator[RunningDemo]:
    with demo_with_real_names() as running:
        yield running


@pytest.fixture(scope="module")
def real_browser(playwright_driver: Playwright, real_demo: RunningDemo) -> Iterator[Browser]:
    chromium = launch(playwright_driver, [resolver_rules(real_demo.ports.vendors)])
    yield chromium
    chromium.close()


@pytest.fixture
def visitor(real_demo: RunningDemo, real_browser: Browser) -> Iterator[Visitor]:
    real_demo.ledger.reset()
    someone = Visitor(real_demo, real_browser.new_context(ignore_https_errors=True))
    yield someone
    someone.context.close()


def test_without_the_proxy_every_vendor_fires(visitor: Visitor) -> None:
    visitor.open_origin(EVERY_VENDOR)
    until(lambda: visitor.fired() == set(VENDORS), f"all fire, not only {visitor.fired()}")


def test_nothing_fires_before_a_choice(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    assert visitor.accept_button.is_visible()
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()


def test_accept_all_fires_the_approved(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    visitor.accept_all()
    until(lambda: visitor.fired() >= APPROVED, f"{APPROVED - visitor.fired()} fire too")
    visitor.settle()
    assert visitor.fired() == APPROVED
    visitor.leave()
    visitor.open(PATIENT_PAGE)
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()


@pytest.mark.parametrize("category", OFFERED)
def test_one_category_alone(visitor: Visitor, category: Category) -> None:
    visitor.choose([category])
    visitor.forget()
    visitor.open(EVERY_VENDOR)
    expected = vendors_of([category])
    until(lambda: visitor.fired() >= expected, f"{expected} fire, not only {visitor.fired()}")
    visitor.settle()
    assert visitor.fired() == expected
