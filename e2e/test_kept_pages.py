"""Pages that a browser or the site's service worker keeps: after a choice none of them shows the
banner again, and none runs what was refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright

from e2e.channels import APPROVED, ClosedHosts, closed_hosts, profile, with_vendor
from e2e.proxied import serving
from tests.support.site import Proxied, Reply, reply
from tests.support.waiting import PATIENCE

TAG = "tag"
"""The one host of the one vendor."""
QUIET = 700
"""Milliseconds after which a tag of a loaded page has been asked for, if it ever is."""
CACHE_FIRST = """
addEventListener('install', (event) => { skipWaiting(); event.waitUntil(
  caches.open('v1').then((kept) => kept.addAll(['/', '/b', '/patients/pay']))) });
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  if (event.request.mode !== 'navigate') return;
  if (new URL(event.request.url).pathname.startsWith('/.consent/')) return;
  event.respondWith(caches.match(event.request).then((found) => found ? ANSWER :
    fetch(event.request).then((fresh) => {
      const copy = fresh.clone();
      caches.open('v1').then((kept) => kept.put(event.request, copy));
      return fresh;
    })));
});
"""
ANSWERS = {
    "as it was kept": "found",
    "a clone": "found.clone()",
    "written anew": "new Response(found.body, found)",
    "written anew, text": "found.text().then((text) => new Response(text, found))",
}
"""How a worker answers with a page that it has kept."""
REGISTER = """async () => {
  await navigator.serviceWorker.register('/sw.js');
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller)
    await new Promise((go) => navigator.serviceWorker.oncontrollerchange = go);
}"""


def script(text: str) -> bytes:
    return reply(text.encode(), "Content-Type: text/javascript", html=False)


def pages_of(tag: str) -> dict[str, Reply]:
    """Each page has the vendor's script; `speculate` loads another before it is asked for."""

    def page(name: str, more: str = "") -> bytes:
        return reply(
            f"""<!doctype html><html lang=en><head><title>{name}</title>{more}
            <script async src="{tag}/{name}.js"></script></head>
            <body><h1>{name}</h1><a href=/b>next</a></body></html>""".encode()
        )

    def speculate(how: str) -> str:
        rules = f'{{"{how}":[{{"urls":["/b"],"eagerness":"immediate"}}]}}'
        return f"<script type=speculationrules>{rules}</script>"

    return {
        "": page("home"),
        "b": page("b"),
        "patients/pay": page("pay"),
        "prerender": page("prerender", speculate("prerender")),
        "prefetch": page("prefetch", speculate("prefetch")),
    }


@dataclass(frozen=True, slots=True)
class Visit:
    site: Proxied
    hosts: ClosedHosts
    context: BrowserContext
    page: Page

    def url(self, path: str) -> str:
        return f"http://localhost:{self.site.port}{path}"

    def open(self, path: str) -> None:
        self.page.goto(self.url(path))
        self.page.wait_for_timeout(QUIET)

    def choose(self, button: str, page: Page | None = None) -> None:
        """On the preferences page, which ends on itself."""
        page = page or self.page
        page.goto(self.url("/.consent/preferences"))
        page.get_by_role("button", name=button).click()
        page.get_by_text("Saved.").wait_for()

    def asked(self) -> int:
        """How many requests the vendor has got."""
        return len(self.hosts.by_channel[TAG].arrivals.requests)

    def banner_shows(self) -> bool:
        return self.page.get_by_role("button", name="Reject all").is_visible()

    def keeps(self, answer: str) -> None:
        """The site's service worker is there, and has kept all pages."""
        self.site.pages["/sw.js"] = script(CACHE_FIRST.replace("ANSWER", ANSWERS[answer]))
        self.page.evaluate(REGISTER)


@pytest.fixture(scope="module")
def hosts() -> Iterator[ClosedHosts]:
    with closed_hosts([TAG]) as running:
        yield running


@pytest.fixture
def visit(playwright_driver: Playwright, tmp_path: Path, hosts: ClosedHosts) -> Iterator[Visit]:
    tag = hosts.targets(APPROVED, [TAG])[TAG][0]
    with (
        serving(tmp_path, pages_of(tag), change=with_vendor) as site,
        profile(playwright_driver, tmp_path / "profile", hosts.flag()) as context,
    ):
        context.set_default_timeout(1000 * PATIENCE)
        yield Visit(site, hosts, context, context.new_page())


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_service_workers_pages_run_nothing_that_was_refused_since(
    visit: Visit, answer: str
) -> None:
    visit.choose("Accept all")
    visit.open("/")
    assert visit.asked() > 0
    visit.keeps(answer)
    before = visit.asked()
    visit.open("/b")
    assert visit.asked() > before, "while it may, a kept page runs what it did"
    visit.choose("Reject all")
    before = visit.asked()
    for path in ("/", "/b", "/", "/patients/pay"):
        visit.open(path)
        assert not visit.banner_shows()
    assert visit.asked() == before


@pytest.mark.parametrize("button", ["Reject all", "Accept all"])
def test_a_service_workers_pages_do_not_ask_again(visit: Visit, button: str) -> None:
    visit.open("/")
    visit.keeps("as it was kept")
    visit.open("/b")
    assert visit.banner_shows()
    visit.page.get_by_role("button", name=button).click()
    visit.page.locator("#yc").wait_for(state="detached")
    before = visit.asked()
    for path in ("/", "/b"):
        visit.open(path)
        assert not visit.banner_shows()
    assert (visit.asked() > before) is (button == "Accept all")


def test_a_service_workers_page_without_a_network_opens_nothing(visit: Visit) -> None:
    visit.choose("Accept all")
    visit.open("/")
    visit.keeps("as it was kept")
    visit.choose("Reject all")
    before = visit.asked()
    visit.context.set_offline(True)
    visit.open("/b")
    assert visit.page.title() == "b"
    visit.context.set_offline(False)
    tag = visit.hosts.targets(APPROVED, [TAG])[TAG][0]
    visit.page.evaluate(f"new Image().src = '{tag}/late'")
    visit.page.wait_for_timeout(QUIET)
    assert visit.asked() == before


def test_what_a_service_worker_makes_up_is_held_to_the_last_choice(visit: Visit) -> None:
    visit.choose("Accept all")
    visit.open("/")
    visit.keeps("as it was kept")
    tag = visit.hosts.targets(APPROVED, [TAG])[TAG][0]
    page = f"<title>old</title><script src={tag}/old.js></script>"
    visit.page.evaluate(
        "async (page) => (await caches.open('v1')).put('/old', "
        "new Response(page, {headers: {'Content-Type': 'text/html'}}))",
        page,
    )
    visit.choose("Reject all")
    before = visit.asked()
    visit.open("/old")
    assert visit.page.title() == "old"
    assert visit.asked() == before


@pytest.mark.parametrize("how", ["prerender", "prefetch"])
def test_a_page_loaded_ahead_does_not_ask_again(visit: Visit, how: str) -> None:
    visit.open(f"/{how}")
    assert sum(b" /b " in one.line for one in visit.site.asked) == 1, "it was loaded ahead"
    visit.page.get_by_role("button", name="Reject all").click()
    visit.page.locator("#yc").wait_for(state="detached")
    visit.page.get_by_role("link", name="next").click()
    visit.page.wait_for_url("**/b")
    visit.page.wait_for_timeout(QUIET)
    assert not visit.banner_shows()


@pytest.mark.parametrize("how", ["prerender", "prefetch"])
def test_a_page_loaded_ahead_runs_nothing_that_was_refused_since(visit: Visit, how: str) -> None:
    visit.choose("Accept all")
    visit.open(f"/{how}")
    assert sum(b" /b " in one.line for one in visit.site.asked) == 1, "it was loaded ahead"
    visit.choose("Reject all", visit.context.new_page())
    visit.page.wait_for_timeout(QUIET)
    before = visit.asked()
    visit.page.get_by_role("link", name="next").click()
    visit.page.wait_for_url("**/b")
    visit.page.wait_for_timeout(QUIET)
    assert visit.asked() == before
    assert visit.page.evaluate("consent.get().categories.advertising") is False


def test_a_page_to_go_back_to_does_not_ask_again(visit: Visit) -> None:
    visit.open("/")
    visit.page.evaluate("window.same = true")
    visit.open("/b")
    visit.page.get_by_role("button", name="Reject all").click()
    visit.page.locator("#yc").wait_for(state="detached")
    visit.page.evaluate("history.back()")
    visit.page.wait_for_url(visit.url("/"))
    visit.page.wait_for_timeout(QUIET)
    assert not visit.banner_shows()


@pytest.mark.parametrize("button", ["Reject all", "Accept all"])
def test_the_banner_of_another_tab_goes_with_a_choice(visit: Visit, button: str) -> None:
    visit.open("/")
    before = visit.asked()
    visit.choose(button, visit.context.new_page())
    visit.page.wait_for_timeout(QUIET)
    assert not visit.banner_shows()
    assert (visit.asked() > before) is (button == "Accept all")


@pytest.mark.parametrize("then", ["", ".then((made) => made.clone())"])
def test_a_page_that_a_service_worker_fetches_from_no_server_has_a_policy(
    visit: Visit, then: str
) -> None:
    visit.choose("Reject all")
    visit.open("/")
    tag = visit.hosts.targets(APPROVED, [TAG])[TAG][0]
    page = f"<!doctype html><title>made</title><img src={tag}/made.png>"
    visit.site.pages["/sw.js"] = script(
        "addEventListener('install', () => skipWaiting());"
        "addEventListener('activate', (event) => event.waitUntil(clients.claim()));"
        "addEventListener('fetch', (event) => { if (event.request.url.endsWith('/made'))"
        f"event.respondWith(fetch('data:text/html,' + encodeURIComponent('{page}')){then}) }});"
    )
    visit.page.evaluate(REGISTER)
    before = visit.asked()
    visit.open("/made")
    assert visit.page.title() == "made"
    assert visit.asked() == before
