"""The banner on a whole page: what it does to speed, focus, scroll position and typed text."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from e2e.conftest import NewVisitor
from e2e.proxied import serving
from e2e.site import EVERY_VENDOR
from e2e.visitor import Visitor, seen
from tests.support.site import HOST, reply

SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
"""


@pytest.mark.parametrize("width", [360, 1280])
def test_banner_shifts_nothing_and_asks_for_nothing(new_visitor: NewVisitor, width: int) -> None:
    visitor = new_visitor(viewport={"width": width, "height": 740})
    visitor.context.add_init_script(SHIFTS)
    visitor.open("/contact")
    assert visitor.page.evaluate("shifts") == 0
    own = [r.url for r in visitor.requests if "/.consent/" in r.url]
    assert own == []
    blocking = visitor.page.evaluate(
        "performance.getEntriesByType('resource').filter(r => r.renderBlockingStatus == 'blocking')"
        ".map(r => r.name).filter(name => name.includes('consent'))"
    )
    assert blocking == []
    visitor.reject_all()
    assert visitor.page.evaluate("shifts") == 0


def test_banner_is_painted_with_the_page(new_visitor: NewVisitor) -> None:
    """Without a script, before any other request is answered: it stands in the page's own bytes."""
    visitor = new_visitor(java_script_enabled=False)
    visitor.context.route("**/*", lambda r: r.continue_() if r.request.is_navigation_request()
                          else r.abort())  # fmt: skip
    visitor.page.goto(visitor.demo.url("/"), wait_until="commit")
    visitor.page.locator("#yc").wait_for(state="visible")


OWN_LINK = b"""<!doctype html><html lang=en><title>P</title><main>text</main><footer>
<a data-consent-link href=/.consent/preferences>My choices</a></footer>
<script>addEventListener("click", (event) => event.preventDefault())</script>"""


def test_the_sites_own_link_opens_the_preferences_in_full(browser: Browser, tmp_path: Path) -> None:
    """As ours does: no library for partial loads gets to see it."""
    with serving(tmp_path, {"p": reply(OWN_LINK)}) as site:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://{HOST}:{site.port}/p")
        assert page.locator("a[href*=preferences]").evaluate_all(
            "all => all.filter(a => !a.closest('#yc')).map(a => a.innerText)"
        ) == ["My choices"]
        page.locator("#yc button[value=reject_all]").click()
        expect(page.locator("#yc-s")).to_have_text("Your choice is saved.")
        page.get_by_text("My choices").click()
        page.wait_for_url("**/.consent/preferences*")
        assert page.get_by_role("link", name="Back").get_attribute("href") == "/p"
        context.close()


GERMAN = b"""<!doctype html><html lang=de><title>P</title><main>Text</main>
<iframe src="https://www.youtube.com/embed/abc" width=480 height=300></iframe>"""


@pytest.mark.parametrize("javascript", [True, False])
def test_the_preferences_speak_the_language_of_the_page_not_of_the_browser(
    browser: Browser, tmp_path: Path, javascript: bool
) -> None:
    with serving(tmp_path, {"p": reply(GERMAN)}) as site:
        context = browser.new_context(locale="en-GB", java_script_enabled=javascript)
        page = context.new_page()

        def is_german() -> None:
            page.wait_for_url("**/.consent/preferences?*")
            expect(page.locator("html")).to_have_attribute("lang", "de")

        address = f"http://{HOST}:{site.port}/p"
        page.goto(address)
        if javascript:
            page.evaluate("void consent.open()")
            expect(page.locator("#yc-p")).to_be_visible()
            page.wait_for_timeout(550)
            page.locator("#yc-c + a").click()
        else:
            page.locator("#yc-c").click()
        is_german()
        page.locator("button[value=reject_all]").click()
        page.wait_for_url("**saved=1*")
        is_german()
        page.goto(address)
        page.locator("#yc-l a").click()
        is_german()
        page.goto(address)
        page.frame_locator("iframe").get_by_role("button", name="Cookie").click()
        is_german()
        if javascript:
            page.goto(address)
            page.evaluate("void consent.open()")
            is_german()
        context.close()


COVERED = """() => {
  const focused = document.activeElement, banner = document.querySelector('#yc');
  if (!focused || focused === document.body || banner.contains(focused)) return false;
  const at = focused.getBoundingClientRect(), over = banner.getBoundingClientRect();
  return at.top >= over.top && at.left >= over.left && at.right <= over.right;
}"""


@pytest.mark.parametrize("size", [(360, 740), (1280, 800)])
def test_banner_never_hides_what_has_the_focus(
    new_visitor: NewVisitor, size: tuple[int, int]
) -> None:
    visitor = new_visitor(viewport={"width": size[0], "height": size[1]})
    visitor.open("/contact")
    seen = set()
    for _ in range(60):
        visitor.page.keyboard.press("Tab")
        name = visitor.page.evaluate("document.activeElement.outerHTML.slice(0, 80)")
        assert not visitor.page.evaluate(COVERED), name
        if name in seen:
            break
        seen.add(name)
    assert len(seen) > 10


def type_into_the_form(visitor: Visitor) -> None:
    visitor.page.get_by_label("Your name").fill("Dana Świt")
    visitor.page.get_by_label("Work e-mail").fill("dana@example.com")
    visitor.page.get_by_label("What happened?").fill("Two lines\nof text")


def typed(visitor: Visitor) -> list[str]:
    return [
        visitor.page.get_by_label(label).input_value()
        for label in ("Your name", "Work e-mail", "What happened?")
    ]


KEPT = """
try { window.kept = sessionStorage.consent; } catch {}
"""
SECRETS = """() => {
  const form = document.querySelector('main form');
  for (const [type, name, autocomplete] of [
    ['password', 'word', ''], ['text', 'cardNumber', ''], ['text', 'x', 'cc-number'],
    ['text', 'ssn', ''], ['text', 'y', 'one-time-code']]) {
    const field = document.createElement('input');
    Object.assign(field, { type, name, autocomplete, className: 'secret' });
    form.append(field);
  }
}"""


def test_what_was_typed_survives_the_reload(visitor: Visitor) -> None:
    visitor.context.add_init_script(KEPT)
    visitor.open("/contact")
    visitor.page.evaluate(SECRETS)
    for field in visitor.page.locator(".secret").all():
        field.fill("4111 1111 1111 1111")
    type_into_the_form(visitor)
    before = typed(visitor)
    visitor.page.evaluate("scrollTo(0, 300)")
    pages, at = visitor.pages_shown, visitor.page.evaluate("scrollY")
    assert at > 0
    visitor.accept_all()
    assert visitor.pages_shown > pages, "what was closed and is allowed needs a reload"
    assert typed(visitor) == before
    assert visitor.page.evaluate("scrollY") == pytest.approx(at, abs=2)
    kept = visitor.page.evaluate("kept")
    assert "Dana" in kept
    assert "4111" not in kept
    # Neither the text nor the cookie stays behind.
    assert visitor.page.evaluate("sessionStorage.getItem('consent')") is None
    assert "consent-kept" not in visitor.cookies()
    visitor.page.reload()
    assert visitor.page.evaluate("kept") is None


def test_refusing_where_nothing_runs_reloads_nothing(visitor: Visitor) -> None:
    visitor.open("/contact")
    type_into_the_form(visitor)
    before, pages = typed(visitor), visitor.pages_shown
    visitor.reject_all()
    assert visitor.pages_shown == pages
    assert typed(visitor) == before
    assert visitor.page.get_by_role("status").inner_text() == "Your choice is saved."
    assert "consent-kept" not in visitor.cookies()


def test_opening_an_embed_keeps_the_place(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    visitor.reject_all()
    seen(visitor.placeholder.get_by_role("button", name="Load once"))
    at = visitor.page.evaluate("scrollY")
    assert at > 0
    visitor.load_once()
    visitor.page.wait_for_url("**" + EVERY_VENDOR)
    visitor.settle()
    assert visitor.page.evaluate("scrollY") == pytest.approx(at, abs=2)


@pytest.mark.parametrize("path", ["/", "/.consent/preferences"])
def test_print_motion_and_forced_colours(new_visitor: NewVisitor, path: str) -> None:
    visitor = new_visitor(forced_colors="active", reduced_motion="reduce")
    visitor.open(path)
    assert visitor.page.evaluate("document.getAnimations().length") == 0
    button = visitor.page.locator("button[value=reject_all]").first
    border = button.evaluate("e => getComputedStyle(e).borderTopWidth")
    assert border == "2px"
    visitor.page.emulate_media(media="print")
    assert not button.is_visible()


def test_it_keeps_clear_of_notch_and_home_indicator(new_visitor: NewVisitor) -> None:
    """CSS Environment Variables 1, safe-area-inset-*: a phone in landscape."""
    visitor = new_visitor(viewport={"width": 844, "height": 390})
    visitor.open("/contact")
    banner = visitor.page.locator("#yc")

    def padding() -> tuple[float, ...]:
        sides: list[str] = banner.evaluate(
            "b => { const s = getComputedStyle(b); "
            "return [s.paddingLeft, s.paddingRight, s.paddingBottom] }"
        )
        return tuple(float(side.removesuffix("px")) for side in sides)

    before = padding()
    insets = {"left": 44, "right": 44, "bottom": 21, "top": 0}
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("Emulation.setSafeAreaInsetsOverride", {"insets": insets})
    assert max(before) < 44
    assert padding() == (44, 44, 21)


def test_the_mark_of_gpc_is_no_switch(new_visitor: NewVisitor) -> None:
    """What says that the signal is honoured must not look like a control, or be one."""
    visitor = new_visitor(extra_http_headers={"Sec-GPC": "1"})
    visitor.open("/.consent/preferences")
    row = visitor.page.locator(".signal")
    assert row.locator("input, button, a, [role], [tabindex]").count() == 0
    mark = row.locator("[aria-hidden=true]")
    assert mark.inner_text() == "✓"
    box = mark.bounding_box()
    switch = visitor.page.locator("input[type=checkbox]").first.bounding_box()
    assert box is not None and switch is not None
    assert box["width"] < switch["width"]
