"""Which Chromium to drive, and how."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from playwright.sync_api import Browser, Playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str | None:
    """$CHROMIUM, else the system's; None leaves it to the one Playwright installed."""
    if chosen := os.environ.get("CHROMIUM"):
        return chosen
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def launch(playwright: Playwright, flags: Sequence[str] = ()) -> Browser:
    """A headless Chromium."""
    return playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS, *flags])
