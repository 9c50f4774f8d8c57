"""What a visitor sees of a large page that comes slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

from e2e.chromium import FLAGS, chromium_path
from tests.app.site import proxied
from tests.app.test_streaming import REST, START, Slow

WORDS = b"<p>words and more of them</p><img src=https://www.facebook.com/tr?x width=1>\n" * 4_000
"""300 KB."""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        flags = [*FLAGS, "--host-resolver-rules=MAP * 127.0.0.1"]
        found = await playwright.chromium.launch(executable_path=chromium_path(), args=flags)
        yield found
        await found.close()


async def test_the_first_screen_is_there_before_the_end(tmp_path: Path, browser: Browser) -> None:
    slow = Slow(START + WORDS, WORDS + REST)
    async with proxied(tmp_path, {"page": slow}) as site:
        page = await (await browser.new_context()).new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        home = f"http://www.example.com:{site.port}"
        await page.goto(f"{home}/page", wait_until="commit")
        await expect(page.get_by_text("first", exact=True)).to_be_visible()
        banner = page.locator("#yc")
        await expect(banner).to_be_visible()
        assert not slow.go_on.is_set()
        assert await page.evaluate("document.readyState") == "loading"
        # It can be answered while the page still comes.
        await page.get_by_role("button", name="Reject all").click()
        await expect(banner).to_be_hidden()
        assert await page.get_by_text("last", exact=True).count() == 0
        slow.go_on.set()
        async with asyncio.timeout(20):
            await expect(page.get_by_text("last", exact=True)).to_be_attached(timeout=15_000)
            await page.wait_for_load_state()
        assert await page.get_by_role("link", name="Cookie preferences").count() == 1
        hosts = {url.split("/")[2] for url in asked if not url.startswith("data:")}
        assert hosts == {f"www.example.com:{site.port}"}
