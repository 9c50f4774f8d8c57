"""What a visitor sees of a large page that comes slowly."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from e2e.proxied import serving
from tests.support.forwarding import Visit
from tests.support.site import reply
from tests.support.slow_page import REST, START

WORDS = b"<p>words and more of them</p><img src=https://www.facebook.com/tr?x width=1>\n" * 4_000
"""300 KB."""


def test_the_first_screen_is_there_before_the_end(tmp_path: Path, context: BrowserContext) -> None:
    start, rest = START + WORDS, WORDS + REST
    go_on = threading.Event()

    async def slow(visit: Visit) -> None:
        await visit.send(reply(b"", f"Content-Length: {len(start) + len(rest)}") + start)
        await asyncio.to_thread(go_on.wait, 60)
        await visit.send(rest)

    with serving(tmp_path, {"page": slow}) as site:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        home = f"http://www.example.com:{site.port}"
        page.goto(f"{home}/page", wait_until="commit")
        expect(page.get_by_text("first", exact=True)).to_be_visible()
        banner = page.locator("#yc")
        expect(banner).to_be_visible()
        assert page.evaluate("document.readyState") == "loading"
        # It can be answered while the page still comes.
        page.get_by_role("button", name="Reject all").click()
        expect(banner).to_be_hidden()
        assert page.get_by_text("last", exact=True).count() == 0
        go_on.set()
        expect(page.get_by_text("last", exact=True)).to_be_attached(timeout=30_000)
        page.wait_for_load_state()
        assert page.get_by_role("link", name="Cookie preferences").count() == 1
        hosts = {url.split("/")[2] for url in asked if not url.startswith("data:")}
        assert hosts == {f"www.example.com:{site.port}"}
