"""Consent by trick: a page that hides, covers or distorts a placeholder, and has the visitor press
its buttons unseen. What no browser has seen shown is asked for again, on a page of our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from e2e.proxied import serving
from e2e.visitor import seen
from tests.support.site import Proxied, reply

FRAME = "<iframe class=f width=560 height=315 {} src=https://www.youtube.com/embed/x></iframe>"
HOLDER = "<div class=f {} data-src=https://www.youtube.com/embed/x></div>"
PLAIN = {"a frame": FRAME.format(""), "a frame of a script": HOLDER.format("")}
HIDING = {
    "opacity": "opacity:0",
    "some opacity": "opacity:.05",
    "a filter": "filter:opacity(0)",
    "a blend": "mix-blend-mode:overlay;filter:contrast(0)",
    "a clip path": "clip-path:inset(49%)",
    "a scale": "transform:scale(.2)",
    "a mask": "mask-image:linear-gradient(transparent,transparent)",
    "a mask of old": "-webkit-mask-box-image:linear-gradient(transparent,transparent)",
    "a clip": "position:absolute;width:560px;height:315px;clip:rect(0 1px 1px 0)",
}
TRICKS = {
    **{f"a frame with {name}": FRAME.format(f"style='{css}'") for name, css in HIDING.items()},
    **{f"a holder with {name}": HOLDER.format(f"style='{css}'") for name, css in HIDING.items()},
    **{
        f"{kind} within {name}": f"<style>main{{{css}!important}}</style>{PLAIN[kind]}"
        for name, css in HIDING.items()
        for kind in PLAIN
    },
    "covered by what lets clicks pass": "<div style='position:relative'>"
    f"{PLAIN['a frame']}<b style='position:absolute;inset:0;background:#fff;pointer-events:none'>"
    "Play</b></div>",
    "covered by what passes clicks, by a style sheet": "<style>b{pointer-events:none!important}"
    f"</style><div style='position:relative'>{PLAIN['a frame']}"
    "<b style='position:absolute;inset:0;background:#fff'>Play</b></div>",
    "shown when the pointer comes": f"<style>.f:not(:hover){{opacity:0}}</style>{PLAIN['a frame']}",
    "masked when the pointer comes": "<style>.f:hover{mask:linear-gradient(#0000,#0000)}</style>"
    f"{PLAIN['a frame']}",
    "a frame in a shadow root with a mask": "<div><template shadowrootmode=open><style>"
    "p{mask-image:linear-gradient(#0000,#0000)}</style><p><slot></slot></p></template>"
    f"{PLAIN['a frame']}</div>",
    "a frame in a drawing with a mask": "<svg width=600 height=400><mask id=m></mask>"
    f"<foreignObject mask=url(#m) width=600 height=400>{PLAIN['a frame']}</foreignObject></svg>",
}


def page_with(content: str) -> bytes:
    return (
        "<!doctype html><html lang=en><head><title>x</title></head>"
        f"<body><main>{content}</main></body></html>"
    ).encode()


WITHOUT_VISIBILITY = """
delete IntersectionObserverEntry.prototype.isVisible;
const Observer = IntersectionObserver;
window.IntersectionObserver = function (tell, { threshold }) {
  return new Observer(tell, { threshold });
};
"""
"""Makes a browser with version 1 of Intersection Observer, as Firefox and Safari are."""


@pytest.fixture(params=["version 2", "version 1"])
def reader(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    fresh = browser.new_context(viewport={"width": 900, "height": 1200})
    if request.param == "version 1":
        fresh.add_init_script(WITHOUT_VISIBILITY)
    fresh.set_default_timeout(20_000)
    yield fresh
    fresh.close()


def posted(context: BrowserContext) -> list[str]:
    """Bodies of the choices that leave the browser from now on."""
    found: list[str] = []
    context.on(
        "request",
        lambda r: found.append(r.post_data or "") if r.method == "POST" else None,
    )
    return found


def navigations(tab: Page) -> list[str]:
    """URLs of the documents that the tab itself asks for from now on."""
    found: list[str] = []
    tab.on(
        "request",
        lambda r: (
            found.append(r.url) if r.is_navigation_request() and r.frame == tab.main_frame else None
        ),
    )
    return found


def opened(context: BrowserContext, site: Proxied, path: str = "") -> Page:
    name, _, value = site.cookie("analytics").partition("=")
    url = f"http://localhost:{site.port}/{path}"
    context.add_cookies([{"name": name, "value": value, "url": url}])
    tab = context.new_page()
    tab.goto(url)
    return tab


PLACES = """() => {
  const found = [];
  const add = (root, frame) => {
    for (const button of root.querySelectorAll('.yc-h button[name]')) {
      const box = button.getBoundingClientRect();
      const scale = frame ? frame.getBoundingClientRect() : {left: 0, top: 0};
      const factor = frame ? scale.width / (frame.offsetWidth || 1) : 1;
      found.push([scale.left + (box.left + box.width / 2) * factor,
                  scale.top + (box.top + box.height / 2) * factor]);
    }
  };
  add(document, null);
  for (const frame of document.querySelectorAll('iframe')) add(frame.contentDocument, frame);
  return found;
}"""


@pytest.fixture(scope="module")
def tricks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """One site with all the pages: its proxy is started once."""
    pages = {str(number): reply(page_with(page)) for number, page in enumerate(TRICKS.values())}
    with serving(tmp_path_factory.mktemp("tricks"), pages) as site:
        yield site


@pytest.mark.parametrize("kind", TRICKS)
def test_a_button_that_is_not_seen_does_not_choose(
    tricks: Proxied, reader: BrowserContext, kind: str
) -> None:
    sent = posted(reader)
    tab = opened(reader, tricks, str(list(TRICKS).index(kind)))
    # No button acts in the half second after it has appeared.
    tab.wait_for_timeout(900)
    places = tab.evaluate(PLACES)
    assert len(places) == 2
    begun = navigations(tab)
    for x, y in places:
        tab.mouse.click(x, y)
        tab.wait_for_timeout(150)
        if begun:
            # It was a button: this page of ours nobody else can style or cover. To leave while the
            # navigation is under way would check nothing, and Chromium 150 at times never closes
            # a context whose page is about to change.
            tab.wait_for_url("**/.consent/preferences?**")
            tab.get_by_role("button", name="Load once").wait_for(state="visible")
            tab.go_back(wait_until="load")
            begun.clear()
    assert sent == []
    # The visitor may come back from that page: what was typed waits for it.
    assert {cookie["name"] for cookie in reader.cookies()} <= {"consent", "consent-kept"}


@pytest.mark.parametrize("button", ["Load once", "Always allow YouTube"])
@pytest.mark.parametrize("kind", PLAIN)
def test_one_that_is_seen_chooses_at_once(
    tmp_path: Path, reader: BrowserContext, kind: str, button: str
) -> None:
    with serving(tmp_path, {"": reply(page_with(PLAIN[kind]))}) as site:
        sent = posted(reader)
        tab = opened(reader, site)
        within = tab.frame_locator("iframe") if kind == "a frame" else tab
        found = within.get_by_role("button", name=button)
        with tab.expect_navigation():
            seen(found).click()
        tab.wait_for_load_state()
        assert tab.url.partition("#")[0] == f"http://localhost:{site.port}/"
        assert len(sent) == 1
        assert "youtube" in sent[0]


@pytest.mark.parametrize("kind", PLAIN)
def test_without_scripts_our_own_page_asks(tmp_path: Path, browser: Browser, kind: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    with serving(tmp_path, {"": reply(page_with(PLAIN[kind]))}) as site:
        sent = posted(context)
        tab = opened(context, site)
        within = tab.frame_locator("iframe") if kind == "a frame" else tab
        within.get_by_role("button", name="Always allow YouTube").click()
        tab.wait_for_url("**/.consent/preferences?**")
        assert sent == []
        tab.get_by_role("button", name="Always allow YouTube").click()
        tab.wait_for_url(f"http://localhost:{site.port}/")
        assert len(sent) == 1
        assert "vendor%3Ayoutube" in sent[0]
    context.close()
