"""How long the signing key has signed, and when another is due."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from proxy.runtime import Runtime

_log = logging.getLogger("consent_proxy.config")

_DAY = 86_400
WARN_DAYS = 30
"""Days before a new key is due from which the log says so, once a day."""
_LOOK_EVERY = 600.0


def due_at(runtime: Runtime, now: float | None = None) -> float | None:
    """When the signing key has signed for `rotate_days`, in seconds since 1970. None where its age
    is not known or not limited.
    """
    days = runtime.config.preferences.rotate_days
    since = runtime.keys.signing_since(time.time() if now is None else now)
    return since + days * _DAY if days and since is not None else None


def warning(runtime: Runtime, now: float) -> str | None:
    """What the log says of a key that has signed for long; None where there is nothing to say."""
    due = due_at(runtime, now)
    if due is None or now < due - WARN_DAYS * _DAY:
        return None
    day = time.strftime("%Y-%m-%d", time.gmtime(due))
    state = f"is due to be replaced on {day}" if now < due else f"was due to be replaced on {day}"
    return (
        f"the key that signs choices, {runtime.keys.signing_id(now)}, {state} "
        "(preferences.rotate_days): run `consent-proxy keys rotate --config FILE`"
    )


async def warn_of_old_key(current: Callable[[], Runtime], every: float = _LOOK_EVERY) -> None:
    """Log the warning once a day and key, until cancelled."""
    logged: tuple[str, int] | None = None
    while True:
        now = time.time()
        runtime = current()
        text = warning(runtime, now)
        if text is not None and logged != (at := (runtime.keys.signing_id(now), int(now // _DAY))):
            logged = at
            _log.warning("%s", text)
        del runtime  # a reload would leave it here, with all pages that it remembers
        await asyncio.sleep(every)
