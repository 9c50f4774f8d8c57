"""Banner and placeholder are light or dark as the page is, whatever the visitor prefers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Route

from e2e.proxied import serving
from tests.support.site import HOST, Proxied, reply

FRAME = '<iframe width="560" height="315" src="https://www.youtube.com/embed/x"></iframe>'
HEADS = {
    "none": "",
    "media": "<style>@media (prefers-color-scheme:dark){body{background:#000;color:#fff}}</style>",
    "meta": '<meta name="color-scheme" content="light dark">',
    "property": "<style>:root{color-scheme:light dark}</style>",
    "dark": "<style>html{color-scheme:dark}</style>",
}
PAGES = {
    name: reply(f"<!doctype html><html lang=en><head>{head}<title>x</title></head><body>"
                f"{FRAME}<script>{{}}</script></body></html>".encode())
    for name, head in HEADS.items()
}  # fmt: skip
PAGES["late"] = reply(
    f"<!doctype html><html lang=en><head><title>x</title><link rel=stylesheet href=/late.css>"
    f"</head><body>{FRAME}</body></html>".encode()
)


@pytest.fixture(scope="module")
def follows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with serving(tmp_path_factory.mktemp("follows"), PAGES) as running:
        yield running


@pytest.fixture(scope="module", params=["visitor", "light", "dark"])
def own(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Proxied]]:
    said = f'[theme]\ncolor_scheme = "{request.param}"\n'
    folder = tmp_path_factory.mktemp("own")
    with serving(folder, PAGES, change=lambda text: text + said) as running:
        yield request.param, running


Scheme = Literal["light", "dark"]


def shown(browser: Browser, site: Proxied, name: str, prefers: Scheme) -> set[str]:
    """What the banner and the frame's placeholder are."""
    context = browser.new_context(color_scheme=prefers)
    page = context.new_page()
    page.goto(f"http://{HOST}:{site.port}/{name}")
    frame = page.frame_locator("iframe[srcdoc]")
    found = {kind(page.locator("#yc")), kind(frame.locator(".yc-h"))}
    context.close()
    return found


def kind(element: Locator) -> str:
    colour = element.evaluate("e => getComputedStyle(e).color")
    return {"rgb(28, 36, 48)": "light", "rgb(233, 237, 242)": "dark"}[colour]


@pytest.mark.parametrize("prefers", ["light", "dark"])
@pytest.mark.parametrize("name", HEADS)
def test_what_the_page_is(browser: Browser, follows: Proxied, name: str, prefers: Scheme) -> None:
    is_dark = name == "dark" or (name in {"meta", "property"} and prefers == "dark")
    assert shown(browser, follows, name, prefers) == {"dark" if is_dark else "light"}


@pytest.mark.parametrize("prefers", ["light", "dark"])
def test_what_the_site_says(browser: Browser, own: tuple[str, Proxied], prefers: Scheme) -> None:
    says, site = own
    for name in ("none", "dark"):
        assert shown(browser, site, name, prefers) == {prefers if says == "visitor" else says}


def test_a_style_sheet_comes_after_the_frame(browser: Browser, follows: Proxied) -> None:
    def late(route: Route) -> None:
        time.sleep(0.8)
        route.fulfill(body="html{color-scheme:dark}", content_type="text/css")

    context = browser.new_context()
    context.route("**/late.css", late)
    page = context.new_page()
    page.goto(f"http://{HOST}:{follows.port}/late")
    frame = page.frame_locator("iframe[srcdoc]")
    assert {kind(page.locator("#yc")), kind(frame.locator(".yc-h"))} == {"dark"}
    context.close()


def test_the_visitor_prefers_another(browser: Browser, follows: Proxied) -> None:
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(f"http://{HOST}:{follows.port}/meta")
    holder = page.frame_locator("iframe[srcdoc]").locator(".yc-h")
    assert kind(holder) == "light"
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert kind(holder) == "dark"
    context.close()
