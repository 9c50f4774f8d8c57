"""`python -m e2e.real_pages FOLDER`: saved pages of real sites, opened with and without the proxy.

Through the proxy, with no choice made, nobody but the site itself may be asked, the text that a
visitor reads must be the same, and no script may fail that did not fail before. Every host but the
site's own is answered by the browser itself, with nothing: no request leaves this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from playwright.async_api import Browser, Error, Route, async_playwright

from e2e.chromium import FLAGS, executable
from examples.demo.running import consent_proxy

HOST = "www.example.com"
_CONFIG = """
[proxy]
listen = "127.0.0.1:{proxy}"
admin_listen = "127.0.0.1:{admin}"
workers = 1
access_log = false
discovered = ""
max_page_bytes = 50_000_000
[policy]
controller = "Example"
version = "1"
url = "/privacy"
[preferences]
keys = "keys/"
[[site]]
name = "www"
hosts = ["{host}", "localhost"]
upstream = "http://127.0.0.1:{origin}"
audience = "marketing"
[[tag]]
vendor = "google-analytics"
sites = ["www"]
approved_by = "nobody"
approved_on = 2026-01-01
expires = 2099-01-01
"""
_NETWORK = frozenset({"http", "https", "ws", "wss"})
# The text that a visitor reads, our own apart: a placeholder says more than its frame did.
_TEXT = """() => {
  for (const own of document.querySelectorAll('#yc, #yc-l, .yc-h')) own.remove();
  return document.body ? document.body.innerText.replace(/\\s+/g, ' ').trim() : '';
}"""


@dataclass
class Seen:
    """What one page did."""

    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True)
class Row:
    """One page, without the proxy and with it."""

    page: str
    plain: Seen
    gated: Seen

    @property
    def new_errors(self) -> list[str]:
        return sorted(set(self.gated.errors) - set(self.plain.errors))

    @property
    def is_fine(self) -> bool:
        same = self.plain.text == self.gated.text
        return same and not self.gated.asked and not self.new_errors

    def told(self) -> str:
        one, other = self.plain.text, self.gated.text
        at = len(os.path.commonprefix([one, other]))  # noqa: RUF071 - of characters, indeed
        parted = None
        if one != other:
            around = slice(max(0, at - 30), at + 60)
            parted = {"plain": one[around], "gated": other[around]}
        told = {"page": self.page, "asked": self.gated.asked, "text": parted}
        return json.dumps({**told, "errors": self.new_errors}, indent=1)


async def look(browser: Browser, url: str) -> Seen:
    """Open a page and watch it for a moment."""
    seen = Seen()
    context = await browser.new_context()

    async def answer(route: Route) -> None:
        if urlsplit(route.request.url).hostname == HOST:
            await route.continue_()
            return
        if urlsplit(route.request.url).scheme in _NETWORK:
            seen.asked.append(route.request.url)
        await route.fulfill(status=200, body="")

    await context.route("**/*", answer)
    page = await context.new_page()
    page.on("pageerror", lambda error: seen.errors.append(str(error).partition("\n")[0]))
    try:
        await page.goto(url, wait_until="load", timeout=20_000)
        await page.wait_for_timeout(400)
        # Ports and the time of day are not the same twice.
        seen.text = re.sub(r"\d{5,}", "0", await page.evaluate(_TEXT))
    except Error as error:
        seen.errors.append(f"not shown: {error}".partition("\n")[0])
    await context.close()
    return seen


async def _serve(pages: Mapping[str, bytes]) -> web.AppRunner:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = pages.get(request.path[1:])
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, headers={"Content-Type": "text/html"})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def compare(pages: Mapping[str, bytes], state: Path) -> list[Row]:
    """Each page with and without the proxy. `state` is a folder for the proxy's own files."""
    runner = await _serve(pages)
    origin, (proxy, admin) = runner.addresses[0][1], (18480, 18481)
    config = state / "consent-proxy.toml"
    config.write_text(_CONFIG.format(proxy=proxy, admin=admin, origin=origin, host=HOST))
    flags = [*FLAGS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    rows = []
    async with consent_proxy(config, proxy), async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(playwright), args=flags
        )
        for name in pages:
            plain = await look(browser, f"http://{HOST}:{origin}/{name}")
            gated = await look(browser, f"http://{HOST}:{proxy}/{name}")
            rows.append(Row(name, plain, gated))
        await browser.close()
    await runner.cleanup()
    return rows


def main(folder: Path) -> None:
    """Print what differs, and how much is as it should be."""
    pages = {file.name: file.read_bytes() for file in sorted(folder.glob("*.html"))}
    with tempfile.TemporaryDirectory() as state:
        rows = asyncio.run(compare(pages, Path(state)))
    for row in rows:
        if not row.is_fine:
            print(row.told())
    print(
        f"{len(rows)} pages; requests to others: {sum(len(r.plain.asked) for r in rows)} without "
        f"the proxy, {sum(len(r.gated.asked) for r in rows)} with it; the same text on "
        f"{sum(r.plain.text == r.gated.text for r in rows)}; new script errors on "
        f"{sum(bool(r.new_errors) for r in rows)}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
