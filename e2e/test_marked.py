"""Scripts that a page holds back for another consent tool, in a real browser: run once allowed."""

from __future__ import annotations

import datetime

import pytest
from playwright.sync_api import Browser, Route

from consent_rules.config.load import load_config
from proxy.review.preview import preview_request, rewrite_page

URL = "http://www.example.com/"
TODAY = datetime.date(2026, 12, 1)
TRACKER = "https://www.google-analytics.com/analytics.js"
PAGE = f"""<!doctype html><title>-</title>
<script type="text/plain" data-category="analytics" data-src="{TRACKER}?cookieconsent"></script>
<script type="text/plain" data-name="ga" data-type="module" data-src="{TRACKER}?klaro"></script>
<script type="text/plain" data-cookieconsent="statistics" src="{TRACKER}?cookiebot"></script>
<script type="text/plain" class="optanon-category-C0002" src="{TRACKER}?onetrust"></script>
<script type="text/plain" data-category="analytics">document.title += "own"</script>
""".encode()
CONFIG = """
[policy]
controller = "Acme"
version = "1"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
[[tag]]
vendor = "google-analytics"
sites = ["www"]
approved_by = "a@example.com"
approved_on = 2026-11-02
expires = 2027-11-02
"""


@pytest.mark.parametrize(
    ("accept", "asked", "title"),
    [
        ("analytics", {"cookieconsent", "klaro", "cookiebot", "onetrust"}, "-own"),
        ("advertising", set(), "-"),
        ("none", set(), "-"),
        (None, set(), "-"),
    ],
)
def test_marked_scripts(browser: Browser, accept: str | None, asked: set[str], title: str) -> None:
    config = load_config(CONFIG, "c.toml", today=TODAY).config
    question = preview_request(config, URL, accept=accept, gpc=False, region="", today=TODAY)
    body = rewrite_page(question, PAGE, "text/html", language="", bare=True)
    seen: set[str] = set()

    def answer(route: Route) -> None:
        if route.request.url == URL:
            route.fulfill(body=body, content_type="text/html")
            return
        seen.add(route.request.url.partition("?")[2])
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(body="", content_type="text/javascript", headers=headers)

    context = browser.new_context()
    context.route("**/*", answer)
    page = context.new_page()
    page.goto(URL, wait_until="load")
    found = (seen, page.title())
    context.close()
    assert found == (asked, title)
