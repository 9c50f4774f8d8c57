"""The dashboard in a browser: axe-core finds nothing, the keyboard reaches all, nobody else is
asked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from e2e.site import in_thread
from tests.support.dashboard import HOSTILE, TOKEN, Board, many_receipts, serving

PAGES = ("", "choices", "choices?period=365&by=region", "third-parties", "tags")
SIGHTINGS = [("cdn.example", "/"), (HOSTILE, f"/{HOSTILE}")]
_AXE = (
    "() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    ".then(found => found.violations.map(one => one.id + ': ' + one.nodes[0].html))"
)


@pytest.fixture(scope="module")
def board() -> Iterator[Board]:
    with (
        tempfile.TemporaryDirectory() as state,
        in_thread(serving(Path(state), receipts=many_receipts(), sightings=SIGHTINGS)) as running,
    ):
        yield running


@pytest.fixture
def tab(browser: Browser, board: Board) -> Iterator[Page]:
    """A tab that fails its test where anything but the dashboard is asked, or the policy refuses
    something.
    """
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert not [url for url in asked if not url.startswith(f"{board.url}/dashboard/")]
    assert not complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_overflows(tab: Page, board: Board, scheme: str) -> None:
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for path in PAGES:
        tab.goto(f"{board.url}/dashboard/{path}")
        for details in tab.locator("details > summary").all():
            details.click()
        tab.evaluate(axe + ";0")
        assert tab.evaluate(_AXE) == [], path
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_the_keyboard_reaches_everything(tab: Page, board: Board) -> None:
    tab.goto(f"{board.url}/dashboard/choices")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "To the content"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    for expected in ("period", "site", "by"):
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.id") == expected
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # Show
    tab.wait_for_url("**/dashboard/choices?period=30&site=&by=category")
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getAttribute('role')") == "region"


def test_a_closed_door_opens_with_the_token(browser: Browser, tmp_path: Path) -> None:
    more = '[dashboard]\ntoken = "${DASHBOARD_TOKEN}"\n'
    with in_thread(serving(tmp_path, listen="0.0.0.0:8081", more=more)) as board:
        context = browser.new_context()
        tab = context.new_page()
        tab.goto(f"{board.url}/dashboard/tags")
        assert tab.url.endswith("/dashboard/sign-in")
        tab.keyboard.type("wrong")  # the field has the focus
        tab.keyboard.press("Enter")
        tab.wait_for_selector("[role=alert]")
        tab.keyboard.type(TOKEN)
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/dashboard/")
        assert tab.evaluate("document.cookie") == ""
        tab.get_by_role("button", name="Sign out").click()
        tab.wait_for_url("**/dashboard/sign-in")
        tab.goto(f"{board.url}/dashboard/")
        assert tab.url.endswith("/dashboard/sign-in")
        context.close()
