"""Open pages in one browser, many at a time, and wait for what they ask of closed hosts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from e2e.engines.driver import Browser, DriverError, Window
from e2e.tricks.stub import Arrivals
from e2e.tricks.table import Trick

MAX_LENGTH = 6.0
"""Seconds that a page without the proxy has to ask. What has not by then is tried once more."""
LATEST = 30.0
"""The same for each later try: the machine may have other things to do."""
SOONER = 2.0
"""The same for a page that is expected not to."""
SHORTEST = 0.7
"""Seconds that a page behind the proxy is watched at least."""
_LOADED = 4.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One page to open, and the socket to watch."""

    trick: Trick
    url: str
    arrivals: Arrivals
    watch: float
    """Seconds. 0 waits until something has arrived."""
    inert: bool = False
    """Whether nothing is expected to arrive, whatever is in between."""
    patience: float = MAX_LENGTH
    """Seconds to wait for what is expected."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a visit. `status` is 0 where the browser showed no page."""

    status: int
    took: float
    """Seconds from opening the page to the first arrival; 0.0 where nothing came."""


async def visit_all(
    browser: Browser, visits: Sequence[Visit], *, windows: int
) -> dict[int, Outcome]:
    """Open every page, so many at a time. Outcomes by the tricks' numbers."""
    outcomes: dict[int, Outcome] = {}
    for scripts in (True, False):
        some = [visit for visit in visits if visit.trick.scripts is scripts]
        await _visit_some(browser, some, outcomes, scripts=scripts, windows=windows)
    # What a page sends when it goes away may still be on its way.
    await asyncio.sleep(0.5)
    return outcomes


async def _visit_some(
    browser: Browser,
    visits: Sequence[Visit],
    outcomes: dict[int, Outcome],
    *,
    scripts: bool,
    windows: int,
) -> None:
    waiting = list(reversed(visits))

    async def one_after_the_other() -> None:
        window = await browser.new_window(scripts=scripts)
        while waiting:
            visit = waiting.pop()
            try:
                outcomes[visit.trick.number] = await _visit(window, visit)
            except DriverError:
                outcomes[visit.trick.number] = Outcome(0, 0.0)
                window = await browser.new_window(scripts=scripts)
        with contextlib.suppress(DriverError):
            await window.open("about:blank")

    await asyncio.gather(*(one_after_the_other() for _ in range(min(windows, len(visits)))))


async def _visit(window: Window, visit: Visit) -> Outcome:
    started = time.monotonic()
    arrivals = visit.arrivals
    status = 0
    with contextlib.suppress(DriverError):
        status = await window.open(visit.url)
    if visit.trick.action or visit.watch:
        with contextlib.suppress(DriverError):
            await window.loaded(_LOADED)
    if visit.trick.action:
        await _act(window, visit.trick.action)
    if visit.watch:
        await asyncio.sleep(visit.watch)
    else:
        longest = SOONER if visit.inert else visit.patience
        await arrivals.wait(connection=visit.trick.bare, seconds=longest)
    await _until_quiet(arrivals, visit.trick.linger)
    await window.close_popups()
    return Outcome(status, max(0.0, arrivals.first_at - started))


async def _until_quiet(arrivals: Arrivals, seconds: float) -> None:
    """Until nothing has arrived for so long: a loaded machine is slow to ask for all of it."""
    seen, since = -1, time.monotonic()
    latest = since + 12 * seconds
    while time.monotonic() < min(since + seconds, latest):
        if seen != len(arrivals.requests):
            seen, since = len(arrivals.requests), time.monotonic()
        await asyncio.sleep(0.05)


async def _act(window: Window, action: str) -> None:
    verb, _, selector = action.partition(" ")
    with contextlib.suppress(DriverError):
        if verb == "click":
            await window.click(selector)
        elif verb == "hover":
            await window.hover(selector)
        else:
            await window.open("about:blank")
