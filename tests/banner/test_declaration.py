"""The cookie declaration: a page, JSON, and a part of the site's own policy page."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consent_rules.categories import Audience
from consent_rules.decision import Visitor, decide
from consent_rules.preferences import Preferences
from proxy.banner.presenters import used_categories
from proxy.cookies.own_storage import SAVED_FORM_ITEM, SAVED_FORM_SECONDS
from tests.support.site import proxied, reply

MORE = """
[[vendor]]
id = "acme-chat"
name = "Acme <Chat>"
category = "functional"
hosts = ["acme-chat.example"]
policy_url = "https://acme-chat.example/privacy"
[[vendor.cookie]]
name = "acme_id"
lifetime = "3 months"
purpose = "Keeps <b>your</b> chat"
[[vendor.cookie]]
name = "acme_visit"
lifetime = "session"
purpose = "visit"
"""
TAG = """
[[tag]]
vendor = "{vendor}"
sites = ["www"]
approved_by = "a@example.com"
approved_on = 2020-01-01
expires = {expires}
"""
TODAY = datetime.datetime.now(datetime.UTC).date()
BANNER = Path(__file__).parents[2] / "static" / "banner"
POLICY_PAGE = (
    b"<!doctype html><html lang=de><title>Policy</title><h1>Policy</h1>"
    b"<div data-consent-declaration id=here></div><p>After</p>"
)


def change(text: str) -> str:
    text += MORE + TAG.format(vendor="acme-chat", expires="2099-01-01")
    return text + TAG.format(vendor="criteo", expires=TODAY)


async def test_the_page(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=change) as site:
        answer = await site.ask("/.consent/declaration")
        assert answer.status == 200
        assert "default-src 'none'" in answer.one("Content-Security-Policy")
        html = answer.body.decode()
        assert "<script" not in html
        assert "<td>Tells visitors apart</td><td>2 years</td>" in html
        assert "Acme &lt;Chat&gt;" in html
        assert "Keeps &lt;b&gt;your&lt;/b&gt; chat</td><td>3 months" in html
        assert "<td>Keeps the pages of one visit together</td><td>Until you close" in html
        assert "__Host-consent" in html
        assert "Criteo" not in html, "its tag has run out"
        assert not site.asked
        german = await site.ask("/.consent/declaration", "Accept-Language: de")
        assert "2 Jahre" in german.body.decode()
        assert german.one("Content-Language") == "de"
        russian = await site.ask("/.consent/declaration?lang=ru", "Accept-Language: de")
        assert "2 года" in russian.body.decode()
        head = await site.ask("/.consent/declaration", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert (await site.ask("/.consent/declaration", method="POST")).status == 405
        preferences = await site.ask("/.consent/preferences")
        assert b'href="/.consent/declaration?lang=en"' in preferences.body


async def test_json(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=change) as site:
        answer = await site.ask("/.consent/declaration.json")
        assert answer.one("Content-Type").startswith("application/json")
        told = json.loads(answer.body)
        vendors = {v["id"]: v for c in told["categories"] for v in c["vendors"]}
        assert [cookie["name"] for cookie in vendors["acme-chat"]["cookies"]] == [
            "acme_id",
            "acme_visit",
        ]


def _with(*vendors: str, more: str = "") -> Callable[[str], str]:
    tags = "".join(TAG.format(vendor=vendor, expires="2099-01-01") for vendor in vendors)
    return lambda text: text + tags + more


async def declared(tmp_path: Path, change: Callable[[str], str]) -> dict[str, dict[str, Any]]:
    """Category -> vendor id -> what is declared."""
    async with proxied(tmp_path, change=change) as site:
        found = json.loads((await site.ask("/.consent/declaration.json")).body)["categories"]
    return {one["category"]: {v["id"]: v for v in one["vendors"]} for one in found}


async def test_a_tag_manager_stands_under_all_that_opens_it(tmp_path: Path) -> None:
    change = _with("google-tag-manager")
    found = await declared(tmp_path, change)
    under = {category for category, vendors in found.items() if "google-tag-manager" in vendors}
    async with proxied(tmp_path, change=change) as site:
        rules = site.running.rules
        page = rules.page(rules.sites[0], "/", Audience.MARKETING, TODAY)
        opens = {
            str(category)
            for category in used_categories(rules.sites[0])
            if "google-tag-manager" in decide(
                rules, page, Visitor(Preferences(frozenset({category}), rules.policy_version))
            ).open
        }  # fmt: skip
        assert under == opens
        assert {"analytics", "advertising"} <= under
        html = (await site.ask("/.consent/preferences")).body.decode()
    assert html.count("Google Tag Manager</") >= len(under)


async def test_what_we_store_ourselves_is_declared(tmp_path: Path) -> None:
    found = await declared(tmp_path, _with(more="[signals]\nwp_consent_cookies = true\n"))
    ours = {cookie["name"]: cookie["lifetime"] for cookie in found["necessary"][""]["cookies"]}
    assert ours["__Host-consent-once"] == "60 seconds"
    assert ours["consent-kept"] == "30 seconds"
    assert {"__Host-consent", "consent (sessionStorage)", "wp_consent_*"} <= set(ours)
    assert "wp_consent_*" not in {
        cookie["name"] for cookie in (await declared(tmp_path, str))["necessary"][""]["cookies"]
    }


def test_our_scripts_store_nothing_else() -> None:
    """Whatever the banner's scripts write is in the declaration."""
    scripts = "".join(path.read_text() for path in sorted(BANNER.glob("*.js")))
    assert set(re.findall(r"sessionStorage\.(?!removeItem)(\w+)", scripts)) == {SAVED_FORM_ITEM}
    assert "localStorage" not in scripts
    assert "indexedDB" not in scripts
    written = re.findall(r'"(consent[\w-]*)=1?;path=/;max-age=(\d+)"', scripts)
    assert set(written) == {("consent-kept", str(SAVED_FORM_SECONDS)), ("consent-kept", "0")}


async def test_embeds_set_cookies_of_their_own_domain(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=_with("wistia", "calendly")) as site:
        html = (await site.ask("/.consent/declaration")).body.decode()
    assert "VISITOR_INFO1_LIVE (youtube.com)" in html
    for name in ("Wistia", "Calendly"):
        section = re.search(rf"<h\d>{name}.*?(?=<h\d>|</div>)", html, re.S)
        assert section and "No cookies of this company" not in section[0], name


@pytest.mark.parametrize("mode", ["enforce", "observe"])
async def test_a_part_of_the_sites_own_page(tmp_path: Path, mode: str) -> None:
    async with proxied(tmp_path, {"policy": reply(POLICY_PAGE)}, change=change, mode=mode) as site:
        answer = await site.ask("/policy")
        html = answer.body.decode()
        found = re.search(
            r"<div data-consent-declaration id=here>(.*)</div><p>After</p>", html, re.S
        )
        assert found, html
        assert "2 Jahre" in found[1], "in the language of the page"
        assert "acme_id" in found[1]
        assert "<style" not in found[1]
        assert 'href="/.consent/preferences?lang=de"' in found[1]
        # Fetched by a script as a part of a page, it is left alone.
        part = reply(b"<div data-consent-declaration></div>")
        site.pages["/part"] = part
        fetched = await site.ask("/part", dest="empty")
        assert b"<div data-consent-declaration></div>" in fetched.body


@pytest.mark.parametrize(
    "holder",
    [
        b"<p data-consent-declaration></p>",
        b"<template><div data-consent-declaration></div></template>",
        b"<!-- <div data-consent-declaration></div> -->",
        b"<p>data-consent-declaration</p>",
        b"<noscript><div data-consent-declaration></div></noscript>",
    ],
)
async def test_what_is_no_marker_stays_empty(tmp_path: Path, holder: bytes) -> None:
    page = b"<!doctype html><title>P</title><body>" + holder
    async with proxied(tmp_path, {"p": reply(page)}) as site:
        answer = await site.ask("/p")
        assert holder in answer.body
