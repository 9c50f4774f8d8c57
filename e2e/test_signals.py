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
    page: bytes = PAGE,
) -> Iterator[tuple[Proxied, Page]]:
    """A visitor who chose these categories (None: has yet to choose), on the page."""
    with serving(folder, {"": reply(page)}, change=with_tags(*VENDORS)) as site:
        home = f"http://localhost:{site.port}"
        context = browser.new_context(extra_http_headers={"X-Country": country} if country else {})
        if allowed is not None:
            name, _, value = site.cookie(*allowed).partition("=")
            context.add_cookies([{"name": name, "value": value, "url": home}])
        context.route(lambda url: any(host in url for host in QUEUES), library)
        tab = context.new_page()
        tab.goto(home)
        tab.wait_for_load_state("networkidle")
        yield site, tab
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


GTM = "https://www.googletagmanager.com/gtm.js?id=GTM-1"
# Google's own snippet, with the name of its queue.
SNIPPET = """(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({'gtm.start':1,event:'gtm.js'});
var j=d.createElement(s),dl=l!='dataLayer'?'&l='+l:'';j.async=true;
j.src='https://www.googletagmanager.com/gtm.js?id='+i+dl;d.head.append(j)})
(window,document,'script','NAME','GTM-1');"""
GRANTED = """{ad_storage:'granted',ad_user_data:'granted',ad_personalization:'granted'}"""


def by_snippet(before: str, after: str = "", name: str = "dataLayer") -> str:
    snippet = SNIPPET.replace("NAME", name)
    return f"<script>{before}</script><script>{snippet}</script><script>{after}</script>"


ANEW = "writable: true, configurable: true"
WIPES: dict[str, str] = {
    "assigned": by_snippet("dataLayer = [{page: 1}]"),
    "declared": by_snippet("var dataLayer = [{page: 1}]"),
    "declared for good": by_snippet("", "const dataLayer = window.dataLayer; dataLayer.length = 0"),
    "assigned after the snippet": by_snippet("", "window.dataLayer = [{page: 1}]"),
    "assigned twice": by_snippet("dataLayer = [1]; dataLayer = [2]", "dataLayer = []"),
    "unset": by_snippet("dataLayer = undefined", "dataLayer = null; dataLayer = dataLayer || []"),
    "emptied": by_snippet("", "dataLayer.length = 0"),
    "emptied one by one": by_snippet("", "while (dataLayer.length) dataLayer.pop()"),
    "shifted": by_snippet("", "while (dataLayer.length) dataLayer.shift()"),
    "spliced": by_snippet("dataLayer.splice(0)", "dataLayer.splice(0, 99, {page: 1})"),
    "filtered": by_snippet("", "dataLayer = dataLayer.filter((one) => one.event)"),
    "emptied by a reference": by_snippet("const kept = dataLayer; kept.length = 0", "kept.pop()"),
    "deleted": by_snippet("delete window.dataLayer; window.dataLayer = [1]"),
    "deleted after the snippet": by_snippet("", "delete window.dataLayer"),
    "moved": by_snippet("", "dataLayer.reverse().unshift({page: 1})"),
    "gtag made anew": by_snippet("window.gtag = () => {}", "gtag = null; dataLayer = []"),
    "gtag declared": by_snippet("function gtag() {} dataLayer = []"),
    "push made anew": by_snippet("dataLayer.push = () => 0", "dataLayer.length = 0"),
    "granted by the page": by_snippet(
        "function gtag(){dataLayer.push(arguments)}"
        f"gtag('consent','default',{GRANTED});gtag('consent','update',{GRANTED})"
    ),
    "granted for a region": by_snippet(
        "function gtag(){dataLayer.push(arguments)}"
        f"gtag('consent','default',{{...{GRANTED},region:['DE']}})"
    ),
    "granted past push": by_snippet(
        f"(function(){{dataLayer.unshift(arguments)}})('consent','update',{GRANTED});"
        f"(function(){{dataLayer[dataLayer.length]=arguments}})('consent','default',{GRANTED})"
    ),
    "granted in the array": by_snippet(
        f"(function(){{dataLayer=[arguments]}})('consent','default',{GRANTED})"
    ),
    "another queue": by_snippet("", name="myLayer"),
    "another queue, assigned": by_snippet("myLayer = [1]", "myLayer = [2]", name="myLayer"),
    "another queue, emptied": by_snippet("", "myLayer.length = 0", name="myLayer"),
    "another queue in markup": f"""<script>myLayer = [1]</script>
        <script async src="{GTM}&amp;l=myLayer"></script><script>myLayer = [2]</script>""",
    "another queue in markup that waits": f"""<script src="{GTM}&l=myLayer"></script>""",
    "another queue, by an attribute": f"""<script>var s = document.createElement('script');
        s.setAttribute('src', '{GTM}&l=myLayer'); document.head.append(s); myLayer = []</script>""",
    "another queue, written": f"""<script>
        document.write('<script src="{GTM}&l=myLayer"></scr' + 'ipt>')</script>""",
    "another queue, late": """<script>addEventListener('load', () => setTimeout(() => {
        SNIPPET; myLayer.length = 0 }, 50))</script>""".replace(
        "SNIPPET", SNIPPET.replace("NAME", "myLayer")
    ),
    "sealed": by_snippet("dataLayer = Object.seal([{page: 1}])"),
    "frozen": by_snippet("dataLayer = Object.freeze([{page: 1}])", "Object.freeze(dataLayer)"),
    "takes no entries": by_snippet(
        "dataLayer = new Proxy([{page: 1}], {set: () => true, defineProperty: () => true})"
    ),
    "throws at entries": by_snippet("dataLayer = new Proxy([1], {set() { throw 1 }})"),
    "defined": by_snippet(f"Object.defineProperty(window, 'dataLayer', {{value: [1], {ANEW}}})"),
    "defined after the snippet": by_snippet(
        "", f"Object.defineProperties(window, {{dataLayer: {{value: [1], {ANEW}}}}})"
    ),
    "defined for good": by_snippet("Object.defineProperty(window, 'dataLayer', {value: [1]})"),
    "defined by a function": by_snippet(
        "const own = []; window.__defineGetter__('dataLayer', () => own)"
    ),
    "another name": by_snippet("", name="my-layer"),
    "another name, encoded": f"""<script src="{GTM}&l=my%2Dlayer"></script>""",
    "another id": f"""<script src="{GTM.replace("GTM-1", "MC-1")}&l=myLayer"></script>""",
    "an old id": f"""<script src="{GTM.replace("GTM-1", "UA-1-1")}&l=myLayer"></script>""",
    "an object that becomes a queue": f"""<script>myLayer = {{}}</script>
        <script async src="{GTM}&l=myLayer"></script><script>myLayer = [1]</script>""",
    "two queues": by_snippet("") + by_snippet("", "myLayer.length = 0", name="myLayer"),
}
"""What a page's own scripts do to the queue of Google's tags before a tag reads it."""

READS = """(() => {
  const name = new URL(document.currentScript.src).searchParams.get('l') || 'dataLayer';
  const found = window[name] = window[name] || [];
  window.read = window.read || [];
  read.push(found.slice(0).map((one) => one && one.length ? [...one] : one));
  const { push } = found;
  found.push = function (...all) {
    for (const one of all) read.at(-1).push(one && one.length ? [...one] : one);
    return push.apply(found, all);
  };
})()"""
"""What a container's script does first: it reads its queue, and takes over what is pushed later."""


@contextmanager
def with_container(
    folder: Path, browser: Browser, body: str, *, allowed: tuple[str, ...] | None, country: str = ""
) -> Iterator[Page]:
    """A page whose open tag manager is a stand-in."""
    text = f"<!doctype html><title>x</title><body>{body}<p>Hello</body>".encode()
    change = with_tags("google-tag-manager", "google-analytics", "google-ads")
    with serving(folder, {"": reply(text)}, change=change) as site:
        home = f"http://localhost:{site.port}"
        context = browser.new_context(extra_http_headers={"X-Country": country} if country else {})
        if allowed is not None:
            name, _, value = site.cookie(*allowed).partition("=")
            context.add_cookies([{"name": name, "value": value, "url": home}])
        context.route(
            lambda url: "googletagmanager.com" in url,
            lambda route: route.fulfill(body=READS, content_type="text/javascript"),
        )
        page = context.new_page()
        page.goto(home)
        page.wait_for_function("window.read")
        page.wait_for_load_state("networkidle")
        yield page
        context.close()


@pytest.mark.parametrize("wipe", WIPES)
def test_whatever_the_page_does_to_the_queue_the_tag_reads_the_choice(
    tmp_path: Path, browser: Browser, wipe: str
) -> None:
    told = consent_mode(ad=False, analytics=True, functional=False)
    with with_container(tmp_path, browser, WIPES[wipe], allowed=(Category.ANALYTICS,)) as page:
        for read in page.evaluate("read"):
            calls = [one for one in read if isinstance(one, list)]
            assert [call for call in calls if call[0] == "consent"] == [
                ["consent", "default", told]
            ]
            assert (
                read[:3]
                == [
                    ["consent", "default", told],
                    ["set", "ads_data_redaction", True],
                    ["set", "url_passthrough", False],
                ]
                or wipe == "moved"
            )
        assert len(page.evaluate("read")) == (2 if wipe == "two queues" else 1)


def test_what_the_page_grants_after_the_tag_has_read_does_not_count(
    tmp_path: Path, browser: Browser
) -> None:
    told = consent_mode(ad=False, analytics=True, functional=False)
    with with_container(tmp_path, browser, by_snippet(""), allowed=(Category.ANALYTICS,)) as page:
        page.evaluate(
            "() => { const call = function () { dataLayer.push(arguments) };"
            f"call('consent', 'update', {GRANTED}); call('event', 'x');"
            "call('consent', 'update', {analytics_storage: 'denied'}); dataLayer.push({a: 1}) }"
        )
        (read,) = page.evaluate("read")
        assert read[0] == ["consent", "default", told]
        assert "granted" not in json.dumps(read[1:])
        assert read[-3:] == [
            ["event", "x"],
            ["consent", "update", {"analytics_storage": "denied"}],
            {"a": 1},
        ]


def test_a_choice_is_told_though_the_page_has_a_gtag_and_a_queue_of_its_own(
    tmp_path: Path, browser: Browser
) -> None:
    body = by_snippet("dataLayer = []; gtag = () => {}", "gtag = null")
    with with_container(tmp_path, browser, body, allowed=None, country="US") as page:
        page.get_by_role("button", name="Choose").click()
        page.wait_for_timeout(550)  # before, a press counts as one of two at "Choose"
        page.get_by_role("button", name="Save").click()
        page.locator("#yc").wait_for(state="detached")
        (read,) = page.evaluate("read")
        told = consent_mode(ad=True, analytics=True, functional=False)
        assert read[-1] == ["consent", "update", told]


OTHER_QUEUES = {
    "uetq": ("uetq = [1]; uetq = []; delete window.uetq", "uetq.length = 0"),
    "ttq": ("var ttq = [1]", "while (ttq.length) ttq.pop()"),
    "fbq": (
        "fbq = function () { fbq.queue.push(arguments) }; fbq.queue = [];"
        "var other = function () { other.queue.push(arguments) }; other.queue = []; fbq = other",
        "",
    ),
    "pintrk": (
        "pintrk = function () {}; pintrk.queue = []; window.pintrk = undefined",
        "",
    ),
    "clarity": ("clarity = function () { (clarity.q = clarity.q || []).push([...arguments]) }", ""),
}


def test_other_vendors_queues_are_held_as_well(tmp_path: Path, browser: Browser) -> None:
    first = "".join(before for before, _ in OTHER_QUEUES.values()).encode()
    last = ";".join(after for _, after in OTHER_QUEUES.values()).encode()
    text = PAGE.replace(b"<title>x</title>", b"<title>x</title><script>" + first + b"</script>")
    # Their snippets ask for the library where their global is not there yet.
    text = text.replace(
        b"</head>",
        b"<script>"
        + last
        + b""";
        for (const one of ['connect.facebook.net/en_US/fbevents.js', 's.pinimg.com/ct/core.js']) {
          const s = document.createElement('script'); s.src = `https://${one}`;
          document.head.append(s) }</script></head>""",
    )
    with visiting(tmp_path, browser, allowed=tuple(CHOOSABLE), page=text) as (_, page):
        heard = seen(page)
    assert heard["uet"][:3] == ["consent", "default", {"ad_storage": "granted"}]
    assert heard["tiktok"][0] == ["grantConsent"]
    assert heard["meta"][0] == ["consent", "grant"]
    assert heard["pinterest"][0] == ["setconsent", True]
    assert heard["clarity"][0][0] == "consentv2"
