"""What law asks for, as a visitor meets it. Each test is named after its row in the table of
requirements that `docs/banner.md` shows."""

from __future__ import annotations

import base64
import json
import time
import urllib.request

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import ALWAYS_ASKS, CHOOSABLE, SALE_OR_SHARING
from consent_rules.regions import region_laws
from e2e.approved import APPROVED, OFFERED, TAG_MANAGER, VIDEO, vendors_of
from e2e.conftest import NewVisitor
from e2e.site import EVERY_VENDOR, MARKETING_PAGES, PATIENT_PAGE
from e2e.visitor import PREFERENCE_COOKIE, Visitor, until

CALIFORNIA = {"CF-IPCountry": "US", "CF-Region-Code": "CA"}
GPC = {"Sec-GPC": "1"}
LOOK = """button => {
  const style = getComputedStyle(button), box = button.getBoundingClientRect();
  const {color, backgroundColor, font, border, borderRadius, opacity} = style;
  return [color, backgroundColor, font, border, borderRadius, opacity,
          ...[box.width, box.height, box.top].map(Math.round)].join(' | ');
}"""


def banner_buttons_look_alike(visitor: Visitor) -> None:
    accept = visitor.page.eval_on_selector('#yc button[value="accept_all"]', LOOK)
    assert accept == visitor.page.eval_on_selector('#yc button[value="reject_all"]', LOOK)


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_c1_refusing_is_as_easy_as_accepting(new_visitor: NewVisitor, width: int) -> None:
    visitor = new_visitor(viewport={"width": width, "height": 740})
    visitor.open("/")
    banner_buttons_look_alike(visitor)
    # One press each, on the first layer.
    assert visitor.accept_button.is_visible() and visitor.reject_button.is_visible()
    visitor.reject_all()
    assert PREFERENCE_COOKIE in visitor.cookies()
    assert not visitor.reject_button.is_visible()


def test_c2_silence_is_a_refusal(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    visitor.page.mouse.wheel(0, 2000)
    visitor.page.keyboard.press("Escape")
    visitor.page.locator("main p").first.click()
    visitor.open("/product")
    assert visitor.reject_button.is_visible()
    assert visitor.fired() == set()
    assert visitor.cookies() == {}


def test_c3_nothing_is_ticked_before_a_choice(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.page.get_by_role("button", name="Choose").click()
    boxes = visitor.page.locator("#yc input[name=category]")
    assert boxes.count() == len(OFFERED)
    assert not any(box.is_checked() for box in boxes.all())
    visitor.open("/.consent/preferences")
    boxes = visitor.page.locator("input[type=checkbox]")
    assert boxes.count() >= len(OFFERED)
    assert not any(box.is_checked() for box in boxes.all())


def test_c4_purposes_come_first_and_every_recipient_can_be_read(visitor: Visitor) -> None:
    visitor.open("/")
    first_layer = visitor.page.inner_text("#yc")
    for purpose in ("extra features", "visitor statistics", "visit recordings", "advertising"):
        assert purpose in first_layer
    visitor.page.get_by_role("button", name="Choose").click()
    # Before, a press counts as part of the one that opened the switches.
    visitor.page.wait_for_timeout(550)
    visitor.page.get_by_role("link", name="Details and companies").click()
    visitor.settle()
    text = visitor.page.text_content("main") or ""
    for vendor in APPROVED:
        assert catalogue()[vendor].name in text


def test_c5_withdrawing_takes_two_presses_on_any_page(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    for path in MARKETING_PAGES:
        visitor.page.goto(visitor.demo.url(path))
        assert visitor.preferences_link.count() == 1, path
    visitor.preferences_link.click()
    visitor.settle()
    visitor.reject_all()
    visitor.leave()
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()


@pytest.mark.parametrize("accept", [True, False])
def test_c6_a_choice_is_kept_half_a_year_and_not_asked_again(
    visitor: Visitor, accept: bool
) -> None:
    visitor.open("/")
    visitor.accept_all() if accept else visitor.reject_all()
    (cookie,) = (
        c for c in visitor.context.cookies(visitor.demo.url("/")) if c["name"] == PREFERENCE_COOKIE
    )
    # A refusal holds for as long as a browser keeps it; its end, when we ask again, is in the text.
    days = (cookie["expires"] - time.time()) / 86_400
    assert days == pytest.approx(180 if accept else 400, abs=1)
    claims = cookie["value"].split(".")[1]
    ends = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
    assert (ends - time.time()) / 86_400 == pytest.approx(180, abs=1)
    for path in ("/", "/product", "/"):
        visitor.open(path)
        assert not visitor.reject_button.is_visible()


def test_c8_there_is_no_wall(visitor: Visitor) -> None:
    visitor.open("/contact")
    visitor.reject_all()
    visitor.open_origin("/contact")
    expected = visitor.page.inner_text("main")
    visitor.open("/contact")
    assert visitor.page.inner_text("main") == expected
    assert visitor.page.evaluate("getComputedStyle(document.body).overflow") == "visible"
    visitor.page.get_by_label("Your name").fill("Dana")
    visitor.page.get_by_label("Work e-mail").fill("dana@example.com")
    visitor.page.get_by_label("What happened?").fill("Nothing")
    visitor.page.get_by_role("button", name="Send").click()
    visitor.settle()
    assert "Thank you, Dana." in visitor.page.inner_text("main")


def test_c9_before_a_choice_only_what_is_necessary_acts(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()
    assert visitor.cookies() == {}
    assert visitor.page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_u1_the_signal_closes_sale_and_sharing_on_the_first_reply(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=CALIFORNIA | GPC)
    visitor.open(EVERY_VENDOR)
    expected = vendors_of(set(CHOOSABLE) - ALWAYS_ASKS - SALE_OR_SHARING)
    until(lambda: visitor.fired() >= expected, f"{expected} fire")
    visitor.settle()
    assert visitor.fired() == expected
    assert PREFERENCE_COOKIE not in visitor.cookies()


def test_u2_the_honored_signal_is_shown_with_a_tick(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=CALIFORNIA | GPC)
    visitor.open("/")
    shown = "Opt-out preference signal honored"
    assert shown in visitor.page.inner_text("#yc")
    assert visitor.page.locator("#yc .yc-g", has_text="✓").is_visible()
    visitor.open("/.consent/preferences")
    assert shown in visitor.page.inner_text("main")
    assert visitor.page.locator(".signal", has_text="✓").first.is_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_u3_the_link_with_its_icon_leads_to_a_form_that_opts_out(
    new_visitor: NewVisitor, javascript: bool
) -> None:
    visitor = new_visitor(extra_http_headers=CALIFORNIA, java_script_enabled=javascript)
    visitor.open("/")
    link = visitor.page.get_by_role("link", name="Your Privacy Choices")
    assert link.locator("svg").is_visible()
    link.click()
    visitor.settle()
    visitor.page.get_by_role("button", name="Do Not Sell or Share").click()
    visitor.settle()
    assert "You have opted out" in visitor.page.inner_text("main")
    visitor.leave()
    visitor.open(EVERY_VENDOR)
    visitor.settle()
    open_now = vendors_of(set(CHOOSABLE) - ALWAYS_ASKS - SALE_OR_SHARING)
    assert visitor.fired() <= open_now
    assert not visitor.fired() & (vendors_of(SALE_OR_SHARING) - open_now)


def test_u4_the_signal_is_honoured_in_every_state_that_asks_for_it(visitor: Visitor) -> None:
    pixel = "facebook.localhost"
    for code in region_laws():
        country, _, part = code.partition("-")
        headers = {"CF-IPCountry": country, "CF-Region-Code": part, **GPC}
        request = urllib.request.Request(visitor.demo.url("/"), headers=headers)
        with urllib.request.urlopen(request) as answer:
            page = answer.read().decode()
            assert pixel not in answer.headers["Content-Security-Policy"], code
        assert "fbevents.js" not in page, code


def test_u5_the_choice_is_symmetrical_where_opt_out_holds(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=CALIFORNIA)
    visitor.open("/")
    banner_buttons_look_alike(visitor)


def test_u6_the_use_of_sensitive_information_can_be_limited(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(extra_http_headers=CALIFORNIA)
    visitor.open("/.consent/preferences")
    visitor.page.get_by_role("button", name="Limit the Use").click()
    visitor.settle()
    assert "is limited" in visitor.page.inner_text("main")
    visitor.leave()
    visitor.open(EVERY_VENDOR)
    visitor.settle()
    assert visitor.fired() <= vendors_of(["functional"])


def test_u7_recordings_ask_first_in_every_regime(new_visitor: NewVisitor) -> None:
    recorders = vendors_of(ALWAYS_ASKS) - {TAG_MANAGER}
    assert recorders
    visitor = new_visitor(extra_http_headers={"CF-IPCountry": "US", "CF-Region-Code": "ID"})
    visitor.open(EVERY_VENDOR)
    until(lambda: "google-analytics" in visitor.fired(), "what needs no choice here fires")
    visitor.settle()
    assert not recorders & visitor.fired()
    assert "Only with your permission: visit recordings" in visitor.page.inner_text("#yc")
    visitor.accept_all()
    until(lambda: visitor.fired() >= recorders, "a yes starts the recording")


def test_u8_no_choice_opens_a_patient_page(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    visitor.leave()
    visitor.open(PATIENT_PAGE)
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()


@pytest.mark.parametrize("state", ["WA", "NV"])
def test_u10_health_data_laws_ask_for_consent_first(new_visitor: NewVisitor, state: str) -> None:
    visitor = new_visitor(extra_http_headers={"CF-IPCountry": "US", "CF-Region-Code": state})
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()
    assert "With your permission" in visitor.page.inner_text("#yc")


def test_u11_a_video_waits_behind_a_placeholder(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()
    assert visitor.placeholder.get_by_role("button", name="Load once").is_visible()
    visitor.load_once()
    until(lambda: VIDEO in visitor.fired(), "the video loads")
