"""Beside the banner and the link, the page is the origin's, and it works."""

from __future__ import annotations

import pytest

from e2e.conftest import NewVisitor
from e2e.site import EVERY_VENDOR, MARKETING_PAGES, PATIENT_PAGE
from e2e.visitor import PREFERENCES_LINK, Visitor

# Reads the text without the chat's (a closed vendor) and ours, and says what ours was.
TEXT = """ours => {
  document.querySelectorAll('#chat-button, #chat-panel').forEach(element => element.remove());
  const taken = [...document.querySelectorAll(ours)];
  const texts = taken.map(element => element.innerText);
  taken.forEach(element => element.remove());
  return [document.body.innerText.trim(), texts.join(' ')];
}"""
OURS = "#yc, #yc-l, #yc-o, .yc-h, .yc-d"


@pytest.mark.parametrize("javascript", [True, False])
def test_text_is_the_origins(new_visitor: NewVisitor, javascript: bool) -> None:
    original = new_visitor(java_script_enabled=javascript)
    proxied = new_visitor(java_script_enabled=javascript)
    for path in (*MARKETING_PAGES, PATIENT_PAGE):
        if path == EVERY_VENDOR:
            continue  # its video is replaced by a placeholder with text of our own
        original.open_origin(path)
        expected, nothing = original.page.evaluate(TEXT, OURS)
        assert nothing == ""
        proxied.open(path)
        text, ours = proxied.page.evaluate(TEXT, OURS)
        assert text == expected, path
        assert PREFERENCES_LINK in ours


def own_errors(visitor: Visitor) -> list[str]:
    """Errors on the console that are not a vendor's.

    What the policy stops of a vendor is reported with the vendor's address: that is its work.
    Chromium also reports the status of a page that is not there.
    """
    return [
        message.text
        for message in visitor.console
        if message.type == "error"
        and ".localhost:" not in message.text
        and "status of 404" not in message.text
    ]


@pytest.mark.parametrize("choice", ["none", "reject", "accept"])
def test_nothing_of_ours_makes_an_error(visitor: Visitor, choice: str) -> None:
    visitor.open("/")
    if choice == "accept":
        visitor.accept_all()
    elif choice == "reject":
        visitor.reject_all()
    for path in (*MARKETING_PAGES, PATIENT_PAGE):
        visitor.open(path)
        assert visitor.errors == [], path
        assert own_errors(visitor) == [], path


def test_preferences_page_makes_no_error(visitor: Visitor) -> None:
    visitor.open("/.consent/preferences")
    assert visitor.errors == []
    assert [m.text for m in visitor.console if m.type == "error"] == []
    assert visitor.hosts_asked() == set()


@pytest.mark.parametrize("path", ["/", "/product"])
def test_sites_own_code_survives_closed_gates(visitor: Visitor, path: str) -> None:
    # It calls gtag() and fbq() on a click, whether they are there or not.
    visitor.open("/")
    visitor.reject_all()
    visitor.open(path)
    visitor.page.evaluate("addEventListener('click', e => e.preventDefault(), true)")
    visitor.page.locator("[data-cta]").first.click()
    assert visitor.errors == []
    assert visitor.page.evaluate("document.documentElement.dataset.lastCta")
    visitor.settle()
    assert visitor.fired() == set()


def test_form_reaches_the_site(visitor: Visitor) -> None:
    visitor.open("/contact")
    visitor.page.get_by_label("Your name").fill("Dana Świt")
    visitor.page.get_by_label("Work e-mail").fill("dana@example.com")
    visitor.page.get_by_label("What happened?").fill("x" * 200_000)
    visitor.page.get_by_role("button", name="Send").click()
    visitor.settle()
    assert "Thank you, Dana Świt." in visitor.page.inner_text("main")
    assert visitor.accept_button.is_visible()
    assert visitor.fired() == set()


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_banner_fits_and_leaves_the_page_usable(new_visitor: NewVisitor, width: int) -> None:
    visitor = new_visitor(viewport={"width": width, "height": 740})
    visitor.open("/")
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in (visitor.accept_button, visitor.reject_button):
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["height"] >= 24  # WCAG 2.2, 2.5.8
    visitor.page.locator("header a", has_text="Blog").click()
    visitor.settle()
    assert visitor.page.url == visitor.demo.url("/blog/")


def test_banner_can_be_used_with_the_keyboard_alone(visitor: Visitor) -> None:
    visitor.open("/")
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        name = visitor.page.evaluate("document.activeElement.innerText || ''")
        if name.strip().lower().startswith("reject all"):
            break
    else:
        pytest.fail("Tab never reached Reject all")
    with visitor.page.expect_response(lambda r: r.url.endswith("/.consent/choice")):
        visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_load_state("load")
    visitor.settle()
    assert not visitor.reject_button.is_visible()
