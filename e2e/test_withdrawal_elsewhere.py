"""Withdrawal reaches what the browser keeps alive: pages to go back to, and other tabs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from e2e.chromium import LOOPBACK, launch
from e2e.site import RunningDemo
from e2e.visitor import PREFERENCE_COOKIE, Visitor, until

HEARTBEAT = 2500
"""Milliseconds; the recorder reports, and renews its cookies, every two seconds."""


@pytest.fixture(scope="module")
def remembering(playwright_driver: Playwright) -> Iterator[Browser]:
    """A browser that keeps pages alive to go back to, as people's do; Playwright's does not."""
    chromium = launch(playwright_driver, [LOOPBACK], without=["--disable-back-forward-cache"])
    yield chromium
    chromium.close()


@pytest.fixture
def visitor(demo_site: RunningDemo, remembering: Browser) -> Iterator[Visitor]:
    demo_site.ledger.reset()
    someone = Visitor(demo_site, remembering.new_context())
    yield someone
    someone.context.close()


def go_back(visitor: Visitor) -> None:
    # Playwright's own go_back() waits for a load, and a page that was kept alive has none.
    session = visitor.context.new_cdp_session(visitor.page)
    history = session.send("Page.getNavigationHistory")
    entry = history["entries"][history["currentIndex"] - 1]
    session.send("Page.navigateToHistoryEntry", {"entryId": entry["id"]})
    visitor.page.wait_for_timeout(HEARTBEAT)


def recording(visitor: Visitor, path: str) -> None:
    visitor.open(path)
    until(lambda: "hotjar" in visitor.fired(), "the recorder runs")


def test_page_kept_alive_runs_on_while_it_may(visitor: Visitor) -> None:
    visitor.open("/product")
    visitor.accept_all()
    recording(visitor, "/")
    visitor.open("/.consent/preferences")
    visitor.forget()
    go_back(visitor)
    assert visitor.fired() >= {"hotjar"}


def test_page_kept_alive_is_silent_after_withdrawal(visitor: Visitor) -> None:
    visitor.open("/product")
    visitor.accept_all()
    recording(visitor, "/")
    visitor.open("/.consent/preferences")
    visitor.reject_all()
    visitor.forget()
    for _ in range(3):
        go_back(visitor)
    assert visitor.fired() == set()
    assert set(visitor.cookies()) == {PREFERENCE_COOKIE}


def test_other_tab_is_silent_after_withdrawal(visitor: Visitor) -> None:
    visitor.open("/product")
    visitor.accept_all()
    recording(visitor, "/")
    visitor.page, other = visitor.context.new_page(), visitor.page
    visitor.open("/.consent/preferences")
    visitor.page.get_by_role("button", name="Reject all").click()
    visitor.page.get_by_text("Saved.").wait_for()
    other.wait_for_timeout(HEARTBEAT)
    visitor.forget()
    other.wait_for_timeout(HEARTBEAT)
    assert visitor.fired() == set()
    # What the old document writes while the new one is on its way goes with the next request.
    other.reload()
    assert set(visitor.cookies()) == {PREFERENCE_COOKIE}
