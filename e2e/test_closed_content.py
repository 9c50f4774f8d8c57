"""What is closed leaves a word: images, forms, and content that scripts make."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from e2e.proxied import serving
from e2e.visitor import seen
from tests.support.site import reply

TAGS = "".join(
    f'\n[[tag]]\nvendor = "{vendor}"\nsites = ["www"]\napproved_by = "A"\n'
    "approved_on = 2026-01-01\nexpires = 2099-01-01\n"
    for vendor in ("mailchimp-forms", "calendly")
)
HEAD = (
    "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>x</title>"
)
FORM = (
    "<h1>News</h1><form action='https://x.list-manage.com/subscribe/post' method={method} id=f>"
    "<input name=EMAIL id=mail><button id=send>Subscribe</button></form>"
)


def approved(config: str) -> str:
    """The config with tags for the vendors of these pages."""
    return config + TAGS


def opened(context: BrowserContext, port: int, path: str = "") -> Page:
    context.set_default_timeout(10_000)
    tab = context.new_page()
    tab.goto(f"http://www.example.com:{port}/{path}")
    return tab


def load_once(tab: Page, *, javascript: bool) -> None:
    """Without scripts no browser says that the button is in sight: another page asks again."""
    button = tab.get_by_role("button", name="Load once")
    if javascript:
        seen(button)
    button.click()
    if not javascript:
        tab.wait_for_url("**/.consent/preferences?*")
        button.click()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("javascript", [True, False])
def test_a_closed_form_says_whose_it_is_and_loses_nothing(
    tmp_path: Path, browser: Browser, javascript: bool, method: str
) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    pages = {"": reply(f"{HEAD}{FORM.format(method=method)}".encode())}
    with serving(tmp_path, pages, change=approved) as site:
        tab = opened(context, site.port)
        assert "Mailchimp" in tab.locator("#f .yc-h").inner_text()
        tab.fill("#mail", "ann@example.com")
        with context.expect_page() as beside:
            tab.click("#send")
        beside.value.wait_for_load_state()
        assert urlsplit(beside.value.url).path == "/.consent/preferences"
        assert "ann" not in beside.value.url
        assert beside.value.get_by_role("heading", name="Mailchimp").is_visible()
        assert tab.input_value("#mail") == "ann@example.com"
        assert all(b"ann" not in one.line + one.body for one in site.asked)
        beside.value.close()
        load_once(tab, javascript=javascript)
        tab.locator("#f .yc-h").wait_for(state="detached")
        assert tab.get_attribute("#f", "action") == "https://x.list-manage.com/subscribe/post"
        if javascript:
            assert tab.input_value("#mail") == "ann@example.com"
            context.route("https://x.list-manage.com/**", lambda route: route.fulfill(body="yes"))
            tab.click("#send")
            tab.wait_for_url("https://x.list-manage.com/**")
    context.close()


IMAGES = """<a href=/ id=logo><img src="https://i0.wp.com/a/l.png" alt="Acme"
 width=160 height=40></a>
<p id=wide style="width:300px"><img src="//nobody.example/a.jpg" alt="Our house" width=600
 height=400
 style="max-width:100%;height:auto"></p>
<p id=plain><img src="//nobody.example/a.jpg" alt="" width=60 height=40></p>
<p id=pixel><img src="https://www.facebook.com/tr?id=1" width=1 height=1 alt=""></p>
<style>#styled img { width: 200px; height: 100px } #flexible img { width: 90px }</style>
<p id=styled><img src="//nobody.example/a.jpg" alt="A nurse beside an empty bed"></p>
<p id=flexible><img src="//nobody.example/a.jpg" alt=""></p>
<p id=candidates><img srcset="//nobody.example/a.jpg 1x" alt="" width=60 height=40></p>
<p id=told><img src="https://static.wixstatic.com/media/a.jpg/v1/fill/w_60,h_40/a.jpg" alt=""></p>
<script>document.querySelector('#logo img').dataset.found = 1</script>"""


SIZES = {
    "logo": [160, 40], "wide": [300, 200], "plain": [60, 40], "pixel": [1, 1],
    "styled": [200, 100], "flexible": [90, 60], "candidates": [60, 40], "told": [60, 40],
}  # fmt: skip


def test_a_closed_image_keeps_its_box_and_its_words(tmp_path: Path, browser: Browser) -> None:
    context = browser.new_context()
    with serving(tmp_path, {"": reply(f"{HEAD}{IMAGES}".encode())}) as site:
        tab = opened(context, site.port)
        assert tab.get_by_role("link", name="Acme").count() == 1
        sizes = {
            name: tab.evaluate(
                "name => { const box = document.querySelector(`#${name} img`)"
                ".getBoundingClientRect(); return [box.width, box.height] }",
                name,
            )
            for name in SIZES
        }
        assert sizes == SIZES
        assert tab.get_attribute("#logo img", "data-found") == "1"
    context.close()


PLACE = (
    "<div class=calendly-inline-widget data-url=https://calendly.com/acme style=height:630px></div>"
)


def test_a_closed_image_that_takes_another_where_it_fails_does_so_once(
    tmp_path: Path, browser: Browser
) -> None:
    images = "".join(
        f"<img src=https://pixel.unknown.example/a.png {name}=https://pixel.unknown.example/b.png "
        f"onerror=\"failed++;this.src=this.getAttribute('{name}')\">"
        for name in ("data-failover", "data-src")
    )
    page = f"{HEAD}<script>failed = 0</script><h1>News</h1>{images}".encode()
    with serving(tmp_path, {"": reply(page)}) as site:
        context = browser.new_context()
        tab = opened(context, site.port)  # waits for the `load` event
        assert tab.evaluate("failed") == 2
        context.close()


@pytest.mark.parametrize("javascript", [True, False])
def test_content_of_a_closed_script_has_a_placeholder(
    tmp_path: Path, browser: Browser, javascript: bool
) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    script = "<script src=https://assets.calendly.com/assets/external/widget.js></script>"
    with serving(tmp_path, {"": reply(f"{HEAD}{PLACE}{script}".encode())}, change=approved) as site:
        tab = opened(context, site.port)
        context.route("https://*.calendly.com/**", lambda route: route.fulfill(body=""))
        shown = tab.locator(".calendly-inline-widget .yc-h")
        assert "Calendly" in shown.inner_text()
        assert shown.get_by_role("button", name="Always allow Calendly").is_visible()
        asked: list[str] = []
        context.on("request", lambda request: asked.append(urlsplit(request.url).netloc))
        load_once(tab, javascript=javascript)
        shown.wait_for(state="detached")
        assert ("assets.calendly.com" in asked) is javascript
    context.close()


EVERYTHING = (
    f"{HEAD}{FORM.format(method='post')}{IMAGES}{PLACE}<link rel=icon href=data:,>"
    "<iframe width=560 height=315 src=https://www.youtube.com/embed/a></iframe>"
    "<iframe sandbox allow=autoplay src=https://www.youtube.com/embed/a></iframe>"
    "<link rel=stylesheet href=//nobody.example/x.css><script src=//nobody.example/x.js></script>"
    "<link rel=preload as=script href=//nobody.example/x.js><video src=//nobody.example/v></video>"
)


@pytest.mark.parametrize("path", ["", "patients/pay"])
def test_the_console_has_no_word_of_ours(tmp_path: Path, browser: Browser, path: str) -> None:
    context = browser.new_context()
    heard: list[str] = []
    context.on("console", lambda message: heard.append(message.text))
    with serving(tmp_path, {path: reply(EVERYTHING.encode())}, change=approved) as site:
        tab = opened(context, site.port, path)
        tab.wait_for_load_state("networkidle")
        assert [text for text in heard if "status of 404" not in text] == []
    context.close()


FRAMES = (
    "<iframe id=pardot width=500 height=300 src=https://go.pardot.com/l/1/2></iframe>"
    "<iframe id=embedly width=500 height=300 src=https://cdn.embedly.com/widgets/media.html></iframe>"
    "<iframe id=lazy width=500 height=300 data-src=https://www.youtube.com/embed/a></iframe>"
    "<iframe id=ad width=500 height=300 src=https://www.facebook.com/tr?id=1></iframe>"
)


def test_frames_that_show_something_have_a_placeholder(tmp_path: Path, browser: Browser) -> None:
    context = browser.new_context()
    pages = {
        "": reply(f"{HEAD}<main>{FRAMES}</main>".encode()),
        "whole": reply(f"{HEAD}<main id=main></main>".encode()),
        "part": reply(FRAMES.encode()),
    }
    with serving(tmp_path, pages) as site:
        tab = opened(context, site.port)
        for _ in range(2):
            for name, word in (("pardot", "Pardot"), ("embedly", "Embedly"), ("lazy", "YouTube")):
                assert word in tab.frame_locator(f"#{name}").locator(".yc-h").inner_text()
            assert not tab.is_visible("#ad")
            # A part of a page, as a library for partial loads puts it into another.
            tab.goto(f"http://www.example.com:{site.port}/whole")
            tab.evaluate("fetch('/part').then((r) => r.text()).then((t) => main.innerHTML = t)")
    context.close()
