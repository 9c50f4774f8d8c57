"""What tags hear of the choice, and when, in a real browser: stand-ins for the vendors' libraries
write down what stood in their queue when they came."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from consent_rules.categories import CHOOSABLE, Category
from e2e.proxied import serving
from tests.support.site import TAG, TAGS, Proxied, reply

# The vendors' own snippets come down to this: make the global unless it is there, load the library.
PAGE = b"""<!doctype html><html lang=en><head><title>x</title>
<script>window.seen = {}; window.heard = (name, queue) => {
  const plain = (one) => typeof one === "object" && one.length ? [...one] : one;
  seen[name] = JSON.parse(JSON.stringify([...queue].map(plain)));
};</script>
<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>
<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}
gtag('js','now');gtag('config','G-1')</script>
<script>(function(w,d){w.uetq=w.uetq||[];w.uetq.push('pageLoad');
var s=d.createElement('script');s.src='https://bat.bing.com/bat.js';d.head.append(s)})(window,document)
</script>
<script>(function(w,d){w.clarity=w.clarity||function(){(w.clarity.q=w.clarity.q||[]).push(arguments)};
clarity('set','a','b');
var s=d.createElement('script');s.src='https://www.clarity.ms/tag/1';d.head.append(s)})(window,document)
</script>
<script>(function(w,d){if(w.fbq)return;var n=w.fbq=function(){
n.callMethod?n.callMethod.apply(n,arguments):n.queue.push(arguments)};
n.push=n;n.loaded=true;n.version='2.0';n.queue=[];
var s=d.createElement('script');s.src='https://connect.facebook.net/en_US/fbevents.js';
d.head.append(s);fbq('init','1');fbq('track','PageView')})(window,document)</script>
<script>(function(w,d){var t=w.ttq=w.ttq||[];t.push(['page']);
var s=d.createElement('script');s.src='https://analytics.tiktok.com/i18n/pixel/events.js';
d.head.append(s)})(window,document)</script>
<script>(function(d){if(!window.pintrk){window.pintrk=function(){
window.pintrk.queue.push(Array.prototype.slice.call(arguments))};var n=window.pintrk;n.queue=[];
var s=d.createElement('script');s.src='https://s.pinimg.com/ct/core.js';d.head.append(s)}
pintrk('load','1')})(document)</script>
</head><body><p>Hello</p></body></html>"""

QUEUES = {
    "googletagmanager.com": ("google", "dataLayer"),
    "bat.bing.com": ("uet", "uetq"),
    "clarity.ms": ("clarity", "clarity.q"),
    "connect.facebook.net": ("meta", "fbq.queue"),
    "analytics.tiktok.com": ("tiktok", "ttq"),
    "s.pinimg.com": ("pinterest", "pintrk.queue"),
}
VENDORS = (
    "google-analytics", "google-ads", "microsoft-ads", "microsoft-clarity", "meta-pixel",
    "tiktok-pixel", "pinterest-tag",
)  # fmt: skip
AD_TYPES = ("ad_storage", "ad_user_data", "ad_personalization")
FUNCTIONAL_TYPES = ("functionality_storage", "personalization_storage")


def with_tags(*vendors: str) -> Callable[[str], str]:
    wanted = "".join(TAG.format(vendor=vendor) for vendor in vendors)
    usual = "".join(TAG.format(vendor=vendor) for vendor in TAGS)
    return lambda text: text.replace(usual, wanted)


def library(route: Route) -> None:
    found = [q for host, q in QUEUES.items() if host in route.request.url]
    body = "".join(f"heard({json.dumps(name)}, {queue});" for name, queue in found)
    route.fulfill(body=body, content_type="text/javascript")


@contextmanager
def visiting(
    folder: Path,
    browser: Browser,
    *,
    allowed: tuple[str, ...] | None,
    country: str = "",
) -> Iterator[tuple[Proxied, Page]]:
    """A visitor who chose these categories (None: has yet to choose), on the page."""
    with serving(folder, {"": reply(PAGE)}, change=with_tags(*VENDORS)) as site:
        home = f"http://localhost:{site.port}"
        context = browser.new_context(extra_http_headers={"X-Country": country} if country else {})
        if allowed is not None:
            name, _, value = site.cookie(*allowed).partition("=")
            context.add_cookies([{"name": name, "value": value, "url": home}])
        context.route(lambda url: any(host in url for host in QUEUES), library)
        page = context.new_page()
        page.goto(home)
        page.wait_for_load_state("networkidle")
        yield site, page
        context.close()


def seen(page: Page) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = page.evaluate("seen")
    return found


def consent_mode(**granted: bool) -> dict[str, str]:
    """All seven types. Keywords: ad, analytics, functional."""
    types = dict.fromkeys(AD_TYPES, granted["ad"])
    types |= {"analytics_storage": granted["analytics"]}
    types |= dict.fromkeys(FUNCTIONAL_TYPES, granted["functional"])
    types |= {"security_storage": True}
    return {name: "granted" if yes else "denied" for name, yes in types.items()}


def test_first_of_all_each_tag_hears_the_choice(tmp_path: Path, browser: Browser) -> None:
    with visiting(tmp_path, browser, allowed=tuple(CHOOSABLE)) as (_, page):
        heard = seen(page)
    everything = consent_mode(ad=True, analytics=True, functional=True)
    assert heard["google"][:3] == [
        ["consent", "default", everything],
        ["set", "ads_data_redaction", True],
        ["set", "url_passthrough", False],
    ]
    assert [call[0] for call in heard["google"][3:]] == ["js", "config"]
    assert heard["uet"] == ["consent", "default", {"ad_storage": "granted"}, "pageLoad"]
    assert heard["clarity"][0] == [
        "consentv2",
        {"ad_Storage": "granted", "analytics_Storage": "granted"},
    ]
    # Its snippet does nothing where `fbq` is there already: it must still have loaded.
    assert heard["meta"] == [["consent", "grant"], ["init", "1"], ["track", "PageView"]]
    assert heard["tiktok"] == [["grantConsent"], ["page"]]
    assert heard["pinterest"] == [["setconsent", True], ["load", "1"]]


def test_one_category_is_told_as_one(tmp_path: Path, browser: Browser) -> None:
    with visiting(tmp_path, browser, allowed=(Category.ANALYTICS,)) as (_, page):
        heard = seen(page)
    # Basic mode: those that are closed neither load nor hear anything.
    assert set(heard) == {"google"}
    told = consent_mode(ad=False, analytics=True, functional=False)
    assert heard["google"][0] == ["consent", "default", told]


@pytest.mark.parametrize("allowed", [None, ()])
def test_nothing_runs_and_nothing_is_told_without_consent(
    tmp_path: Path,
    browser: Browser,
    allowed: tuple[str, ...] | None,
) -> None:
    with visiting(tmp_path, browser, allowed=allowed) as (_, page):
        assert seen(page) == {}
        assert "'default'" not in page.content()


def test_a_choice_without_reload_is_told_as_an_update(
    tmp_path: Path,
    browser: Browser,
) -> None:
    """In an opt-out region all but session replay runs before a choice; what was on stays on."""
    with visiting(tmp_path, browser, allowed=None, country="US") as (_, page):
        heard = seen(page)
        assert "clarity" not in heard
        told = consent_mode(ad=True, analytics=True, functional=True)
        assert heard["google"][0] == ["consent", "default", told]
        page.evaluate("window.same = true")
        page.get_by_role("button", name="Choose").click()
        page.wait_for_timeout(550)  # before, a press counts as one of two at "Choose"
        page.get_by_role("button", name="Save").click()
        page.locator("#yc").wait_for(state="detached")
        assert page.evaluate("window.same") is True
        # The site has no functional tool, so the visitor allowed none.
        told = consent_mode(ad=True, analytics=True, functional=False)
        calls = page.evaluate("dataLayer.map((one) => [...one])")
        assert calls[-1] == ["consent", "update", told]
        assert page.evaluate("uetq.slice(-3)") == [
            "consent", "update", {"ad_storage": "granted"},
        ]  # fmt: skip
        assert page.evaluate("[...fbq.queue.at(-1)]") == ["consent", "grant"]
        assert page.evaluate("ttq.at(-1)") == ["grantConsent"]
