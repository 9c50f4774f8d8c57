"""Markup of a site's visitors, such as a comment, with the names of the banner's parts or of
the document's own methods: it neither breaks the banner nor chooses in the reader's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from e2e.proxied import serving
from tests.support.site import reply

# Named elements hide a document's own members, those with an id a window's inherited ones (HTML
# Standard, 3.1.7 and 7.2.2.3). Their controls hide a form's.
DOCUMENT = (
    "getElementById", "querySelector", "querySelectorAll", "dispatchEvent", "addEventListener",
    "createElement", "documentElement", "body", "head", "forms", "activeElement", "cookie",
    "currentScript", "readyState", "baseURI", "defaultView", "location", "contains", "closest",
)  # fmt: skip
WINDOW = (
    "addEventListener", "removeEventListener", "dispatchEvent", "consent", "state", "data",
    "link", "fetch", "location", "navigator", "performance", "structuredClone", "sessionStorage",
    "BroadcastChannel", "URLSearchParams", "FormData", "CustomEvent", "ResizeObserver", "JSON",
    "setTimeout", "get", "open",
)  # fmt: skip
FORM = (
    "getAttribute", "querySelector", "contains", "parentNode", "closest", "action", "submit",
    "isConnected", "focus",
)  # fmt: skip
PARTS = ("yc", "yc-p", "yc-v", "yc-c", "yc-s", "yc-l", "yc-o", "yc-f")
COMMENTS = {
    "members of the document": "".join(
        f"<img name={name}><form name={name}><input name=focus></form>" for name in DOCUMENT
    ),
    "members of the window": "".join(f"<p id={name}>{name}</p>" for name in (*WINDOW, *DOCUMENT)),
    "parts of the banner": "".join(f"<p id={name}>Hello</p><form id={name}></form>"
                                   for name in PARTS),
    "its classes": "<div class=yc-t><div class=yc-b><span class=yc-h>Hello</span></div></div>",
    "controls of its forms": "".join(
        f"<input form={form} name={name} value=accept_all>"
        for form in PARTS for name in ("action", "category", "return_to", *FORM)
    ),
    "a form that is not closed": "<form action=/search method=post><input name=action value=x>",
}  # fmt: skip
BUTTONS = {
    **{f"a button of {form}": f"<button form={form} name=action value=accept_all>More</button>"
       for form in PARTS},
    "a form of its own": "<form method=post action=/.consent/choice>"
    "<button name=action value=accept_all>More</button></form>",
    "a button with an address": "<form method=post><button name=action value=accept_all "
    "formaction='/a/../.consent/%63hoice'>More</button></form>",
    "a banner of its own": "<section id=yc><form method=post action=/.consent/choice>"
    "<button name=action value=accept_all>More</button></form></section>",
    "a part of the placeholder": "<span class=yc-h><button form=yc-o name=action "
    "value=vendor:youtube>More</button></span>",
}  # fmt: skip
VIDEO = "<iframe src=https://www.youtube.com/embed/x></iframe>"


def page_with(comment: str) -> bytes:
    return (
        "<!doctype html><html lang=en><head><title>x</title></head><body><main>"
        f"<article>{comment}</article>{VIDEO}</main><a id=end href=#end>End</a></body></html>"
    ).encode()


@pytest.fixture
def reader(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context()
    fresh.set_default_timeout(5_000)
    yield fresh
    fresh.close()


def choices(context: BrowserContext) -> list[str]:
    """Bodies of the choices that leave the browser from now on."""
    found: list[str] = []
    context.on(
        "request",
        lambda r: found.append(r.post_data or "") if r.url.endswith("/.consent/choice") else None,
    )
    return found


def open_page(context: BrowserContext, port: int, errors: list[str]) -> Page:
    tab = context.new_page()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(f"http://www.example.com:{port}/")
    return tab


def press(action: str) -> str:
    return f"#yc button[value={action}]"


@pytest.mark.parametrize("kind", COMMENTS)
def test_the_banner_works_whatever_elements_are_called(
    tmp_path: Path, reader: BrowserContext, kind: str
) -> None:
    errors: list[str] = []
    sent = choices(reader)
    with serving(tmp_path, {"": reply(page_with(COMMENTS[kind]))}) as site:
        tab = open_page(reader, site.port, errors)
        tab.evaluate("void (window.heard = 0, consent.on('change', () => heard++))")
        assert tab.evaluate("consent.get().decided") is False
        # The switches open in place, Escape closes them, and what is pressed is sent by the script.
        tab.click("#yc-c")
        tab.locator("#yc label").first.wait_for(state="visible")
        tab.keyboard.press("Escape")
        tab.locator("#yc label").first.wait_for(state="hidden")
        tab.wait_for_timeout(550)
        tab.click(press("reject_all"))
        tab.locator("#yc").wait_for(state="detached")
        assert tab.evaluate("heard") == 1
        assert tab.evaluate("consent.get().decided") is True
        assert len(sent) == 1 and "action=reject_all" in sent[0] and "accept_all" not in sent[0]
        assert tab.locator("#yc-s").inner_text() == "Your choice is saved."
        tab.reload()
        assert tab.locator("#yc").count() == 0
        with tab.expect_navigation():
            tab.click("#yc-l a")
        with tab.expect_navigation():
            tab.click("button[value=accept_all]")
        assert "accept_all" in sent[1]
        assert errors == []


HIDING = {
    "an image called body": "<img name=body alt=x>",
    "a form called body": "<form name=body><input name=children></form>",
    "an image called documentElement": "<img name=documentElement alt=x>",
}
HYDRATED = {
    "a part": "<!--$-->text<!--/$-->",
    "the document": "<script>window.__remixContext = {}</script>",
}


@pytest.mark.parametrize("hydrated", HYDRATED)
@pytest.mark.parametrize("kind", HIDING)
def test_the_banner_stands_on_a_page_that_a_framework_hydrates(
    tmp_path: Path, reader: BrowserContext, kind: str, hydrated: str
) -> None:
    errors: list[str] = []
    comment = HYDRATED[hydrated] + HIDING[kind]
    with serving(tmp_path, {"": reply(page_with(comment))}) as site:
        tab = open_page(reader, site.port, errors)
        tab.locator(press("reject_all")).wait_for(state="visible", timeout=15_000)
        for name, where in (("yc", "body"), ("yc-l", "body")):
            parent = f"document.getElementById('{name}').parentNode.localName"
            assert tab.evaluate(parent) == where
        tab.wait_for_timeout(550)
        tab.click(press("reject_all"))
        tab.locator("#yc").wait_for(state="detached")
        assert errors == []


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("kind", BUTTONS)
def test_no_button_of_a_comment_is_a_choice(
    tmp_path: Path, browser: Browser, kind: str, javascript: bool
) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    context.set_default_timeout(5_000)
    sent = choices(context)
    with serving(tmp_path, {"": reply(page_with(BUTTONS[kind]))}) as site:
        errors: list[str] = []
        tab = open_page(context, site.port, errors)
        tab.get_by_role("button", name="More").click()
        tab.wait_for_timeout(200)
        assert [c["name"] for c in context.cookies()] == []
        assert sent == []
        tab.goto(f"http://www.example.com:{site.port}/")
        tab.click(press("reject_all"))
        tab.wait_for_timeout(200)
        assert ["reject_all" in one for one in sent] == [True]
        assert errors == []
    context.close()
