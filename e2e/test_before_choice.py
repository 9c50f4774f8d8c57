"""Until the visitor chooses, no vendor hears anything. Without the proxy, all of them do."""

from __future__ import annotations

import re

import pytest

from e2e.approved import VIDEO
from e2e.site import EVERY_VENDOR, MARKETING_PAGES, PATIENT_PAGE
from e2e.visitor import PREFERENCE_COOKIE, Visitor, until
from examples.demo.vendors import HOSTS, VENDORS


@pytest.mark.parametrize("path", [*MARKETING_PAGES, PATIENT_PAGE])
def test_without_the_proxy_every_vendor_fires(visitor: Visitor, path: str) -> None:
    expected = set(VENDORS) - (set() if path == EVERY_VENDOR else {VIDEO})
    visitor.open_origin(path)
    until(lambda: visitor.fired() == expected, f"{expected} fire on {path}")
    assert {"_ga", "_ga_BWDEMO0001", "_fbp", "_hjSession_3100041", "li_fat_id"} <= {
        cookie["name"] for cookie in visitor.context.cookies(visitor.demo.origin_url("/"))
    }


@pytest.mark.parametrize("path", MARKETING_PAGES)
def test_no_vendor_hears_of_a_visitor_who_has_not_chosen(visitor: Visitor, path: str) -> None:
    response = visitor.open(path)
    assert response.status == (404 if path == "/no-such-page" else 200)
    assert visitor.accept_button.is_visible()
    assert visitor.reject_button.is_visible()
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()
    assert visitor.cookies() == {}
    # A preconnect asks nothing, so no request would show; it gives the visitor's address away.
    headers = {k: v for k, v in response.all_headers().items() if k != "content-security-policy"}
    # A placeholder links to the video at its vendor: a link asks for nothing until it is followed.
    text = re.sub(r"&lt;a class=&#34;yc-a&#34; href=&#34;[^&]*", "", response.text())
    for host in HOSTS:
        assert f"{host.label}.localhost" not in text
        assert f"{host.label}.localhost" not in str(headers)
    assert visitor.demo.ledger.silent_connections == 0


def test_buttons_weigh_the_same(visitor: Visitor) -> None:
    visitor.open("/")
    accept, reject = visitor.accept_button.bounding_box(), visitor.reject_button.bounding_box()
    assert accept is not None and reject is not None
    assert accept["height"] == pytest.approx(reject["height"], abs=2)
    assert accept["width"] == pytest.approx(reject["width"], rel=0.15)
    look = """element => {
      const style = getComputedStyle(element);
      return [style.backgroundColor, style.color, style.fontSize, style.fontWeight];
    }"""
    assert visitor.accept_button.evaluate(look) == visitor.reject_button.evaluate(look)


def test_scrolling_and_clicking_on_are_no_choice(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.page.mouse.wheel(0, 2000)
    visitor.page.locator("footer a", has_text="Product").click()
    visitor.settle()
    assert visitor.page.url == visitor.demo.url("/product")
    assert PREFERENCE_COOKIE not in visitor.cookies()
    assert visitor.fired() == set()
    assert visitor.accept_button.is_visible()
