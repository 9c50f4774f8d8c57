"""What a visitor does with the demo, in the engine of this run: with JavaScript and without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.approved import APPROVED, VIDEO, vendors_of
from e2e.engines.driver import DriverError, Window
from e2e.engines.engines import chosen_engine
from e2e.site import EVERY_VENDOR, PATIENT_PAGE, RunningDemo
from examples.demo.vendors import UNAPPROVED

pytestmark = pytest.mark.engines

PATIENCE = 60.0
QUIET_SECONDS = 0.7
NOSCRIPT = {"google-tag-manager", "google-analytics", "meta-pixel", "linkedin-insight", "youtube"}
"""What fires with JavaScript off: pixels, the container's frame and what is in it, the video."""

ASKS = "!!document.querySelector('#yc')?.getClientRects().length"
PLACEHOLDER = "document.querySelector('iframe[srcdoc]')"
PREFERENCES = "/.consent/preferences"
ALLOW = "button[value^=vendor]"
ACCEPT, REJECT, SAVE = (f"button[value={value}]" for value in ("accept_all", "reject_all", "save"))


@dataclass(frozen=True, slots=True)
class Person:
    """One window, and what the demo's vendors got to know of it."""

    demo: RunningDemo
    window: Window
    scripts: bool

    @property
    def all(self) -> set[str]:
        """The vendors that fire where everything is accepted."""
        return set(APPROVED) if self.scripts else NOSCRIPT

    def fired(self) -> set[str]:
        return set(self.demo.ledger.counts())

    async def open(self, path: str, *, proxied: bool = True) -> None:
        await self.window.open(self.demo.url(path) if proxied else self.demo.origin_url(path))
        await self.settled()

    async def settled(self) -> None:
        """Loaded, and nothing has reached a vendor for a while."""
        await self.window.loaded(PATIENCE)
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            if seen != len(self.demo.ledger.hits):
                seen, since = len(self.demo.ledger.hits), time.monotonic()
            await asyncio.sleep(0.05)

    async def asks(self) -> bool:
        return bool(await self.window.evaluate(ASKS))

    async def is_asked_again(self) -> bool:
        """Whether the preferences page is shown, with a button that allows one vendor."""
        there = f"location.pathname.startsWith('/.consent/') && !!document.querySelector('{ALLOW}')"
        return bool(await self.window.evaluate(there))

    async def choose(self, button: str) -> None:
        """Press a button of the banner or the preferences; wait for what it leads to."""
        await self.window.evaluate("document.documentElement.dataset.before = '1'")
        await self.window.click(button)

        async def is_done() -> bool:
            gone = await self.window.evaluate("!document.documentElement.dataset.before")
            return bool(gone) or not (await self.asks())

        await until(is_done, f"{button} leads somewhere")
        await self.settled()

    async def forget(self) -> None:
        """Leave the page, and count anew."""
        await self.settled()
        await self.window.open("about:blank")
        await asyncio.sleep(0.3)
        self.demo.ledger.reset()


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if await holds():
                return
        except DriverError:
            pass  # between two pages
        assert time.monotonic() < deadline, f"never came true: {what}"
        await asyncio.sleep(0.1)


async def until_fired(person: Person, vendors: set[str]) -> None:
    async def have() -> bool:
        return person.fired() >= vendors

    await until(have, f"{sorted(vendors)} fire")
    await person.settled()


@pytest_asyncio.fixture(params=[True, False], ids=["scripts", "no scripts"])
async def person(
    request: pytest.FixtureRequest, demo_site: RunningDemo, tmp_path: Path
) -> AsyncIterator[Person]:
    demo_site.ledger.reset()
    async with chosen_engine().start(tmp_path / "profile") as browser:
        window = await browser.new_window(scripts=request.param)
        yield Person(demo_site, window, request.param)


async def test_without_the_proxy_they_fire(person: Person) -> None:
    await person.open(EVERY_VENDOR, proxied=False)
    await until_fired(person, person.all)


async def test_the_banner_asks_and_nothing_fires(person: Person) -> None:
    for path in (EVERY_VENDOR, "/", "/contact"):
        await person.open(path)
        assert await person.asks()
    assert person.fired() == set()
    await person.open(PATIENT_PAGE)
    assert person.fired() == set()


async def test_accepting_opens_what_is_approved(person: Person) -> None:
    await person.open(EVERY_VENDOR)
    await person.choose(ACCEPT)
    await until_fired(person, person.all)
    assert UNAPPROVED not in person.fired()
    assert not await person.asks()
    await person.forget()
    await person.open(PATIENT_PAGE)
    assert person.fired() == set()


async def test_rejecting_keeps_all_closed(person: Person) -> None:
    await person.open(EVERY_VENDOR)
    await person.choose(REJECT)
    assert not await person.asks()
    await person.open(EVERY_VENDOR)
    assert not await person.asks()
    assert person.fired() == set()


async def test_preferences_choose_and_withdraw(person: Person) -> None:
    await person.open(PREFERENCES)
    await person.window.click("input[name=category][value=advertising]")
    await person.choose(SAVE)
    await person.forget()
    await person.open(EVERY_VENDOR)
    expected = vendors_of(["advertising"]) & person.all
    await until_fired(person, expected)
    # Without JavaScript the container's frame is the tag manager's own page.
    assert person.fired() - {"google-analytics"} == expected
    await person.open(PREFERENCES)
    await person.choose(REJECT)
    await person.forget()
    await person.open(EVERY_VENDOR)
    assert person.fired() == set()


async def test_a_closed_video_leaves_a_placeholder_that_opens_it(person: Person) -> None:
    await person.open(EVERY_VENDOR)
    await person.choose(REJECT)
    shown = await person.window.evaluate(f"{PLACEHOLDER}.contentDocument.body.innerText")
    assert "YouTube" in str(shown)
    await person.window.evaluate(f"void {PLACEHOLDER}.scrollIntoView({{block: 'center'}})")
    allow = f"{PLACEHOLDER}.contentDocument.querySelector('{ALLOW}')"
    if person.scripts:

        async def is_in_sight() -> bool:
            return await person.window.evaluate(f"{allow}.getAttribute('formmethod')") == "post"

        await until(is_in_sight, "the browser tells that the placeholder is in sight")
    await person.window.evaluate(f"void {allow}.click()")
    if not person.scripts:
        # Nothing tells that it was in sight: the preferences page asks again.
        await until(person.is_asked_again, "the preferences page asks again")
        await person.window.click(ALLOW)
    await until_fired(person, {VIDEO})
    assert person.fired() == {VIDEO}
