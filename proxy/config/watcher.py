"""Watch config files for changes: events of the system, or polling."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

from consent_rules.config.models import Watch

_log = logging.getLogger("consent_proxy.config")
# It logs each change. With the log in the same folder that would be one more, without end.
logging.getLogger("watchfiles").setLevel(logging.WARNING)

_SETTLED_MS = 50
"""An event is reported once nothing else has changed for so long: editors write in
several steps.
"""
_MAX_MS = 300
"""But no later than this: a file that is written all the time must not hide the others."""
_POLL_SECONDS = 0.25
_LOOK_AGAIN_MS = 5_000
"""Checked even without an event: for changes between two watches, and network folders."""


async def watch(folders: Callable[[], frozenset[Path]], how: Watch) -> AsyncIterator[None]:
    """Yield whenever the files may have changed.

    `folders` is called again after each event. Where inotify is missing or out of watches, polls.
    """
    while how is Watch.NOTIFY:
        watched = folders()
        try:
            async with contextlib.aclosing(_events(watched)) as notices:
                async for _ in notices:
                    yield
                    if folders() != watched:
                        break
        except (OSError, RuntimeError) as error:
            if all(folder.is_dir() for folder in watched):
                _log.warning("config changes are not reported by the system (%s): polling", error)
                break
    while how is not Watch.OFF:
        yield
        await asyncio.sleep(_POLL_SECONDS)


async def _events(folders: frozenset[Path]) -> AsyncGenerator[None]:
    """Yield once the folders are watched, and after each event in them."""
    from watchfiles import awatch  # after the start

    changes = awatch(
        *folders,
        watch_filter=None,
        debounce=_MAX_MS,
        step=_SETTLED_MS,
        recursive=False,
        rust_timeout=_LOOK_AGAIN_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    upcoming = asyncio.ensure_future(anext(changes))
    try:
        # With its first step the watch begins. What changed before that is seen by looking now.
        await asyncio.sleep(0)
        yield
        while True:
            await upcoming
            upcoming = asyncio.ensure_future(anext(changes))
            yield
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await changes.aclose()
