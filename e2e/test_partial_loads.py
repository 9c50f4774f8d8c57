"""Libraries that load pages in part, from npm: what is ours always navigates in full, and a choice
holds for the document that outlives its page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from e2e.partial_loads import LIBRARIES, Library
from e2e.proxied import serving
from tests.support.site import Reply, reply

VENDORS = ("www.youtube.com", "google-analytics.com", "connect.facebook.net")
LINKS = (("/", "Home"), ("/b", "Video"), ("/patients/pay", "Pay"))


def page_of(library: Library, name: str, content: str) -> Reply:
    scripts = "".join(f"<script src=/lib{n}.js></script>" for n, _ in enumerate(library.scripts))
    links = " ".join(f'<a href="{path}">{text}</a>' for path, text in LINKS)
    return reply(
        f"""<!doctype html><html lang=en><head><title>{name}</title>{library.head}{scripts}
        <script src=/start.js></script>
        <script async src="https://www.google-analytics.com/analytics.js"></script>
        </head><body {library.body}><div id=all class=transition-main><main {library.main}>
        <h1>{name}</h1>{links}{content}</main></div></body></html>""".encode()
    )


def pages_of(library: Library) -> dict[str, Reply]:
    video = '<iframe width=560 height=315 src="https://www.youtube.com/embed/abc"></iframe>'

    def script(text: str) -> bytes:
        return reply(text.encode(), "Content-Type: text/javascript", html=False)

    return {
        "": page_of(library, "Welcome", ""),
        "b": page_of(library, "A video", video),
        "patients/pay": page_of(library, "Your bill", ""),
        "start.js": script(library.start),
        **{f"lib{n}.js": script(text()) for n, text in enumerate(library.scripts)},
    }


@contextmanager
def loaded_in_part(
    folder: Path, browser: Browser, library: Library, *, country: str = ""
) -> Iterator[tuple[Page, list[str]]]:
    """A visitor without a choice, on a page that the library has put into the first document, and
    what vendors were asked for."""
    with serving(folder, pages_of(library)) as site:
        context = browser.new_context(extra_http_headers={"X-Country": country} if country else {})
        context.set_default_timeout(20_000)
        asked: list[str] = []

        def vendor(route: Route) -> None:
            asked.append(route.request.url)
            route.fulfill(body="", content_type="text/html")

        context.route(lambda url: any(host in url for host in VENDORS), vendor)
        page = context.new_page()
        page.goto(f"http://localhost:{site.port}/")
        page.evaluate("window.same = true")
        go(page, "Video", "A video")
        yield page, asked
        context.close()


def settled(page: Page) -> None:
    """Wait until the document is complete and half a second brought nothing more. Playwright's own
    "networkidle" waits for frames, too, that a library has taken out while they loaded.
    """
    page.wait_for_function("document.readyState === 'complete'")
    count = -1
    while (found := page.evaluate("performance.getEntriesByType('resource').length")) != count:
        count = found
        page.wait_for_timeout(500)


def go(page: Page, link: str, heading: str) -> None:
    """By a link of the site's. Raises where that was not in part."""
    page.get_by_role("link", name=link, exact=True).click()
    page.get_by_role("heading", name=heading, exact=True).wait_for()
    settled(page)
    assert in_part(page)


def in_part(page: Page) -> bool:
    same: bool = page.evaluate("window.same === true")
    return same


def banner_shows(page: Page) -> bool:
    return page.get_by_role("button", name="Reject all").is_visible()


each = pytest.mark.parametrize("name", LIBRARIES)


@each
def test_our_links_and_forms_navigate_in_full(tmp_path: Path, browser: Browser, name: str) -> None:
    with loaded_in_part(tmp_path, browser, LIBRARIES[name]) as (page, _):
        home = page.url
        for use in ("click", "press Enter", "hold"):
            link = page.locator("#yc-l a")
            with page.expect_navigation(url="**/.consent/preferences**"):
                if use == "press Enter":
                    link.press("Enter", delay=300)
                else:
                    link.click(delay=300 if use == "hold" else 0)
            page.get_by_role("heading", name="A video").wait_for(state="detached")
            assert not in_part(page)
            page.goto(home)
            settled(page)
            page.evaluate("window.same = true")


@each
def test_an_embeds_buttons_navigate_in_full(tmp_path: Path, browser: Browser, name: str) -> None:
    with loaded_in_part(tmp_path, browser, LIBRARIES[name]) as (page, asked):
        assert asked == []
        closed = page.frame_locator("iframe[srcdoc]")
        with page.expect_navigation():
            closed.get_by_role("button", name="Load once").click()
        # The page that it came into had no embed, and so nothing that tells whether one is seen,
        # unless the library takes over scripts as well: then our own page asks.
        if "/.consent/preferences?" in page.url:
            page.get_by_role("button", name="Load once").click()
            page.wait_for_url("**/b")
        assert not in_part(page)
        page.locator("iframe[src*=youtube]").wait_for()
        assert any("youtube" in url for url in asked)
        assert page.url.endswith("/b")


@each
def test_a_refusal_holds_in_the_document_that_goes_on(
    tmp_path: Path, browser: Browser, name: str
) -> None:
    with loaded_in_part(tmp_path, browser, LIBRARIES[name]) as (page, asked):
        assert banner_shows(page)
        page.get_by_role("button", name="Reject all").click()
        # Of the page before and of this one.
        page.wait_for_function("!document.querySelector('#yc')")
        assert in_part(page)
        go(page, "Home", "Welcome")
        assert not banner_shows(page)
        assert page.evaluate("consent.get().decided") is True
        page.go_back()
        page.get_by_role("heading", name="A video").wait_for()
        settled(page)
        assert not banner_shows(page)
        page.go_back()
        page.get_by_role("heading", name="Welcome").wait_for()
        settled(page)
        assert not banner_shows(page)
        assert asked == []


@each
def test_a_consent_takes_a_new_document(tmp_path: Path, browser: Browser, name: str) -> None:
    with loaded_in_part(tmp_path, browser, LIBRARIES[name]) as (page, asked):
        with page.expect_navigation():
            page.get_by_role("button", name="Accept all").click()
        settled(page)
        assert not in_part(page)
        assert page.url.endswith("/b")
        assert {host for host in VENDORS if any(host in url for url in asked)} == {
            "www.youtube.com",
            "google-analytics.com",
        }


@each
def test_a_refusal_of_what_runs_takes_a_new_document(
    tmp_path: Path, browser: Browser, name: str
) -> None:
    with loaded_in_part(tmp_path, browser, LIBRARIES[name], country="US") as (page, asked):
        assert asked != []
        with page.expect_navigation():
            page.get_by_role("button", name="Reject all").click()
        settled(page)
        assert not in_part(page)
        asked.clear()
        page.evaluate("window.same = true")
        go(page, "Home", "Welcome")
        assert asked == []


@each
def test_a_patient_page_takes_a_new_document(tmp_path: Path, browser: Browser, name: str) -> None:
    with loaded_in_part(tmp_path, browser, LIBRARIES[name], country="US") as (page, asked):
        page.get_by_role("link", name="Pay", exact=True).click()
        page.wait_for_function("window.same !== true")
        page.wait_for_url("**/patients/pay")
        page.get_by_role("heading", name="Your bill").wait_for()
        asked.clear()
        page.evaluate("new Image().src = 'https://www.google-analytics.com/x'")
        page.wait_for_timeout(200)
        assert asked == []


@each
def test_a_choice_that_cannot_be_fetched_navigates_in_full(
    tmp_path: Path, browser: Browser, name: str
) -> None:
    with loaded_in_part(tmp_path, browser, LIBRARIES[name]) as (page, _):
        page.route(
            "**/.consent/choice",
            lambda route: (
                route.continue_() if route.request.is_navigation_request() else route.abort()
            ),
        )
        with page.expect_navigation():
            page.get_by_role("button", name="Reject all").click()
        settled(page)
        assert not in_part(page)
        assert not banner_shows(page)
