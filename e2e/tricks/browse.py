"""Open pages in one Chromium, many at a time, and wait for what they ask of closed hosts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import BrowserContext, CDPSession, Page, Playwright
from playwright.async_api import Error as BrowserError

from e2e.chromium import FLAGS, executable
from e2e.tricks.stub import Arrivals
from e2e.tricks.table import Trick

TABS = 16
MAX_LENGTH = 6.0
"""Seconds that a page without the proxy has to ask. What has not happened by then never will."""
SOONER = 2.0
"""The same for a page that is expected not to."""
SHORTEST = 0.7
"""Seconds that a page behind the proxy is watched at least."""
_LOADED = 4.0

# Flags for tests that switch off what visitors' browsers do.
UNWANTED_FLAGS = ["--disable-background-networking", "--no-pings"]


def resolver_rules(ports: Iterable[tuple[str, int]]) -> str:
    """The flag that leads the names that hold one of these words to a port of this machine."""
    names = ", ".join(f"MAP *{word}* 127.0.0.1:{port}" for word, port in ports)
    return f"--host-resolver-rules={names}"


async def launch(playwright: Playwright, profile: Path, flags: Sequence[str]) -> BrowserContext:
    """A headless Chromium as visitors have it, with all that warms up, prefetches and reports.

    That takes a profile of its own: in a private window Chromium does not preconnect.
    """
    return await playwright.chromium.launch_persistent_context(
        profile,
        executable_path=executable(playwright),
        args=[*(f for f in FLAGS if f not in UNWANTED_FLAGS), *flags],
        ignore_default_args=UNWANTED_FLAGS,
    )


@dataclass(frozen=True, slots=True)
class Visit:
    """One page to open, and the socket to watch."""

    trick: Trick
    url: str
    arrivals: Arrivals
    watch: float
    """Seconds. 0 waits until something has arrived."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a visit. `status` is 0 where the browser showed no page."""

    status: int
    took: float
    """Seconds from opening the page to the first arrival; 0.0 where nothing came."""


async def visit_all(
    context: BrowserContext, visits: Sequence[Visit], *, tabs: int, bypass_policy: bool = False
) -> dict[int, Outcome]:
    """Open every page, so many at a time. Outcomes by the tricks' numbers.

    `bypass_policy` makes the browser ignore every Content-Security-Policy.
    """
    waiting = list(reversed(visits))
    outcomes: dict[int, Outcome] = {}

    async def tab() -> None:
        page = await _new_tab(context, bypass_policy)
        while waiting:
            visit = waiting.pop()
            try:
                outcomes[visit.trick.number] = await _visit(page, visit)
            except BrowserError:
                outcomes[visit.trick.number] = Outcome(0, 0.0)
                page = await _new_tab(context, bypass_policy)
        with contextlib.suppress(BrowserError):
            await page.page.goto("about:blank")

    await asyncio.gather(*(tab() for _ in range(min(tabs, len(visits)))))
    # What a page sends when it goes away may still be on its way.
    await asyncio.sleep(0.5)
    return outcomes


@dataclass(frozen=True, slots=True)
class _Tab:
    page: Page
    control: CDPSession
    popups: list[Page]


async def _new_tab(context: BrowserContext, bypass_policy: bool) -> _Tab:
    page = await context.new_page()
    control = await context.new_cdp_session(page)
    await control.send("Page.enable")
    await control.send("Page.setBypassCSP", {"enabled": bypass_policy})
    popups: list[Page] = []
    page.on("popup", lambda popup: popups.append(popup))
    return _Tab(page, control, popups)


async def _visit(tab: _Tab, visit: Visit) -> Outcome:
    page = tab.page
    silent = {"value": not visit.trick.scripts}
    await tab.control.send("Emulation.setScriptExecutionDisabled", silent)
    started = time.monotonic()
    arrivals = visit.arrivals
    status = 0
    with contextlib.suppress(BrowserError):
        response = await page.goto(visit.url, wait_until="commit", timeout=15_000)
        status = response.status if response is not None else 0
    if visit.trick.action or visit.watch:
        with contextlib.suppress(BrowserError):
            await page.wait_for_load_state("load", timeout=1000 * _LOADED)
    if visit.trick.action:
        await _act(page, visit.trick.action)
    if visit.watch:
        await asyncio.sleep(visit.watch)
    else:
        longest = SOONER if visit.trick.inert else MAX_LENGTH
        await arrivals.wait(connection=visit.trick.bare, seconds=longest)
    await asyncio.sleep(visit.trick.linger)
    while tab.popups:
        with contextlib.suppress(BrowserError):
            await tab.popups.pop().close()
    return Outcome(status, max(0.0, arrivals.first_at - started))


async def _act(page: Page, action: str) -> None:
    verb, _, selector = action.partition(" ")
    with contextlib.suppress(BrowserError):
        if verb == "click":
            await page.locator(selector).first.click(timeout=4000, force=True, no_wait_after=True)
        elif verb == "hover":
            await page.locator(selector).first.hover(timeout=4000, force=True)
        else:
            await page.goto("about:blank")
