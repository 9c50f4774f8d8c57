"""Playwright and the Chromium that it drives. Both are optional: nothing here is imported by the
proxy, and a missing one is a message that says how to get it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser

FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    # All frames in the page's process: one session sees the requests of each.
    "--disable-site-isolation-trials",
)
_NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")

INSTALL_PLAYWRIGHT = (
    "the audit drives a browser with Playwright, which is not installed: "
    "pip install 'consent-proxy[audit]'"
)
INSTALL_CHROMIUM = (
    "no Chromium found: playwright install chromium (or, on Debian: apt-get install chromium). "
    "CHROMIUM=/path/to/chromium chooses another"
)


class MissingBrowserError(Exception):
    """Playwright or Chromium is missing, or does not start; the message says what to do."""


def chromium_path(of_playwright: str) -> str:
    """$CHROMIUM, else the system's, else Playwright's own. Raises MissingBrowserError."""
    chosen = os.environ.get("CHROMIUM")
    candidates = [chosen] if chosen else [*_NAMES, of_playwright]
    for candidate in candidates:
        if path := shutil.which(candidate):
            return path
    if chosen:
        raise MissingBrowserError(f"CHROMIUM={chosen}: there is no such program")
    raise MissingBrowserError(INSTALL_CHROMIUM)


@asynccontextmanager
async def chromium(flags: Iterable[str] = ()) -> AsyncIterator[Browser]:
    """A headless Chromium. Raises MissingBrowserError."""
    try:
        from playwright.async_api import Error, async_playwright
    except ImportError:
        raise MissingBrowserError(INSTALL_PLAYWRIGHT) from None
    async with async_playwright() as playwright:
        path = chromium_path(playwright.chromium.executable_path)
        # Chromium's sandbox does not start for root.
        sandbox = () if os.geteuid() else ("--no-sandbox",)
        try:
            browser = await playwright.chromium.launch(
                executable_path=path, args=[*FLAGS, *sandbox, *flags]
            )
        except Error as error:
            raise MissingBrowserError(f"{path} does not start: {error.message}") from None
        try:
            yield browser
        except Error as error:
            raise MissingBrowserError(
                f"the browser stopped: {error.message.partition(chr(10))[0]}. With --state FILE an "
                "audit goes on where it was broken"
            ) from None
        finally:
            with suppress(Error):
                await browser.close()
