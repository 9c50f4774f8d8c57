"""Our own scripts in a real browser: stand-ins, the guard of patient pages, no peer connections."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page

from e2e.proxied import serving
from tests.support.site import reply

TAGGED = b"""<!doctype html><html lang=en><head><title>x</title>
<script>!function(){window.fbq=function(){};fbq('init','1')}()</script>
<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>
<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}
gtag('config','G-1')</script>
<script>(function(h){h._hjSettings={hjid:1}})(window)</script>
</head><body><p>Hello</p></body></html>"""
PLAIN = b"<!doctype html><html lang=en><head><title>x</title></head><body>Hello</body></html>"

# What a site's own code does with the globals of its vendors.
CALLS = """() => {
  const seen = [];
  fbq('track', 'Lead'); hj('event', 'x');
  dataLayer.push({ event: 'x', eventCallback: () => seen.push('dataLayer') });
  gtag('event', 'conversion', { event_callback: () => seen.push('gtag') });
  seen.push(`${typeof fbq.callMethod} ${fbq.queue.length} ${[...dataLayer].length}`);
  return new Promise((done) => setTimeout(() => done(seen), 50));
}"""


@pytest.fixture
def errors() -> list[str]:
    return []


def opened(context: BrowserContext, url: str, errors: list[str]) -> Page:
    page = context.new_page()

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and "favicon" not in message.location.get("url", ""):
            errors.append(message.text)

    def failed(error: Error) -> None:
        errors.append(str(error))

    page.on("console", heard)
    page.on("pageerror", failed)
    page.goto(url)
    return page


def test_calls_to_closed_vendors_neither_fail_nor_hang(
    tmp_path: Path,
    context: BrowserContext,
    errors: list[str],
) -> None:
    with serving(tmp_path, {"": reply(TAGGED)}) as site:
        page = opened(context, f"http://www.example.com:{site.port}/", errors)
        seen = page.evaluate(CALLS)
        assert sorted(seen) == ["dataLayer", "function 0 1", "gtag"]
        assert errors == []


def test_what_a_closed_script_declared_is_there_for_the_sites_own_code(
    tmp_path: Path,
    context: BrowserContext,
    errors: list[str],
) -> None:
    mixed = b"""<!doctype html><html lang=en><head><title>x</title>
    <script>var settings = {name: 'own'}, made = fbq.made(); function own() { return 'kept'; }
    function track() { fbq('init', '1'); } fbq('init', '1');</script>
    </head><body onload="seen = [own(), settings.name, String(track().x.y), made.getTime() + '']">
    </body></html>"""
    with serving(tmp_path, {"": reply(mixed)}) as site:
        page = opened(context, f"http://www.example.com:{site.port}/", errors)
        assert page.evaluate("seen") == ["kept", "own", "", ""]
        assert "fbq(" not in page.evaluate("document.head.outerHTML")
        assert errors == []


@pytest.mark.parametrize(
    ("go", "loads"),
    [
        ("history.pushState(null, '', '/patients/pay')", True),
        ("history.pushState(null, '', 'Patients/Pay?x=1')", True),
        ("history.pushState(null, '', '/%70atients/pay')", True),
        ("history.pushState(null, '', '//www.example.com:' + location.port + '/patients')", True),
        ("history.replaceState(null, '', '/patients/pay')", True),
        ("document.body.innerHTML += '<img name=baseURI><form name=location></form>';"
         "history.pushState(null, '', '/patients/pay')", True),
        ("navigation.addEventListener('navigate', (e) => e.canIntercept && e.intercept());"
         "navigation.navigate('/patients/pay')", True),
        ("navigation.addEventListener('navigate', (e) => e.canIntercept && e.intercept());"
         "document.querySelector('a').click()", True),
        ("navigation.addEventListener('navigate', (e) => e.canIntercept && e.intercept(), true);"
         "document.querySelector('a').click()", True),
        ("navigation.onnavigate = (e) => e.canIntercept && e.intercept();"
         "location.href = '/patients/pay'", True),
        ("const frame = document.body.appendChild(document.createElement('iframe'));"
         "frame.contentWindow.History.prototype.pushState.call(history, 1, '', '/patients/pay')",
         True),
        ("const frame = document.body.appendChild(document.createElement('iframe'));"
         "frame.contentWindow.History.prototype.replaceState.call(history, 1, '', '/patients/a')",
         True),
        ("navigation.addEventListener('navigate', (e) => e.canIntercept && e.intercept());"
         "document.body.innerHTML = '<form action=/patients/pay><input name=a></form>';"
         "document.forms[0].submit()", True),
        ("document.querySelector('a').target = '_self'; document.querySelector('a').click()", True),
        ("history.pushState(null, '', '/blog')", False),
        ("location.hash = '/patients/pay'", False),
        ("history.pushState(null, '', '/patientsguide')", False),
        ("history.pushState({a: 1}, '')", False),
        ("navigation.addEventListener('navigate', (e) => e.canIntercept && e.intercept());"
         "navigation.navigate('/blog')", False),
    ],
)  # fmt: skip
def test_into_a_patient_page_leads_a_full_load(
    tmp_path: Path,
    context: BrowserContext,
    errors: list[str],
    go: str,
    loads: bool,
) -> None:
    home = PLAIN.replace(b"Hello", b"<a href=/patients/pay>Pay</a>")
    paths = ("patients/pay", "patients/a", "Patients/Pay", "%70atients/pay", "patients", "blog")
    pages = {"": reply(home), **{path: reply(PLAIN) for path in paths}}
    with serving(tmp_path, pages) as site:
        page = opened(context, f"http://www.example.com:{site.port}/", errors)
        page.evaluate("window.running = true")
        page.evaluate(f"() => {{ setTimeout(() => {{ {go} }}) }}")
        page.wait_for_timeout(700)
        page.wait_for_load_state()
        assert (page.evaluate("window.running")) is (None if loads else True)
        assert errors == []


def test_no_peer_connections_unless_the_site_needs_them(
    tmp_path: Path,
    context: BrowserContext,
    errors: list[str],
) -> None:
    with serving(tmp_path, {"": reply(PLAIN)}) as site:
        page = opened(context, f"http://www.example.com:{site.port}/", errors)
        assert page.evaluate("typeof RTCPeerConnection") == "undefined"
