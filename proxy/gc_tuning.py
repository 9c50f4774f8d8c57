"""Tuning of Python's cyclic garbage collector: rest while much is made, freeze what stays."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def gc_disabled() -> Iterator[None]:
    """No cyclic collection while a config is read: it makes a hundred thousand objects, none of
    them in a cycle, and traversing them takes a third of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def freeze_startup_objects() -> None:
    """Keep the collector from ever looking at what exists, and collect cycles less often from now
    on. Without a collection first: that takes as long as the config, and finds half a megabyte.

    A page makes thousands of small objects without a cycle: by default they set off a full
    collection every few pages, a tenth of the time that compiling takes. Called before workers are
    forked: a collector that looks at shared objects copies their pages for each worker.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
