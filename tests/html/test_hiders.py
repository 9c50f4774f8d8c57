"""Styles and scripts that hide a page are told from the site's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.html import compile_page, render
from proxy.html.hiders import ANY_VENDOR, hider_vendor, hides_page
from proxy.html.owners import KnownVendor
from tests.html.catalogue_boundary import BOUNDARY, URL

HIDDEN = "body{opacity:0!important}"


@pytest.mark.parametrize(
    ("name", "text", "vendor"),
    [
        ("", ".async-hide { opacity: 0 !important}", "google-optimize"),
        ("", ".mboxDefault{visibility:hidden;}", "adobe-target"),
        ("amp-boilerplate", "@keyframes -amp-start{from{visibility:hidden}}", "amp"),
        ("alloy-prehiding", ".personalization-container{opacity:0!important}", "adobe-target"),
        ("at-body-style", HIDDEN, "adobe-target"),
        ("chartbeat-flicker-control-style", "body{visibility:hidden}", "chartbeat"),
        ("abtasty-antiflicker", HIDDEN, "ab-tasty"),
        ("vwo-hide", "html, body {display : none}", "vwo"),
        ("my anti-flicker", "* { visibility: hidden !important }", ANY_VENDOR),
        # The site's own.
        ("", HIDDEN, ""),
        ("main", HIDDEN, ""),
        ("abtasty-theme", ".menu{display:none}", ""),
        ("abtasty-theme", ".body{display:none}", ""),
        ("abtasty-theme", "body{opacity:0.5}", ""),
        ("my anti-flicker", "body{color:red}", ""),
        ("async-hide", "", ""),
    ],
)
def test_whose_a_hider_is(name: str, text: str, vendor: str) -> None:
    assert hider_vendor(name, text) == vendor


@pytest.mark.parametrize(
    ("script", "hides"),
    [
        ("s.id='anti-flicker';s.textContent='body{opacity:0!important}'", True),
        ("prehide();document.documentElement.style.visibility='hidden'", True),
        ("s.id='anti-flicker'", False),
        ("menu.style.opacity=0", False),
    ],
)
def test_what_script_hides(script: str, hides: bool) -> None:
    assert hides_page(script) is hides


def test_a_hider_shares_the_fate_of_what_shows_the_page() -> None:
    body = (
        f"<style id=a-flicker class=anti-flicker>{HIDDEN}</style>"
        "<script src=//www.googletagmanager.com/gtm.js></script>"
    ).encode()
    page = compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY)
    assert {gate.needs for gate in page.gates} == {frozenset({KnownVendor("google-tag-manager")})}
    assert b"<style type=application/consent-closed id=a-flicker" in render(page, frozenset())
    assert render(page, page.owners) == body


def test_a_hider_that_waits_for_nobody_else_stays() -> None:
    body = f"<style class=anti-flicker>{HIDDEN}</style><script src=/own.js></script>".encode()
    page = compile_page(body, "text/html; charset=utf-8", URL, BOUNDARY)
    assert render(page, frozenset()) == body


@given(
    name=st.sampled_from(
        ("anti-flicker", "noFlicker", "pre-hide", "PreHiding", "prehid", "page-hider", "pageHiding",
         "page hider", "hidden", "flicker")
    ),
    around=st.text(st.sampled_from("aF-_ {.'\xe9"), max_size=3),
)  # fmt: skip
def test_words_that_are_looked_for_first_hide_none(name: str, around: str) -> None:
    named = re.search(r"(?:anti|no)-?flicker|pre-?hid(?:e|ing)\b|page-?hid(?:er|ing)",
                      around + name + around, re.IGNORECASE)  # fmt: skip
    assert hides_page(f"{around}{name}{around};opacity:0") == bool(named)
