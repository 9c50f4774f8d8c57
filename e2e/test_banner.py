"""The banner and the preferences page in real Chromium, under the CSP that the proxy sends."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, BrowserContext, Request, Route
from playwright.sync_api import Page as Tab

from consent_rules.categories import CHOOSABLE, Audience, Category
from consent_rules.config.theme import Theme
from e2e.visitor import seen
from proxy.banner.banner import preferences_page
from proxy.banner.declaration import (
    DeclaredCategory,
    DeclaredCookie,
    DeclaredVendor,
    declaration_page,
)
from proxy.banner.texts import Texts, languages
from proxy.banner.views import PREFIX, CategoryView, PageState, PreferencesView
from tests.support.host_page import banner_categories, strict_csp
from tests.support.host_page import host_page as page_with_markup

Categories = Callable[..., tuple[CategoryView, ...]]
HostPage = Callable[..., str]

HOSTILE_CSS = """
*{font-size:40px!important;color:red;letter-spacing:3px!important;text-transform:uppercase!important}
section,form,p,button,div,span,h2{margin:3em;border:5px solid red;position:relative;float:left}
button{all:unset} input{display:none!important} a::before{content:'XX'} [dir]{direction:rtl}
#main p button,body section form button{background:lime!important}
section{display:none!important;opacity:.2!important} label{position:absolute!important}
"""

URL = "http://site.test/a?b=1&c=2"
SIZES = [(320, 256), (360, 740), (768, 1024), (1280, 800), (1920, 1080)]


class Site:
    """One tab on a site that answers with the given page and takes choices."""

    def __init__(self, context: BrowserContext, html: str, csp: str, status: int) -> None:
        self.html, self.csp, self.status = html, csp, status
        self.choices: list[Request] = []
        self.errors: list[str] = []
        self.shown = 0
        context.route("**/*", self._answer)
        self.tab: Tab = context.new_page()
        self.tab.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.tab.on("pageerror", lambda e: self.errors.append(str(e)))
        self.tab.goto(URL)

    def _answer(self, route: Route) -> None:
        if route.request.method == "POST":
            self.choices.append(route.request)
            script = "application/json" in route.request.headers["accept"]
            if script and self.status == 204:
                route.fulfill(status=204)
                return
            route.fulfill(status=self.status if script else 200, body="sent by the form")
            return
        if route.request.resource_type == "document":
            self.shown += 1
        headers = {"content-security-policy": self.csp, "content-type": "text/html;charset=utf-8"}
        route.fulfill(body=self.html, headers=headers)

    def chosen(self) -> dict[str, list[str]]:
        # The request may have left the page and not come here yet.
        for _ in range(40):
            if self.choices:
                break
            self.tab.wait_for_timeout(50)
        assert len(self.choices) == 1
        return parse_qs(self.choices[0].post_data or "")

    def box(self, selector: str) -> dict[str, float]:
        found = self.tab.locator(selector).bounding_box()
        assert found is not None, selector
        return {name: found[name] for name in ("x", "y", "width", "height")}


Open = Callable[..., Site]


@pytest.fixture
def categories() -> Categories:
    return banner_categories


@pytest.fixture(params=sorted(languages()))
def texts(request: pytest.FixtureRequest) -> Texts:
    return languages()[request.param]


@pytest.fixture
def english() -> Texts:
    return languages()["en"]


@pytest.fixture
def host_page() -> HostPage:
    return page_with_markup


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    contexts: list[BrowserContext] = []
    default_csp = strict_csp()

    def go(
        html: str,
        *,
        csp: str = "",
        size: tuple[int, int] = (1280, 800),
        status: int = 204,
        **kw: Any,
    ) -> Site:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **kw)
        context.set_default_timeout(5_000)
        contexts.append(context)
        return Site(context, html, csp or default_csp, status)

    yield go
    for context in contexts:
        context.close()


@pytest.fixture
def preferences(categories: Categories, english: Texts) -> Callable[..., str]:
    def build(texts: Texts = english, on: tuple[Category, ...] = (), **changes: Any) -> str:
        view = PreferencesView("Acme", "/privacy", categories(on=on), return_to="/a", **changes)
        return preferences_page(view, texts)

    return build


ACCEPT, REJECT = '#yc button[value="accept_all"]', '#yc button[value="reject_all"]'
SAVE, CHOOSE = '#yc button[value="save"]', "#yc-c"


# --- What a press does


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("action", ["accept_all", "reject_all"])
def test_one_press_sends_the_choice(
    visit: Open, host_page: HostPage, english: Texts, javascript: bool, action: str
) -> None:
    site = visit(host_page(english), java_script_enabled=javascript)
    with site.tab.expect_request(lambda r: r.method == "POST"):
        site.tab.click(f'#yc button[value="{action}"]')
    chosen = site.chosen()
    assert chosen["action"] == [action]
    assert chosen["return_to"] == ["/a?b=1&c=2"]
    assert site.choices[0].url == "http://site.test/.consent/choice"
    assert site.errors == []


ALL_BUT_REPLAY = tuple(c for c in CHOOSABLE if c is not Category.SESSION_REPLAY)


@pytest.mark.parametrize(
    ("press", "on", "exceptions", "reloads"),
    [
        (REJECT, (), (), False),
        (REJECT, (Category.ANALYTICS,), (), True),
        (REJECT, ALL_BUT_REPLAY, (), True),
        # Open by a choice for itself, while its category is closed.
        (REJECT, (), (("youtube", True),), True),
        (REJECT, (), (("youtube", False),), False),
        (ACCEPT, (), (), True),
        (ACCEPT, ALL_BUT_REPLAY, (), True),
        (ACCEPT, CHOOSABLE, (), False),
    ],
)
def test_a_choice_that_differs_from_the_documents_policy_takes_a_new_document(
    visit: Open,
    host_page: HostPage,
    english: Texts,
    press: str,
    on: tuple[Category, ...],
    exceptions: tuple[tuple[str, bool], ...],
    reloads: bool,
) -> None:
    off = tuple(c for c in CHOOSABLE if c not in on)
    state = PageState(on, off, exceptions=exceptions)
    site = visit(host_page(english, state=state))
    if reloads:
        with site.tab.expect_navigation():
            site.tab.click(press)
    else:
        site.tab.click(press)
        site.tab.wait_for_selector("#yc", state="detached")
        assert site.tab.inner_text("#yc-s") == english["banner.saved"]
    assert site.shown == (2 if reloads else 1)
    assert site.errors == []


def test_reload_keeps_the_scroll_position(visit: Open, host_page: HostPage, english: Texts) -> None:
    site = visit(host_page(english))
    site.tab.evaluate("scrollTo(0, 400)")
    with site.tab.expect_navigation():
        site.tab.click(ACCEPT)
    site.tab.wait_for_function("scrollY == 400")


@pytest.mark.parametrize("status", [400, 403, 500])
def test_refused_fetch_falls_back_to_the_form(
    visit: Open, host_page: HostPage, english: Texts, status: int
) -> None:
    site = visit(host_page(english), status=status)
    with site.tab.expect_navigation():
        site.tab.click(REJECT)
    assert "sent by the form" in site.tab.content()
    assert [parse_qs(r.post_data or "")["action"] for r in site.choices] == [["reject_all"]] * 2


def test_two_presses_send_one_choice(visit: Open, host_page: HostPage, english: Texts) -> None:
    site = visit(host_page(english))
    site.tab.evaluate(
        f"document.querySelector('{REJECT}').click();document.querySelector('{ACCEPT}').click()"
    )
    site.tab.wait_for_selector("#yc", state="detached")
    assert site.chosen()["action"] == ["reject_all"]


def test_choose_opens_switches_in_place_and_saves_them(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    state = PageState((), CHOOSABLE)
    site = visit(host_page(english, state=state))
    assert not site.tab.is_visible(SAVE)
    site.tab.click(CHOOSE)
    assert site.tab.url == URL
    assert site.tab.evaluate("document.activeElement.value") == "functional"
    assert site.tab.locator("#yc input:checked").count() == 0
    site.tab.locator("#yc label").nth(1).click()
    site.tab.evaluate("void consent.on('change', (s) => sessionStorage.seen = JSON.stringify(s))")
    site.tab.wait_for_timeout(SETTLED)
    with site.tab.expect_navigation():
        site.tab.click(SAVE)
    assert site.chosen()["category"] == ["analytics"]
    assert site.chosen()["action"] == ["save"]
    categories = json.loads(site.tab.evaluate("sessionStorage.seen"))["categories"]
    assert {c for c, on in categories.items() if on} == {"necessary", "analytics"}


SETTLED = 550
"""Milliseconds. Before, a press counts as part of the one that opened the switches."""


@pytest.mark.parametrize("size", SIZES)
def test_a_double_press_of_choose_decides_nothing(
    visit: Open, host_page: HostPage, english: Texts, size: tuple[int, int]
) -> None:
    site = visit(host_page(english), size=size)
    site.tab.locator(CHOOSE).scroll_into_view_if_needed()
    box = site.box(CHOOSE)
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    site.tab.mouse.dblclick(*at)
    site.tab.wait_for_timeout(SETTLED)
    assert site.choices == []
    assert site.tab.is_visible("#yc-p")
    # Nor does one that is slower.
    under = site.tab.evaluate("at => document.elementFromPoint(...at)?.closest('button')", list(at))
    assert under is None
    for button in (SAVE, ACCEPT, REJECT):
        found = site.box(button)
        beside = not (
            found["x"] <= at[0] <= found["x"] + found["width"]
            and found["y"] <= at[1] <= found["y"] + found["height"]
        )
        assert beside, button


@pytest.mark.parametrize("size", SIZES)
def test_where_choose_was_stands_a_link_that_decides_nothing(
    visit: Open, host_page: HostPage, english: Texts, size: tuple[int, int]
) -> None:
    """Nothing moves under the pointer, and nothing is left empty."""
    site = visit(host_page(english), size=size)
    details = site.tab.get_by_role("link", name="Details and companies")
    assert not details.is_visible()
    site.tab.locator(CHOOSE).scroll_into_view_if_needed()
    box = site.box(CHOOSE)
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    # The second one at once: on a loaded machine what follows takes longer than a double click.
    site.tab.mouse.click(*at, click_count=2, delay=0)
    assert not site.tab.is_visible(CHOOSE)
    # The pointer changes no order of Tab.
    assert site.tab.locator("[tabindex='1']").count() == 0
    found = details.bounding_box()
    assert found is not None and found["height"] >= 44
    if size[1] > 480:  # where it is lower, the buttons scroll with the switches
        assert found["y"] == pytest.approx(box["y"], abs=1)
        under = "at => document.elementFromPoint(...at)?.closest('a')?.innerText"
        assert site.tab.evaluate(under, list(at)) == "Details and companies"
    assert site.tab.url == URL
    site.tab.wait_for_timeout(SETTLED)
    assert site.tab.url == URL
    details.click()
    assert site.tab.url.startswith("http://site.test/.consent/preferences?")


def test_without_javascript_choose_leads_to_the_preferences(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    site = visit(host_page(english), java_script_enabled=False)
    site.tab.click(CHOOSE)
    query = "return_to=%2Fa%3Fb%3D1%26c%3D2&lang=en"
    assert site.tab.url == f"http://site.test/.consent/preferences?{query}"


# --- Keyboard and focus


FOCUSED = "document.activeElement.innerText?.trim() || document.activeElement.tagName"
CONTROLS = ["Privacy policy", "Reject all", "Accept all", "Choose"]


def test_keyboard_alone_is_enough(visit: Open, host_page: HostPage, english: Texts) -> None:
    site = visit(host_page(english, body="<p><button id=x>Own</button></p>"))
    tab = site.tab
    order = []
    for _ in range(len(CONTROLS)):
        tab.keyboard.press("Tab")
        order.append(tab.evaluate(FOCUSED))
    assert order == CONTROLS
    tab.keyboard.press("Escape")
    assert tab.is_visible("#yc")
    tab.keyboard.press("Space")
    tab.keyboard.press("Space")
    assert tab.locator("#yc input:checked").count() == 1
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.id") == "yc-c"
    assert not tab.is_visible("#yc-p")
    assert site.choices == []
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(SETTLED)
    # Enter among the switches saves them; it never accepts all.
    with tab.expect_request(lambda r: r.method == "POST"):
        tab.keyboard.press("Enter")
    assert site.chosen()["action"] == ["save"]


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("links", [0, 17, 200])
def test_one_tab_reaches_the_banner_and_the_next_after_it_the_page(
    visit: Open, host_page: HostPage, english: Texts, links: int, javascript: bool
) -> None:
    body = "".join(f"<p><a href='#x'>Own {number}</a></p>" for number in range(links))
    site = visit(host_page(english, body=body), java_script_enabled=javascript)
    tab = site.tab
    order = []
    for _ in range(len(CONTROLS) + 1):
        tab.keyboard.press("Tab")
        order.append(tab.evaluate(FOCUSED))
        assert tab.evaluate("document.activeElement.matches(':focus-visible')")
    first = "Own 0" if links else "Cookie preferences"
    assert order == [*CONTROLS, first]
    tab.keyboard.press("Shift+Tab")
    assert tab.evaluate(FOCUSED) == "Choose"
    assert tab.evaluate("scrollY") == 0


def test_from_where_the_visitor_is_tab_goes_on(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    """Whoever pressed something on the page, or came by a fragment, has begun there."""
    body = "".join(f"<p id=p{n}>Text <a href='#x'>Own {n}</a></p>" for n in range(30))
    site = visit(host_page(english, body=body))
    tab = site.tab
    tab.locator("#p1").click(position={"x": 2, "y": 5})
    tab.keyboard.press("Tab")
    assert tab.evaluate(FOCUSED) == "Own 1"
    tab.goto(URL + "#p2")
    tab.keyboard.press("Tab")
    assert tab.evaluate(FOCUSED) == "Own 2"


def test_after_a_choice_by_keyboard_tab_begins_with_the_page(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    site = visit(host_page(english, state=PageState((), CHOOSABLE)))
    tab = site.tab
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    assert tab.evaluate(FOCUSED) == "Reject all"
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#yc", state="detached")
    tab.keyboard.press("Tab")
    assert tab.evaluate(FOCUSED) == "Read more"
    assert tab.evaluate("scrollY") == 0


def test_the_pages_scripts_find_their_own_first(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    body = "<form id=own><input name=q><button>Go</button></form><p><a href='#x'>Own</a></p>"
    site = visit(host_page(english, body=body))
    # Tools that look for an order of Tab unlike the document's find none before a key is pressed.
    site.tab.wait_for_function("document.querySelector('#yc-c').role == 'button'")
    assert site.tab.locator("[tabindex='1']").count() == 0
    for _ in range(2):
        found = site.tab.evaluate(
            "[document.forms[0].id, document.links[0].innerText, ...['a', 'button', 'input']"
            ".map(name => document.querySelector(name).closest('#yc') === null)]"
        )
        assert found == ["own", "Own", True, True, True]
        site.tab.keyboard.press("Tab")


@pytest.mark.parametrize(("width", "height"), [(320, 256), (740, 360), (360, 740)])
def test_the_buttons_are_in_sight_at_400_percent_and_in_landscape(
    visit: Open, host_page: HostPage, english: Texts, width: int, height: int
) -> None:
    site = visit(host_page(english, gpc=True))
    site.tab.set_viewport_size({"width": width, "height": height})
    for part in (ACCEPT, REJECT, CHOOSE):
        box = site.box(part)
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
        assert box["height"] >= 44
    # And no row of them lies over a switch that has the focus.
    site.tab.click(CHOOSE)
    for _ in range(6):
        covered = site.tab.evaluate("""() => {
            const e = document.activeElement, b = e.getBoundingClientRect();
            const there = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
            return e.tagName == 'INPUT' && there !== e && !there?.contains(e) && !e.contains(there);
        }""")
        assert not covered
        site.tab.keyboard.press("Tab")


def test_focus_returns_to_where_it_came_from(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    body = "<p><button id=x>Own</button></p>"
    state = PageState((), CHOOSABLE)
    site = visit(host_page(english, body=body, state=state))
    site.tab.focus("#x")
    site.tab.evaluate("consent.open()")
    assert site.tab.evaluate("document.activeElement.name") == "category"
    site.tab.wait_for_timeout(SETTLED)
    site.tab.focus(REJECT)
    site.tab.keyboard.press("Enter")
    site.tab.wait_for_selector("#yc", state="detached")
    assert site.tab.evaluate("document.activeElement.id") == "x"


FOCUS_AND_BANNER = """() => {
  const focused = document.activeElement, banner = document.querySelector('#yc');
  const {top, bottom} = focused.getBoundingClientRect();
  const ours = banner.contains(focused);
  return {ours, top, bottom, banner: banner.getBoundingClientRect().top};
}"""


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_focus_is_never_hidden_by_the_banner(
    visit: Open, host_page: HostPage, english: Texts, size: tuple[int, int], javascript: bool
) -> None:
    """WCAG 2.2, 2.4.11."""
    site = visit(host_page(english), size=size, java_script_enabled=javascript)
    for _ in range(41):  # the 40 links of the page, and our own at its end
        site.tab.keyboard.press("Tab")
        while (found := site.tab.evaluate(FOCUS_AND_BANNER))["ours"]:
            site.tab.keyboard.press("Tab")
        assert found["top"] >= -1 and found["bottom"] <= found["banner"] + 1, found


# --- The page's API


def test_api_tells_state_and_changes(visit: Open, host_page: HostPage, english: Texts) -> None:
    state = PageState(CHOOSABLE, (), gpc=True)
    site = visit(host_page(english, state=state))
    tab = site.tab
    assert tab.evaluate("consent.get()") == {
        "decided": False,
        "gpc": True,
        "categories": {"necessary": True, **dict.fromkeys(map(str, CHOOSABLE), True)},
    }
    tab.evaluate("""() => {
      window.heard = [];
      consent.get().categories.analytics = false;
      consent.on('change', s => heard.push(['on', s.decided, s.categories.analytics]));
      consent.on('change', s => heard.push('never'))();
      document.addEventListener('consent:change', e => heard.push(['dom', e.detail.decided]));
    }""")
    tab.click(ACCEPT)
    tab.wait_for_selector("#yc", state="detached")
    assert sorted(tab.evaluate("heard")) == [["dom", True], ["on", True, True]]
    assert all(tab.evaluate("consent.get().categories").values())
    with tab.expect_navigation():
        tab.evaluate("consent.open()")
    assert tab.url.startswith("http://site.test/.consent/preferences?return_to=%2Fa%3Fb%3D1")


def test_api_of_a_decided_visitor(visit: Open, host_page: HostPage, english: Texts) -> None:
    site = visit(host_page(english, on=(Category.ANALYTICS,), decided=True))
    state = site.tab.evaluate("consent.get()")
    assert state["decided"] is True
    assert [c for c, on in state["categories"].items() if on] == ["necessary", "analytics"]
    with site.tab.expect_navigation():
        site.tab.evaluate("consent.open()")
    assert "/.consent/preferences" in site.tab.url
    assert site.errors == []


# --- Looks

LOOK = """element => {
  const s = getComputedStyle(element), b = element.getBoundingClientRect();
  const look = [s.color, s.backgroundColor, s.fontSize, s.fontWeight, s.borderTopColor,
                s.borderTopWidth, s.textTransform, s.letterSpacing, s.opacity, s.cursor];
  return [...look, Math.round(b.width), Math.round(b.height), Math.round(b.top)].join(' ');
}"""


# All of it in one call: each call to the browser takes longer than what it measures.
LOOKS = f"""selectors => {{
  const look = {LOOK};
  const box = element => {{
    const {{x, y, width, height}} = element.getBoundingClientRect();
    return {{x, y, width, height, fits: element.scrollWidth <= element.clientWidth}};
  }};
  const buttons = selectors.map(selector => document.querySelector(selector));
  return {{
    buttons: buttons.map(button => ({{...box(button), look: look(button)}})),
    banner: box(document.querySelector('#yc')),
    fits: document.documentElement.scrollWidth <= innerWidth,
  }};
}}"""


def test_c1_accept_and_reject_look_the_same_in_every_language_and_size(
    visit: Open, host_page: HostPage, texts: Texts
) -> None:
    site = visit(host_page(texts, gpc=True))
    for opened in (False, True):
        if opened:
            site.tab.click(CHOOSE)
        for width, height in SIZES:
            site.tab.set_viewport_size({"width": width, "height": height})
            found = site.tab.evaluate(LOOKS, [ACCEPT, REJECT])
            accept, reject = found["buttons"]
            assert accept["look"] == reject["look"]
            for button in (accept, reject):
                assert button["height"] >= 44
                assert button["x"] >= 0 and button["x"] + button["width"] <= width
                assert button["fits"]
            assert found["fits"]
            if opened:
                continue
            # There is room left for the page.
            box = found["banner"]
            assert box["height"] <= height * 0.6 + 1
            assert box["y"] + box["height"] == pytest.approx(height, abs=1)
            assert box["x"] == pytest.approx(width - box["x"] - box["width"], abs=1)


def styles(site: Site) -> list[str]:
    """Every computed property of every element of ours, but those that follow the page's size."""
    found: list[str] = site.tab.evaluate("""() => {
      const all = [];
      for (const root of document.querySelectorAll('#yc, .yc-h'))
        for (const element of [root, ...root.querySelectorAll('*')]) {
          const style = getComputedStyle(element);
          for (const name of style) if (!name.startsWith('--'))
            all.push(`${root.id}${element.tagName}.${name}: ${style.getPropertyValue(name)}`);
        }
      return all;
    }""")
    return found


def test_hostile_css_changes_nothing(visit: Open, host_page: HostPage, english: Texts) -> None:
    plain, hostile = (
        visit(
            host_page(english, css=css, gpc=True, placeholders=True),
            csp="style-src * 'unsafe-inline'",
        )
        for css in ("main{width:600px}", HOSTILE_CSS + "main{width:600px}")
    )
    assert hostile.tab.eval_on_selector("h1", "e => getComputedStyle(e).color") == "rgb(255, 0, 0)"
    for site in (plain, hostile):
        site.tab.click(CHOOSE)
    before, after = styles(plain), styles(hostile)
    # A placeholder may be squeezed by the float that the page makes of its paragraph.
    sizes = (
        ".width",
        ".height",
        ".inline-size",
        ".block-size",
        "-origin",
        ".inset",
        ".top",
        ".bottom",
        ".left",
        ".right",
    )
    changed = [
        (a, b)
        for a, b in zip(before, after, strict=True)
        if a != b and not any(a.split(":")[0].endswith(s) or s in a.split(":")[0] for s in sizes)
    ]
    assert changed == []
    assert site.box("#yc") == plain.box("#yc")


@pytest.mark.parametrize("width", ["480", "100%"])
def test_placeholder_measures_what_the_iframe_did(
    visit: Open, host_page: HostPage, english: Texts, width: str
) -> None:
    from proxy.banner.placeholder import placeholder_html

    frame = f'<iframe width="{width}" height="270" frameborder="0"></iframe>'
    closed = placeholder_html("v", "Video Inc", "video", width, "270", english)
    body = "<p id=x>Before {} after</p>"
    css = "iframe{max-width:100%}"
    for size in ((360, 740), (1280, 800)):
        sites = [
            visit(
                host_page(
                    english, body=body.format(part), css=css, decided=True, placeholders=True
                ),
                csp="style-src 'unsafe-inline'",
                size=size,
            )
            for part in (frame, closed)
        ]
        assert sites[0].box("#x") == sites[1].box("#x")
        assert sites[0].box("#x iframe") == sites[1].box("#x .yc-h")


def test_placeholder_buttons_send_the_shared_form(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    site = visit(host_page(english, decided=True, placeholders=True))
    with site.tab.expect_navigation():
        seen(site.tab.get_by_role("button", name="Always allow YouTube")).click()
    assert site.chosen() == {
        "action": ["vendor:youtube"],
        "return_to": ["/a"],
        "lang": ["en"],
    }
    site.tab.goto(URL)
    site.tab.get_by_role("button", name="Cookie preferences").click()
    site.tab.wait_for_url("http://site.test/.consent/preferences?lang=en&return_to=%2Fa")


def test_print_shows_the_page_alone(visit: Open, host_page: HostPage, english: Texts) -> None:
    site = visit(host_page(english))
    site.tab.emulate_media(media="print")
    assert not site.tab.is_visible("#yc")
    assert not site.tab.is_visible("#yc-l")


def test_nothing_moves(visit: Open, host_page: HostPage, english: Texts) -> None:
    site = visit(host_page(english))
    moving = (
        "e => [...document.querySelectorAll('#yc, #yc *')].filter(e => "
        "getComputedStyle(e).transitionDuration != '0s' || "
        "getComputedStyle(e).animationName != 'none').length"
    )
    assert site.tab.eval_on_selector("#yc", moving) == 0


def test_forced_colours_keep_the_switches(visit: Open, host_page: HostPage, english: Texts) -> None:
    site = visit(host_page(english), forced_colors="active")
    site.tab.click(CHOOSE)
    look = "e => [getComputedStyle(e).appearance, getComputedStyle(e).borderTopStyle]"
    assert site.tab.eval_on_selector("#yc input", look)[0] == "auto"
    assert site.tab.eval_on_selector(REJECT, look)[1] == "solid"


def test_visitors_font_size_is_kept_whatever_the_page_does_to_rem(
    visit: Open, host_page: HostPage, english: Texts
) -> None:
    site = visit(host_page(english, css="html{font-size:5px}"), csp="style-src 'unsafe-inline'")
    assert site.tab.eval_on_selector("#yc form", "e => getComputedStyle(e).fontSize") == "15px"


# --- The preferences page


@pytest.mark.parametrize("javascript", [True, False])
def test_preferences_are_sent_by_a_plain_form(
    visit: Open, preferences: Callable[..., str], javascript: bool
) -> None:
    site = visit(preferences(), java_script_enabled=javascript)
    tab = site.tab
    tab.get_by_role("checkbox", name="Statistics", exact=True).check()
    tab.locator("summary", has_text="(2)").click()
    # Statistics are on: its companies can be refused, not allowed.
    assert tab.locator("label", has_text="Refuse Google Analytics").is_visible()
    assert not tab.locator("label", has_text="Allow Google Analytics").is_visible()
    tab.get_by_label("Refuse Google Analytics anyway").check()
    tab.locator("summary", has_text="(1)").first.click()
    tab.get_by_label("Allow functional anyway").check()
    with tab.expect_navigation():
        tab.get_by_role("button", name="Save my choices").click()
    assert site.chosen() == {
        "action": ["save"],
        "category": ["analytics"],
        "vendor": ["functional", "matomo"],
        "vendor_off": ["google-analytics"],
        "return_to": ["/a"],
        "source": ["preferences"],
        "lang": ["en"],
    }


def test_targets_of_the_preferences_are_44_px_high(
    visit: Open, preferences: Callable[..., str], english: Texts
) -> None:
    site = visit(preferences(english))
    site.tab.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    heights = site.tab.eval_on_selector_all(
        "button, summary, .switch, label",
        """all => all.filter(e => e.checkVisibility())
            .map(e => [e.textContent.trim() || e.id, e.getBoundingClientRect().height])""",
    )
    assert len(heights) > 5
    assert [one for one in heights if one[1] < 44] == []


def test_printed_preferences_show_what_is_on(
    visit: Open, preferences: Callable[..., str], english: Texts
) -> None:
    site = visit(preferences(english))
    site.tab.emulate_media(media="print")
    looks = site.tab.eval_on_selector_all(
        ".switch", "all => all.map(e => [e.checkVisibility(), getComputedStyle(e).appearance])"
    )
    assert looks
    assert all(one == [True, "auto"] for one in looks), "a browser prints no backgrounds"


def test_preferences_fit_every_width(
    visit: Open, preferences: Callable[..., str], texts: Texts
) -> None:
    asked = {"opt_out": True, "limit": True}
    html = preferences(texts, gpc=True, saved=True, audience=Audience.PATIENT, **asked)
    site = visit(html)
    site.tab.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    for width in (320, 360, 1280):
        site.tab.set_viewport_size({"width": width, "height": 740})
        assert site.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        accept, reject = (
            site.tab.eval_on_selector(f'button[value="{a}"]', LOOK).split()[:-1]
            for a in ("accept_all", "reject_all")
        )
        assert accept == reject


# --- axe-core, as the package axe-playwright-python brings it


@pytest.fixture(scope="session")
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def violations(site: Site, axe: str) -> list[str]:
    # Playwright's evaluate is not held to the page's CSP.
    site.tab.evaluate(axe + ";0")
    found = site.tab.evaluate("""() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a',
      'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => r.violations.map(
        v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | ')))""")
    return list(found)


def declared(texts: Texts) -> str:
    cookies = (DeclaredCookie("_acme_*", texts["cookie.visitor"], texts["declaration.session"]),)
    vendors = (
        DeclaredVendor("acme", "Acme", "Acme Inc.", "https://acme.example/privacy", cookies),
        DeclaredVendor("other", "Other", "", "", ()),
    )
    found = (DeclaredCategory(Category.ANALYTICS, "Statistics", "Counts visits.", vendors),)
    return declaration_page(found, texts, prefix=PREFIX, theme=Theme(), controller="Acme")


@pytest.mark.parametrize("size", [(320, 256), (360, 740), (1280, 800)])
def test_that_it_is_saved_is_in_sight_and_read_first(
    visit: Open, preferences: Callable[..., str], english: Texts, size: tuple[int, int]
) -> None:
    site = visit(preferences(saved=True, gpc=True), size=size)
    note = site.tab.locator("main > :first-child")
    assert note.get_attribute("role") == "status"
    assert note.inner_text() == english["preferences.saved"]
    assert note.evaluate("e => e == document.activeElement")
    box = site.box("main > :first-child")
    assert box["y"] >= 0 and box["y"] + box["height"] <= size[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(360, 740), (1280, 800)])
@pytest.mark.parametrize("lang", ["en", "ar", "zh"])
def test_axe_finds_nothing(
    visit: Open,
    host_page: HostPage,
    preferences: Callable[..., str],
    axe: str,
    scheme: str,
    size: tuple[int, int],
    lang: str,
) -> None:
    texts = languages()[lang]
    css = ":root{color-scheme:light dark}body{margin:0;background:#fff;color:#222}a{color:#004}"
    html = host_page(texts, gpc=True, placeholders=True, choices=True, css=css)
    site = visit(html, size=size, color_scheme=scheme, csp="style-src 'unsafe-inline'")
    assert violations(site, axe) == []
    site.tab.click(CHOOSE)
    # At its end, or a switch may lie half under the buttons, from where it can be scrolled.
    site.tab.evaluate("document.querySelector('#yc').scrollTop = 9999")
    assert violations(site, axe) == []
    day = datetime.date(2026, 11, 24)
    for page in (
        declared(texts),
        preferences(texts),
        preferences(
            texts, CHOOSABLE[:2], gpc=True, saved=True, chosen_on=day, audience=Audience.PATIENT
        ),
        preferences(texts, opt_out=True, limit=True, limited=True),
    ):
        site = visit(page, size=size, color_scheme=scheme)
        site.tab.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
        assert violations(site, axe) == []
