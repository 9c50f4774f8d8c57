"""A file of the site's own that loads a vendor: no gate of the page's markup knows of it. What it
runs ends with a refusal, and what it asked for in vain runs with a consent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from e2e.proxied import serving
from e2e.visitor import until
from tests.support.site import Proxied, Reply, reply

HITS = """setInterval(() => {
  const hit = `HOST/g/collect?v=2&tid=G-1&r=${Math.random()}`;
  SEND;
}, 100)"""
GTAG = "https://www.googletagmanager.com/gtag/js?id=G-1"
ANALYTICS = "https://www.google-analytics.com"
SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Loader:
    """`own` is the site's file, `library` what the vendor's host gives, `host` where hits go."""

    own: str
    host: str = ANALYTICS
    send: str = "fetch(hit, {method: 'POST', keepalive: true, mode: 'no-cors'}).catch(() => {})"

    @property
    def library(self) -> str:
        return HITS.replace("HOST", self.host).replace("SEND", self.send)


APPEND = f"""const s = document.createElement('script'); s.async = true; s.src = '{GTAG}';
document.head.append(s)"""
LOADERS = {
    "appends gtag": Loader(APPEND),
    "appends gtag late": Loader(f"addEventListener('load', () => {{{APPEND}}})"),
    "writes gtag": Loader(f"document.write('<script src=\"{GTAG}\"></scr' + 'ipt>')"),
    "is gtag": Loader(""),
    "is gtag, beacons": Loader("", send="navigator.sendBeacon(hit)"),
    "is gtag, images": Loader("", send="new Image().src = hit"),
    "is gtag, to the site's own path": Loader("", host=""),
    "appends gtag, to the site's own path": Loader(APPEND, host=""),
    "is gtag in a frame": Loader(
        "", send="(window.f ||= document.body.appendChild(document.createElement('iframe')))"
        ".contentWindow.fetch(hit, {mode: 'no-cors'}).catch(() => {})",
    ),
    "is gtag in a worker": Loader(
        "", send="(window.w ||= new Worker('/worker.js')).postMessage(hit)",
    ),
}  # fmt: skip


@dataclass(slots=True)
class Hits:
    """What reached Analytics: at its host, or at the site's server behind the proxy."""

    site: Proxied
    elsewhere: list[str] = field(default_factory=list)

    def count(self) -> int:
        own = sum(b"/g/collect" in one.line for one in self.site.asked)
        return own + len(self.elsewhere)

    def begin(self, page: Page) -> None:
        """Wait until there are some; what the browser asks for is answered meanwhile."""

        def some() -> bool:
            page.wait_for_timeout(50)
            return self.count() > 2

        until(some, "the vendor's script runs")


@contextmanager
def visiting(
    folder: Path, browser: Browser, name: str, country: str
) -> Iterator[tuple[Page, Hits]]:
    loader = LOADERS[name]

    def script(text: str) -> bytes:
        return reply(text.encode(), "Content-Type: text/javascript", html=False)

    pages: dict[str, Reply] = {
        "": reply(
            b"<!doctype html><html lang=en><head><title>x</title>"
            b"<script src=/js/app.js></script></head><body><p>Hello</p></body></html>"
        ),
        "js/app.js": script(loader.own or loader.library),
        "worker.js": script("onmessage = (e) => fetch(e.data, {mode: 'no-cors'}).catch(() => {})"),
        "g/collect": reply(b"", status="204 No Content", html=False),
    }

    def without_patients(text: str) -> str:
        # Where a site has patient pages its workers may do no more than those.
        rule = '[[site.page]]\npath = "/patients/*"\naudience = "patient"\n'
        cookie = '[[site.page]]\nwhen_cookie = "session"\naudience = "patient"\n'
        assert rule in text and cookie in text
        return text.replace(rule, "").replace(cookie, "")

    with serving(folder, pages, change=without_patients) as site:
        hits = Hits(site)

        def vendor(route: Route) -> None:
            if "/g/collect" in route.request.url:
                hits.elsewhere.append(route.request.url)
                route.fulfill(status=204)
            else:
                route.fulfill(body=loader.library, content_type="text/javascript")

        context = browser.new_context(extra_http_headers={"X-Country": country})
        context.set_default_timeout(30_000)
        context.route(lambda url: "google" in url, vendor)
        page = context.new_page()
        page.goto(f"http://localhost:{site.port}/")
        page.evaluate("window.same = true")
        yield page, hits
        context.close()


def by_banner(page: Page) -> None:
    page.get_by_role("button", name="Reject all").click()


def by_switches(page: Page) -> None:
    page.get_by_role("button", name="Choose").click()
    for box in page.locator("#yc input[name=category]").all():
        box.set_checked(False)
    page.wait_for_timeout(550)  # before, a press counts as one of two at "Choose"
    page.get_by_role("button", name="Save").click()


def in_another_tab(page: Page) -> None:
    other = page.context.new_page()
    other.goto(page.url + ".consent/preferences")
    other.get_by_role("button", name="Reject all").click()
    other.get_by_text("Saved.").wait_for()


REFUSALS = {"banner": by_banner, "switches": by_switches, "another tab": in_another_tab}


def ends_with(refuse: Callable[[Page], None], page: Page, hits: Hits) -> None:
    hits.begin(page)
    refuse(page)
    page.wait_for_function("window.same !== true")
    page.wait_for_load_state("load")
    before = hits.count()
    page.wait_for_timeout(1000 * SECONDS)
    assert hits.count() == before
    assert page.evaluate("consent.get().categories.analytics") is False


@pytest.mark.parametrize("name", LOADERS)
def test_what_an_own_file_runs_ends_with_a_refusal(
    tmp_path: Path, browser: Browser, name: str
) -> None:
    with visiting(tmp_path, browser, name, "US") as (page, hits):
        ends_with(by_banner, page, hits)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_it_ends_wherever_the_visitor_refuses(
    tmp_path: Path, browser: Browser, refusal: str
) -> None:
    with visiting(tmp_path, browser, "appends gtag", "US") as (page, hits):
        ends_with(REFUSALS[refusal], page, hits)


@pytest.mark.parametrize("name", LOADERS)
def test_what_an_own_file_asked_for_in_vain_runs_with_a_consent(
    tmp_path: Path, browser: Browser, name: str
) -> None:
    with visiting(tmp_path, browser, name, "DE") as (page, hits):
        page.wait_for_timeout(500)
        assert hits.count() == 0
        page.get_by_role("button", name="Accept all").click()
        page.wait_for_function("window.same !== true")
        hits.begin(page)
