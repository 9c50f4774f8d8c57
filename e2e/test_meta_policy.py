"""A policy that a page sets by <meta>: a choice can be made under it, and it allows no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from e2e.proxied import serving
from tests.support.site import reply

POLICIES = (
    "form-action 'none'",
    "connect-src 'none'",
    "default-src 'none'; form-action 'none'",
    "default-src https://cdn.example; form-action https://forms.example",
    "script-src 'none'; style-src 'none'; form-action 'none'; connect-src 'none'",
    "default-src 'self'",
)
PAGE = """<!doctype html><html lang=en><head><title>x</title>
<meta http-equiv="content-security-policy" content="{}">
</head><body><p>Hello</p><form action=/order method=post><button>Order</button></form>
</body></html>"""


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_choice_can_be_made(
    tmp_path: Path, browser: Browser, policy: str, javascript: bool
) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    context.set_default_timeout(5_000)
    with serving(tmp_path, {"": reply(PAGE.format(policy).encode())}) as site:
        tab = context.new_page()
        tab.goto(f"http://www.example.com:{site.port}/")
        answers: list[int] = []
        tab.on("response", lambda r: answers.append(r.status) if "choice" in r.url else None)
        tab.click("#yc button[value=reject_all]")
        tab.locator("#yc").wait_for(state="detached")
        assert answers == [204 if javascript else 303]
        assert [cookie["name"] for cookie in context.cookies()] == ["consent"]
    context.close()


def test_nothing_else_of_the_site_can_be_reached(tmp_path: Path, browser: Browser) -> None:
    asked: list[str] = []
    page = PAGE.format("default-src 'none'; script-src 'unsafe-inline'; form-action 'none'")
    context = browser.new_context()
    with serving(tmp_path, {"": reply(page.encode())}) as site:
        tab = context.new_page()
        tab.goto(f"http://www.example.com:{site.port}/")
        tab.on("request", lambda request: asked.append(request.url))
        failed = "(url) => fetch(url).then(() => true, () => false)"
        assert tab.evaluate(failed, "/api") is False
        assert tab.evaluate(failed, "/.consent/../api") is False
        assert tab.evaluate(failed, "/.consent/state") is True
        tab.evaluate("document.forms[0].requestSubmit()")
        tab.wait_for_timeout(200)
        assert tab.url.endswith(f"{site.port}/")
        assert all(url.endswith("/.consent/state") for url in asked)
    context.close()
