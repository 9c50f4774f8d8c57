"""A page that a framework hydrates: what is closed on it is no mismatch, and it stays closed."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route

from e2e.frameworks import built
from e2e.proxied import serving
from tests.support.site import HOST, Proxied, Reply, reply

PARTS = ("react18", "react19", "vue")
WHOLE = ("react18-whole", "react19-whole")


@pytest.fixture(scope="module")
def output() -> Path:
    return built("hydration") / "output"


@pytest.fixture(scope="module")
def site(output: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    pages: dict[str, Reply] = {}
    for name in (*PARTS, *WHOLE):
        for folder in ("", "patients/"):
            pages[f"{folder}{name}/"] = reply((output / name / "index.html").read_bytes())
            script = (output / name / "client.js").read_bytes()
            pages[f"{folder}{name}/client.js"] = reply(
                script, "Content-Type: text/javascript", html=False
            )
    with serving(tmp_path_factory.mktemp("hydration"), pages) as running:
        yield running


class Shown:
    """A page in the browser: what it logged, and whom else it asked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.asked: set[str] = set()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        # What a policy refuses, or nobody answers, the browser says: no error of the framework's.
        if message.type == "error" and not message.location["url"].startswith("https:"):
            text = message.text
            if "Content Security Policy" not in text and "Failed to load" not in text:
                self.errors.append(text)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_function("window.hydrated")
        self.page.click("#count")
        self.page.wait_for_function("document.querySelector('#count').textContent == 'Clicked 1'")


@pytest.fixture
def shown(browser: Browser) -> Iterator[Shown]:
    context = browser.new_context()
    page = context.new_page()
    found = Shown(page)

    def elsewhere(route: Route) -> None:
        found.asked.add(route.request.url)
        route.abort()

    context.route("https://**", elsewhere)
    yield found
    context.close()


def errors_without_the_proxy(browser: Browser, output: Path, name: str) -> list[str]:
    context = browser.new_context()

    def answer(route: Route) -> None:
        file = output / name / (route.request.url.rpartition("/")[2] or "index.html")
        kind = mimetypes.guess_type(file.name)[0]
        route.fulfill(body=file.read_bytes(), content_type=kind or "text/html")

    context.route("https://**", lambda route: route.abort())
    context.route("http://plain.test/**", answer)
    found = Shown(context.new_page())
    found.open("http://plain.test/")
    context.close()
    return found.errors


@pytest.mark.parametrize("folder", ["", "patients/"])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_is_hydrated(
    site: Proxied, shown: Shown, browser: Browser, output: Path, name: str, folder: str
) -> None:
    shown.open(f"http://{HOST}:{site.port}/{folder}{name}/")
    page = shown.page
    assert shown.errors == errors_without_the_proxy(browser, output, name)
    assert shown.asked == set()
    assert page.locator("iframe[srcdoc]").count() == 1
    assert "YouTube" in page.frame_locator("iframe[srcdoc]").locator("body").inner_text()
    assert page.locator("#yc-l").is_visible()


@pytest.mark.parametrize("folder", ["", "patients/"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_document_that_is_hydrated(
    site: Proxied, shown: Shown, browser: Browser, output: Path, name: str, folder: str
) -> None:
    shown.open(f"http://{HOST}:{site.port}/{folder}{name}/")
    page = shown.page
    assert shown.errors == errors_without_the_proxy(browser, output, name)
    assert shown.asked == set()
    page.locator("#yc-l").wait_for()
    assert page.locator("iframe[srcdoc]").count() == 1
    assert page.locator("main").evaluate("e => getComputedStyle(e).color") == "rgb(1, 2, 3)"
    link, main = page.locator("#yc-l").bounding_box(), page.locator("main").bounding_box()
    assert link and main and link["y"] >= main["y"] + main["height"]
    assert page.locator("#yc").is_visible() is not bool(folder)
