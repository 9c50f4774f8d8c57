"""Work beside the requests of a worker, which must not end without a word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial

_log = logging.getLogger("consent_proxy.background")

_PAUSE_SECONDS = 10.0


async def keep_going(
    work: Callable[[], Coroutine[object, object, None]], pause: float = _PAUSE_SECONDS
) -> None:
    """Do the work until it ends by itself; begin it anew where it fails by a fault of ours."""
    while True:
        try:
            await work()
        except Exception:
            name = (work.func if isinstance(work, partial) else work).__qualname__
            _log.exception("%s failed; it is begun anew in %g s", name, pause)
            await asyncio.sleep(pause)
        else:
            return
