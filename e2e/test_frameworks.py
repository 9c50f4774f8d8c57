"""Sites that are built with a framework: they work with everything refused, and what the visitor
allows runs. Each app has the same pages: `/`, `/about`, `/form` and `/patients/pay`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from e2e.frameworks import built, script
from e2e.site import in_thread
from tests.support.guarded import guarded
from tests.support.site import HOST, TAG, in_front_of

QUICK = ("next", "react-router", "sveltekit")
"""Built and served in less than a minute: for every run of the tests."""
SLOW = ("next-pages", "nuxt", "astro", "angular", "docusaurus")
GTM = "https://www.googletagmanager.com/"
SECONDS = 120


@dataclass(frozen=True)
class App:
    """A framework's own server, and the proxy in front of it."""

    plain: str
    proxied: str


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(
    scope="module",
    params=[*QUICK, *(pytest.param(name, marks=pytest.mark.frameworks) for name in SLOW)],
)
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = built(request.param)
    port = _port()
    command, environment = script(folder, "serve")
    server = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "PORT": str(port), "HOST": "127.0.0.1", "NODE_ENV": "production"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    with guarded(server):
        try:
            deadline = time.monotonic() + SECONDS
            while not _answers(port):
                assert server.poll() is None, "the app's own server ended"
                assert time.monotonic() < deadline, "the app's own server does not answer"
                time.sleep(0.1)
            place = tmp_path_factory.mktemp(request.param)
            tags = TAG.format(vendor="google-tag-manager")
            with in_thread(in_front_of(port, place, change=lambda text: text + tags)) as site:
                yield App(f"http://localhost:{port}", f"http://{HOST}:{site.port}")
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


@dataclass
class Visit:
    page: Page
    errors: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def heard(self, message: ConsoleMessage) -> None:
        # What a policy refuses and what nobody answers the browser tells: no error of the app's.
        told = ("Content Security Policy", "Failed to load", "Clear-Site-Data")
        if message.type == "error" and not any(word in message.text for word in told):
            self.errors.append(message.text)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_function("window.hydrated", timeout=30_000)

    def count(self) -> None:
        """The page lives: its button counts."""
        self.page.click("#count")
        self.page.wait_for_function("/Clicked 1/.test(document.querySelector('#count').innerText)")

    def go(self, name: str) -> bool:
        """Follow a link of the page's own. Returns whether that loaded a new document."""
        self.page.evaluate("window.marker = 1")
        self.page.locator("nav").get_by_role("link", name=name, exact=True).click()
        self.page.locator("h1", has_text=name).wait_for()
        return self.page.evaluate("window.marker") is None


def visit(context: BrowserContext) -> Visit:
    found = Visit(context.new_page())
    found.page.on("console", found.heard)
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))

    def elsewhere(route: Route) -> None:
        found.asked.add(route.request.url)
        route.fulfill(body="", content_type="text/javascript")

    context.route("https://**", elsewhere)
    return found


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield visit(context)
    context.close()


def errors_without_the_proxy(browser: Browser, app: App, *paths: str) -> list[str]:
    context = browser.new_context()
    plain = visit(context)
    with plain.page.expect_request(GTM + "**", timeout=30_000):
        plain.open(app.plain + paths[0])
    for path in paths[1:]:
        plain.open(app.plain + path)
    context.close()
    return plain.errors


def link_stands_last(page: Page) -> bool:
    link, main = page.locator("#yc-l").bounding_box(), page.locator("main").bounding_box()
    assert link is not None and main is not None
    return link["y"] >= main["y"] + main["height"]


def test_the_site_works_with_everything_refused(app: App, visitor: Visit, browser: Browser) -> None:
    page = visitor.page
    visitor.open(f"{app.proxied}/")
    page.get_by_role("button", name="Reject all").click()
    page.locator("#yc").wait_for(state="hidden")
    visitor.count()
    assert link_stands_last(page)
    assert page.locator("iframe[srcdoc]").count() == 1
    assert not visitor.go("About"), "a client-side navigation"
    visitor.count()
    page.wait_for_timeout(200)
    assert link_stands_last(page)
    assert page.locator("#yc-l").count() == 1
    assert not visitor.go("Form")
    page.fill("input[name=name]", "Ada")
    page.get_by_role("button", name="Send").click()
    page.wait_for_function("document.querySelector('#sent').textContent == 'Ada'")
    assert visitor.go("Pay"), "a patient page is a new document"
    page.wait_for_function("window.hydrated")
    visitor.count()
    assert page.locator("#yc-l").is_visible()
    visitor.open(f"{app.proxied}/about")
    assert visitor.asked == set()
    known = errors_without_the_proxy(browser, app, "/", "/about", "/patients/pay")
    assert {told.partition("\n")[0] for told in visitor.errors} <= {
        told.partition("\n")[0] for told in known
    }


def test_what_is_accepted_runs(app: App, visitor: Visit) -> None:
    page = visitor.page
    visitor.open(f"{app.proxied}/")
    visitor.count()
    assert page.locator("#yc").is_visible()
    assert visitor.asked == set()
    with page.expect_request(GTM + "**", timeout=30_000):
        page.get_by_role("button", name="Accept all").click()
    page.wait_for_function("window.hydrated")
    visitor.count()
    # Tag Manager itself may make a framework throw the page away: ours comes back.
    page.locator("#yc-l").wait_for()
    assert not visitor.go("About")
    page.wait_for_timeout(200)
    assert page.locator("#yc-l").is_visible() and link_stands_last(page)
    visitor.open(f"{app.proxied}/patients/pay")
    visitor.asked.clear()
    visitor.open(f"{app.proxied}/patients/pay")
    page.wait_for_timeout(300)
    assert visitor.asked == set()
