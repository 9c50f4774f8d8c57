"""Stand-ins for what closed vendors' scripts would define, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from e2e.proxied import serving
from tests.support.site import reply

GTM = "<script async src='https://www.googletagmanager.com/gtm.js?id=GTM-1'></script>"
SCRIPTS = {
    "ga": "https://www.google-analytics.com/analytics.js",
    "gtag": "https://www.googletagmanager.com/gtag/js?id=G-1",
    "analytics": "https://cdn.segment.com/analytics.js/v1/x/analytics.min.js",
    "plausible": "https://plausible.io/js/script.js",
    "mixpanel": "https://cdn.mxpnl.com/libs/mixpanel-2-latest.min.js",
    "ym": "https://mc.yandex.ru/metrika/tag.js",
    "CE2": "https://script.crazyegg.com/pages/scripts/1/2.js",
    "google": "https://maps.googleapis.com/maps/api/js?key=x",
    "fbq": "https://connect.facebook.net/en_US/fbevents.js",
}


def page_with(head: str) -> bytes:
    return (
        f"<!doctype html><html lang=en><head><title>x</title>{head}</head><body><p>Hello</p></body>"
    ).encode()


def evaluated(tmp_path: Path, context: BrowserContext, head: str, code: str) -> object:
    """What `code` gives on a page whose vendors are all closed."""
    with serving(tmp_path, {"": reply(page_with(head))}) as site:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://www.example.com:{site.port}/")
        given: object = page.evaluate(code)
        assert errors == []
        return given


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ga", "ga(go)"),
        ("ga", "ga('send', 'event', 'a', 'b', {hitCallback: go})"),
        ("ga", "ga('set', 'hitCallback', go)"),
        ("ga", "_gaq.push(['_set', 'hitCallback', go])"),
        ("ga", "ga(tracker => go(tracker.get('clientId')))"),
        ("gtag", "gtag('get', 'G-1', 'client_id', go)"),
        ("gtag", "gtag('event', 'x', {event_callback: go})"),
        ("gtag", "dataLayer.push({event: 'x', eventCallback: go})"),
        ("analytics", "analytics.track('x', {}, go)"),
        ("analytics", "analytics.identify('x', go)"),
        ("analytics", "analytics.ready(go)"),
        ("plausible", "plausible('x', {callback: go})"),
        ("mixpanel", "mixpanel.track('x', {a: 1}, go)"),
        ("ym", "ym(1, 'reachGoal', 'x', {}, go)"),
    ],
)
def test_what_waits_for_a_closed_vendor_goes_on(
    tmp_path: Path, context: BrowserContext, name: str, call: str
) -> None:
    code = f"() => new Promise(go => {{ {call}; setTimeout(go, 2000, 'waits') }})"
    head = f"<script async src='{SCRIPTS[name]}'></script>"
    assert evaluated(tmp_path, context, head, code) != "waits"


@pytest.mark.parametrize(
    ("name", "code", "given"),
    [
        ("CE2", "CE2.bh = document.createElement('i'); document.body.appendChild(CE2.bh).localName",
         "i"),
        ("CE2", "CE2.a.b = 1; [CE2.a.b, 'a' in CE2, 'b' in CE2.a, CE2.c.b === 1].join()",
         "1,false,true,false"),
        ("fbq", "fbq.queue = [1]; delete fbq.none;"
         "[fbq.queue.length, typeof fbq('x').y.z()].join()",
         "1,function"),
        ("CE2", "CE2.prototype = {own: 1}; CE2.a.prototype = {own: 2};"
         "[CE2.prototype.own, CE2.a.prototype.own, new CE2.a() instanceof Object].join()",
         "1,2,true"),
        ("CE2", "'use strict'; CE2.caller = 1; CE2.arguments = 2; CE2.length = 3;"
         "[CE2.caller, CE2.arguments, CE2.length, [...CE2.a].length].join()", "1,2,3,0"),
        ("fbq", "fbq.name = 'x'; fbq.length = 3; [fbq.name, fbq.length].join()", "x,3"),
        ("fbq", "fbq.apply(null, [1]); typeof fbq.call", "function"),
        ("gtag", "dataLayer.push({a: 1}, {b: 2}); [dataLayer.length, dataLayer[1].b].join()",
         "2,2"),
        ("google", "const map = new google.maps.Map(document.body, {zoom: 1}); map.x = 4;"
         "new google.maps.Marker({map}); google.maps.event.addListener(map, 'click', () => 1);"
         "map.setCenter(new google.maps.LatLng(1, 2)); String(map.x)", "4"),
        ("google", "class Own extends google.maps.OverlayView { draw() { return 7 } };"
         "const o = new Own;"
         "[o.draw(), typeof o.setMap(null), o instanceof Own].join()", "7,function,true"),
    ],
)  # fmt: skip
def test_what_a_page_stores_in_one_is_found_again(
    tmp_path: Path, context: BrowserContext, name: str, code: str, given: str
) -> None:
    head = f"<script async src='{SCRIPTS[name]}'></script>"
    assert evaluated(tmp_path, context, head, f"() => eval({code!r})") == given


def test_what_a_closed_manager_would_have_loaded_has_a_stand_in(
    tmp_path: Path, context: BrowserContext
) -> None:
    """Some of the site's approved tags are not in the page: their manager brings them."""
    body = page_with(GTM).replace(
        b"<p>Hello</p>", b"<button onclick=\"fbq('track','Lead');opened=1\">Menu</button>"
    )
    with serving(tmp_path, {"": reply(body)}) as site:
        page = context.new_page()
        page.goto(f"http://www.example.com:{site.port}/")
        page.click("text=Menu")
        assert page.evaluate("window.opened") == 1


@pytest.mark.parametrize(
    ("code", "given"),
    [
        # As the real ones: a promise, or what a page takes for one.
        ("typeof fbq.load('x').then(() => 1).catch(() => 2).then", "function"),
        ("(async () => { const x = await fbq.load('x'); return typeof x.y.z() })()", "function"),
        ("(async () => typeof await fbq)()", "function"),
        ("Promise.all([fbq('x'), 1]).then(([, one]) => one)", 1),
        ("new Promise(done => fbq('x').finally(() => done(3)))", 3),
        # What a page does with an answer, it does not do without one.
        ("new Promise(done => { let n = 0; fbq.load().then(() => { n = 1 });"
         " setTimeout(() => done(n), 300) })", 0),
        # A polyfill's promise resolves itself with it, and goes on.
        ("new Promise(done => fbq('x').then((one) => done(typeof one.then), () => done(0)))",
         "undefined"),
    ],
)  # fmt: skip
def test_what_a_closed_vendor_gives_may_be_waited_for(
    tmp_path: Path, context: BrowserContext, code: str, given: object
) -> None:
    head = f"<script async src='{SCRIPTS['fbq']}'></script>"
    assert evaluated(tmp_path, context, head, code) == given


OWN_CODE = """
<script>(function (w, d) {
  w.kwa || (w.kwa = function () { (w.kwa.q = w.kwa.q || []).push(arguments); });
  var s = d.createElement("script"); s.src = "https://dist.keywee.co/a.js"; d.head.append(s);
})(window, document)</script>
<script>kwa("initialize", 1)</script>
<script>
  var Acme = Acme || {}; Acme.seen = [];
  Acme.ready = function (call) { document.createElement("p"); call(); };
  Acme.ready(function () { fbq("init", "1"); });
  Acme.track = function () { fbq("track", "PageView"); };
  fbq("track", "PageView");
</script>
<script>Acme.ready(function () { Acme.track("x"); Acme.seen.push(1); })</script>
<script>
  var conf = {}; conf.at = {a: {}, b: "https://www.google-analytics.com/analytics.js"};
  conf.at.on = true; conf.at.a.c = conf.at.b && 2; ga("send", "pageview");
</script>
<script>conf.at.a.d = 1</script>
"""


def test_own_code_beside_a_closed_vendors_has_what_it_rests_upon(
    tmp_path: Path, context: BrowserContext
) -> None:
    code = "[typeof kwa, Acme.seen, conf.at.on, conf.at.a.d].join()"
    assert evaluated(tmp_path, context, OWN_CODE, code) == "function,1,true,1"
