"""Chromium, by Playwright and the DevTools protocol."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import BrowserContext, CDPSession, Page, async_playwright
from playwright.async_api import Error as BrowserError

from e2e.chromium import FLAGS, executable
from e2e.engines.driver import DriverError, Name

# Flags for tests that switch off what visitors' browsers do.
UNWANTED_FLAGS = ["--disable-background-networking", "--no-pings"]


def resolver_rules(ports: Iterable[tuple[str, int]]) -> str:
    """The flag that leads the names that hold one of these words to a port of this machine."""
    names = ", ".join(f"MAP *{word}* 127.0.0.1:{port}" for word, port in ports)
    return f"--host-resolver-rules={names}"


@contextlib.contextmanager
def _as_driver_error() -> Iterator[None]:
    try:
        yield
    except BrowserError as error:
        raise DriverError(str(error)) from error


@dataclass(frozen=True, slots=True)
class ChromiumWindow:
    """A tab."""

    page: Page
    control: CDPSession
    popups: list[Page] = field(default_factory=list)

    async def open(self, url: str) -> int:
        with _as_driver_error():
            response = await self.page.goto(url, wait_until="commit", timeout=15_000)
        return response.status if response is not None else 0

    async def loaded(self, seconds: float) -> None:
        with _as_driver_error():
            await self.page.wait_for_load_state("load", timeout=1000 * seconds)

    async def evaluate(self, expression: str) -> object:
        with _as_driver_error():
            found: object = await self.page.evaluate(expression)
        return found

    async def click(self, selector: str) -> None:
        with _as_driver_error():
            first = self.page.locator(selector).first
            await first.click(timeout=4000, force=True, no_wait_after=True)

    async def hover(self, selector: str) -> None:
        with _as_driver_error():
            await self.page.locator(selector).first.hover(timeout=4000, force=True)

    async def close_popups(self) -> None:
        while self.popups:
            with contextlib.suppress(BrowserError):
                await self.popups.pop().close()

    async def screenshot(self) -> bytes:
        with _as_driver_error():
            return await self.page.screenshot()


@dataclass(frozen=True, slots=True)
class ChromiumBrowser:
    """A profile."""

    context: BrowserContext
    version: str
    bypass_policy: bool

    async def new_window(self, *, scripts: bool = True) -> ChromiumWindow:
        page = await self.context.new_page()
        control = await self.context.new_cdp_session(page)
        await control.send("Page.enable")
        await control.send("Page.setBypassCSP", {"enabled": self.bypass_policy})
        await control.send("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        window = ChromiumWindow(page, control)
        page.on("popup", lambda popup: window.popups.append(popup))
        return window


@dataclass(frozen=True, slots=True)
class Chromium:
    """A headless Chromium as visitors have it, with all that warms up, prefetches and reports.

    That takes a profile of its own: in a private window Chromium does not preconnect.
    """

    name: str = "chromium"
    windows: int = 16
    resolves: bool = False

    @asynccontextmanager
    async def start(
        self, profile: Path, names: Sequence[Name] = (), *, bypass_policy: bool = False
    ) -> AsyncIterator[ChromiumBrowser]:
        flags = [resolver_rules((name.host, name.port) for name in names)] if names else []
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=executable(playwright),
                args=[*(f for f in FLAGS if f not in UNWANTED_FLAGS), *flags],
                ignore_default_args=UNWANTED_FLAGS,
            )
            try:
                version = context.browser.version if context.browser is not None else ""
                yield ChromiumBrowser(context, f"Chromium {version}", bypass_policy)
            finally:
                await context.close()
