"""What a real browser does with our cookies and policies."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from e2e.proxied import serving
from tests.support.site import TAGS, Proxied, reply

HTML = b"<!doctype html><html lang=en><head>%s<title>x</title></head><body>Hello%s</body></html>"
SETS = b"""<script>
document.cookie = "_ga=1; path=/";
document.cookie = "_ga=2; path=/; domain=www.example.com";
document.cookie = "_ga_X=3; path=/; domain=example.com";
document.cookie = "_fbp=4; path=/; domain=.example.com; expires=Thu, 01 Jan 2099 00:00:00 GMT";
document.cookie = "mine=5; path=/; domain=example.com";
document.cookie = "lang=en; path=/";
</script>"""


def names(context: BrowserContext) -> list[str]:
    return sorted(cookie.get("name", "") for cookie in context.cookies())


def test_withdrawn_cookies_are_gone(tmp_path: Path, browser: Browser) -> None:
    plain = reply(HTML % (b"", b""))
    pages = {"": plain, "next": plain, "sets": reply(HTML % (SETS, b""))}
    with serving(tmp_path, pages) as site:
        context = browser.new_context()
        page = context.new_page()
        home = f"http://www.example.com:{site.port}"
        page.goto(home)
        page.get_by_role("button", name="Accept all").click()
        page.locator("#yc").wait_for(state="hidden")
        page.goto(f"{home}/sets")
        # Two of one name, on the host and on the domain; and one that no script can reach.
        context.add_cookies(
            [{"name": "_ga_Y", "value": "6", "domain": ".example.com", "path": "/",
              "httpOnly": True}]
        )  # fmt: skip
        page.goto(f"{home}/next")
        trackers = ["_fbp", "_ga", "_ga", "_ga_X", "_ga_Y"]
        assert names(context) == sorted([*trackers, "consent", "lang", "mine"])

        page.get_by_role("link", name="Cookie preferences").click()
        page.get_by_role("button", name="Reject all").click()
        page.wait_for_url("**/preferences?*saved=1*")
        assert names(context) == ["consent", "lang", "mine"]

        # What a script of the site sets again is gone with the next page.
        page.goto(f"{home}/sets")
        assert "_ga" in names(context)
        page.goto(f"{home}/next")
        assert names(context) == ["consent", "lang", "mine"]
        context.close()


POLICIES = {
    "none": "",
    "nonce": "script-src 'nonce-abc' 'strict-dynamic'; style-src 'self'",
    "nothing": "default-src 'none'",
    "no forms": "default-src 'none'; form-action 'none'; base-uri 'none'",
    "self": "default-src 'self'",
    "hashes": "script-src 'sha256-AAAA'; style-src 'sha256-AAAA'; connect-src https://a.example",
    "two in one": "default-src 'self', script-src 'nonce-abc'",
    "elements": "script-src 'none'; script-src-elem 'self'; style-src-elem 'none'",
    "inline": "default-src 'self' 'unsafe-inline'",
}


def _banner_works(site: Proxied, browser: Browser, path: str) -> list[str]:
    """Load a page, see its banner run and choose; the browser's complaints."""
    complaints: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text))
    page.goto(f"http://localhost:{site.port}/{path}")
    assert page.evaluate("typeof window.consent") == "object"
    banner = page.locator("#yc")
    assert banner.evaluate("b => getComputedStyle(b).position") == "fixed"
    page.get_by_role("button", name="Accept all").click()
    banner.wait_for(state="hidden", timeout=8000)
    assert names(context) == ["consent"]
    context.close()
    return complaints


def test_the_banner_runs_under_any_policy_of_the_origin(tmp_path: Path, browser: Browser) -> None:
    pages = {
        str(number): reply(
            HTML % (b"", b""), *([f"Content-Security-Policy: {policy}"] if policy else [])
        )
        for number, policy in enumerate(POLICIES.values())
    }
    with serving(tmp_path, pages) as site:
        for path in pages:
            complaints = _banner_works(site, browser, path)
            assert [c for c in complaints if "Security Policy" in c] == []


@pytest.mark.parametrize(
    "policy",
    [
        "script-src 'nonce-abc'; style-src 'none'",
        "default-src 'none'",
        "default-src 'self'; form-action 'self'",
    ],
)
def test_the_banner_runs_under_a_policy_in_the_page(
    tmp_path: Path, browser: Browser, policy: str
) -> None:
    """It is not amended: our style and script stand before it, and it binds what follows it."""
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'.encode()
    with serving(tmp_path, {"": reply(HTML % (meta, b""))}) as site:
        _banner_works(site, browser, "")


def test_where_a_page_forbids_forms_the_link_leads_to_one_that_does_not(
    tmp_path: Path, browser: Browser
) -> None:
    policy = b"default-src 'none'; form-action 'none'"
    meta = b'<meta http-equiv=Content-Security-Policy content="%s">' % policy
    with serving(tmp_path, {"": reply(HTML % (meta, b""))}) as site:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://localhost:{site.port}/")
        page.get_by_role("link", name="Cookie preferences").first.click()
        page.get_by_role("button", name="Reject all").click()
        page.wait_for_url("**/preferences?*saved=1*")
        assert names(context) == ["consent"]
        context.close()


def test_our_policy_lets_the_open_act_and_nobody_else(tmp_path: Path, browser: Browser) -> None:
    """What a script of the site loads meets the policy: also by socket, and on any own port."""
    script = b"""<script>window.blocked = [];
    document.addEventListener("securitypolicyviolation", (e) => blocked.push(e.blockedURI));
    for (const url of ["https://www.google-analytics.com/analytics.js",
        "https://connect.facebook.net/x.js", "https://nobody-knows.example/x.js",
        "http://localhost:1/own.js"]) {
      const s = document.createElement("script"); s.src = url; document.head.append(s);
    }
    for (const url of ["wss://static.hotjar.com/", "wss://nobody-knows.example/",
        "ws://localhost:1/own", "wss://localhost:1/own"])
      try { new WebSocket(url) } catch (e) {}
    </script>"""
    with serving(tmp_path, {"": reply(HTML % (b"", script))}) as site:
        context = browser.new_context()
        name, value = site.cookie("analytics", "session_replay").split("=", 1)
        context.add_cookies(
            [{"name": name, "value": value, "url": f"http://localhost:{site.port}"}]
        )
        page = context.new_page()
        page.goto(f"http://localhost:{site.port}/")
        page.wait_for_function("blocked.length >= 3")
        assert sorted(page.evaluate("blocked")) == [
            "https://connect.facebook.net/x.js",
            "https://nobody-knows.example/x.js",
            "wss://nobody-knows.example/",
        ]
        assert "hotjar" in TAGS
        context.close()


def test_a_malformed_permissions_policy_does_not_switch_ours_off(
    tmp_path: Path, browser: Browser
) -> None:
    """Browsers join both into one field, of which they ignore all if a part is malformed."""
    fields = {
        "none": "",
        "old": "Permissions-Policy: camera 'none'; fullscreen 'none'",
        "comma": "Permissions-Policy: fullscreen=(),",
        "kept": "Permissions-Policy: fullscreen=()",
        "older": "Feature-Policy: fullscreen 'none'",
    }
    pages = {name: reply(HTML % (b"", b""), *filter(None, [v])) for name, v in fields.items()}
    allowed = "['camera', 'fullscreen'].map((one) => document.featurePolicy.allowsFeature(one))"
    with serving(tmp_path, pages) as site:
        context = browser.new_context()
        page = context.new_page()
        for name in fields:
            page.goto(f"http://localhost:{site.port}/{name}")
            assert page.evaluate(allowed) == [False, name not in {"kept", "older"}], name
        context.close()


def test_a_form_may_run_code_of_the_page(tmp_path: Path, browser: Browser) -> None:
    """As old sites have it. CSP3 asks form-action of these addresses too."""
    form = b"<form action='javascript:void(window.ran = 1)'><button>Search</button></form>"
    with serving(tmp_path, {"": reply(HTML % (b"", form))}) as site:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://localhost:{site.port}/")
        page.get_by_role("button", name="Search").click()
        page.wait_for_function("window.ran === 1")
        context.close()
