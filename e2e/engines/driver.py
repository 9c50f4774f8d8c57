"""The interface: an engine starts a browser, a browser opens windows, a window shows pages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class DriverError(Exception):
    """The browser did not do what it was told: the window is gone, the element is not there."""


class NoBrowserError(RuntimeError):
    """There is no such browser on this machine; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Name:
    """A host name that leads to this machine, and so does every name that holds it as a part."""

    host: str
    port: int
    """On 127.0.0.1: where an engine that maps names to ports goes, whatever port a URL has."""
    address: str = ""
    """Of loopback: where an engine goes that asks a resolver. It keeps a URL's port."""


class Window(Protocol):
    """One window, in front. DriverError where the browser cannot."""

    async def open(self, url: str) -> int:
        """Show a page; returns once its loading has begun.

        Gives the status of the response; 0 where the engine does not tell, or shows no page.
        """

    async def loaded(self, seconds: float) -> None:
        """Wait until the page has loaded, but no longer than this."""

    async def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression in the page, awaited where it is a promise."""

    async def click(self, selector: str) -> None:
        """Click the first element of a CSS selector, as a visitor does."""

    async def hover(self, selector: str) -> None:
        """Move the pointer to it."""

    async def close_popups(self) -> None:
        """Close every window that pages of this one have opened."""

    async def screenshot(self) -> bytes:
        """The visible part of the page, as PNG."""


class Browser(Protocol):
    """A browser that runs, with an empty profile."""

    @property
    def version(self) -> str:
        """Name and version, as the browser tells them."""

    async def new_window(self, *, scripts: bool = True) -> Window:
        """Open a window. `scripts` is false for a browser with JavaScript switched off."""


class Engine(Protocol):
    """A browser that can be started."""

    @property
    def name(self) -> str: ...

    @property
    def windows(self) -> int:
        """How many pages it can show at a time without one hindering another."""

    @property
    def resolves(self) -> bool:
        """Whether it finds names by the system's resolver (`Name.address`)."""

    def start(
        self, profile: Path, names: Sequence[Name] = (), *, bypass_policy: bool = False
    ) -> AbstractAsyncContextManager[Browser]:
        """Start it with an empty profile in that folder.

        `bypass_policy` makes it ignore every Content-Security-Policy, which only Chromium can.
        """
