"""Memory that is free in this process: what is kept for the next page, and what is given back."""

from __future__ import annotations

import sys


def give_back_free_memory() -> None:
    """Give back the pages of glibc's heaps that nothing is in; elsewhere do nothing.

    By itself glibc gives back what is free at the end of a heap alone, and one block there holds
    all before it. Takes milliseconds in which other threads wait where they allocate: only for
    after much was freed.
    """
    _call("malloc_trim", 0)


def keep_free_memory() -> None:
    """Keep some of what a page needed for the next one; elsewhere than in glibc do nothing.

    By itself glibc gives back what is free at the end of a heap from 128 KiB on, and at once what
    is larger than that. Of a page that is compiled that are its text, its copies and its tree, page
    after page: some 300 page faults each, which the system fills with zeros.
    """
    _call("mallopt", _M_TRIM_THRESHOLD, _KEPT)
    _call("mallopt", _M_MMAP_THRESHOLD, _LARGE)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Numbers of `malloc.h`."""
_KEPT = 16 * 2**20
"""Bytes at the end of a heap that may be free: what compiling a page of some MB takes."""
_LARGE = 4 * 2**20
"""Bytes of what is no part of a heap, but given back by itself."""


def _call(name: str, *numbers: int) -> None:
    """Call a function of the C library, where it has it: musl has none of these."""
    if sys.platform != "linux":
        return
    import ctypes  # here alone, and not at the start

    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*numbers)
