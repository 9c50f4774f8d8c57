"""Memory that is free in this process, given back to the system."""

from __future__ import annotations

import sys


def give_back_free_memory() -> None:
    """Give back the pages of glibc's heaps that nothing is in; elsewhere do nothing.

    By itself glibc gives back what is free at the end of a heap alone, and one block there holds
    all before it. Takes milliseconds in which other threads wait where they allocate: only for
    after much was freed.
    """
    if sys.platform != "linux":
        return
    import ctypes  # here alone, and not at the start

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # musl has none
        trim(0)
