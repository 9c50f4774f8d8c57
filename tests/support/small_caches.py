"""The command with small caches: `python -m tests.support.small_caches run --config FILE`.

They and the tables are full within a minute: what grows after that is neither of them. By default
a worker's budgets take 314 MiB, and its tables have room for thousands of addresses and choices: an
hour of the soak's traffic passes without having filled them, and looks like a leak.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

DIVISOR = 64
LIMITS = {
    "proxy.cookies.preference_cookie": ("_REMEMBERED",),
    "proxy.html.block_memory": ("_MAX_ASKED", "_MAX_SEEN"),
    "proxy.html.boundary": ("_MAX_JUDGED", "_MAX_PARTS", "_PARTS_BUDGET"),
    "proxy.runtime": (
        "_PAGES_BUDGET", "_BLOCKS_BUDGET", "_ALIKE_BUDGET", "_STREAMED_BUDGET", "_VARIANTS_BUDGET",
        "_MARKUP", "_READY_BUDGET", "_VISITORS_BUDGET", "_REPEATED_BUDGET", "_FILES_BUDGET",
        "_REQUESTS_BUDGET", "_HEADS_BUDGET",
    ),
}  # fmt: skip
"""What bounds the tables that are neither a `Recent` nor an `lru_cache`."""


def _smaller(limit: int) -> int:
    """A bound of bytes or entries, as small as it may be: a table of a few entries is kept."""
    return min(limit, max(limit // DIVISOR, DIVISOR))


def _lru_cache(maxsize: Any = 128, typed: bool = False) -> Callable[..., Any]:
    if isinstance(maxsize, int):
        maxsize = _smaller(maxsize)
    return cast(Callable[..., Any], _python_lru_cache(maxsize, typed))


def _shrink() -> None:
    """To be called before anything of `proxy` is imported: decorators read their limit then."""
    functools.lru_cache = _lru_cache  # type: ignore[assignment]
    recent = import_module("proxy.http.recent").Recent
    made = recent.__init__
    recent.__init__ = lambda self, limit: made(self, _smaller(limit))
    for name, limits in LIMITS.items():
        module = import_module(name)
        for limit in limits:
            setattr(module, limit, _smaller(getattr(module, limit)))


_python_lru_cache = functools.lru_cache

if __name__ == "__main__":
    _shrink()
    import_module("proxy.cli.commands").main()
