"""Which Chromium to drive, and how."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Playwright as AsyncPlaywright
from playwright.sync_api import Browser, Playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
LOOPBACK = "--host-resolver-rules=MAP * 127.0.0.1"
"""Every name leads to this machine: a test's site may have any, and none reaches the network."""

_NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")


class NoChromiumError(RuntimeError):
    """A test that needs a browser fails without one; the message says how to get it."""


def chromium_path() -> str | None:
    """$CHROMIUM, else the system's; None leaves it to the one Playwright installed."""
    if chosen := os.environ.get("CHROMIUM"):
        return chosen
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def executable(playwright: Playwright | AsyncPlaywright) -> str:
    """The Chromium to start. Raises NoChromiumError where there is none."""
    path = chromium_path() or playwright.chromium.executable_path
    if shutil.which(path) is None:
        raise NoChromiumError(
            f"no Chromium at {path}: `make browser` installs one, "
            "and CHROMIUM=/path/to/chromium chooses another"
        )
    return path


def launch(
    playwright: Playwright,
    flags: Sequence[str] = (),
    *,
    without: Sequence[str] = (),
) -> Browser:
    """A headless Chromium. `without` names flags of Playwright's own to leave out."""
    return playwright.chromium.launch(
        executable_path=executable(playwright),
        args=[*FLAGS, *flags],
        ignore_default_args=list(without) or None,
    )


def loopback_program(folder: Path) -> Path:
    """A program for $CHROMIUM, in `folder`: Chromium that reaches this machine only."""
    found = chromium_path()
    if found is None:
        raise NoChromiumError("no Chromium: `make browser` installs one")
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec "{found}" "$@" "{LOOPBACK}"\n')
    program.chmod(0o755)
    return program
