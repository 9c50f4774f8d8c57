"""Exceptions that Python can give to nobody, such as those of a TLS library's callbacks.

By default it writes their tracebacks to standard error, and waits where its reader does not take
them: what a visitor sends could stop a worker.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

_log = logging.getLogger("consent_proxy.observability")
_PAUSE_SECONDS = 60.0


def log_unraisable(clock: Callable[[], float] = time.monotonic) -> None:
    """Log them from now on: the kind and the place, at most once a minute and with the number of
    those between.
    """
    logged_at, since = float("-inf"), 0

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        nonlocal logged_at, since
        since += 1
        if clock() - logged_at < _PAUSE_SECONDS:
            return
        place = getattr(unraisable.object, "__qualname__", type(unraisable.object).__name__)
        _log.warning("ignored: %s in %s (%d times)", unraisable.exc_type.__name__, place, since)
        logged_at, since = clock(), 0

    sys.unraisablehook = hook
