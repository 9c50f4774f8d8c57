"""When large pages are compiled: one piece of work in each turn of the event loop.

To compile 64 KB takes milliseconds. Of fifty visitors whose pages have all arrived, each would take
them in one turn, and whoever asks for a small file would wait for all of them, several times over:
for the connection, for the request, for the upstream's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

SMALL_BYTES = 32 * 1024
"""Bytes. What is smaller waits for no turn."""


class Turns:
    """The turns of one event loop, given in the order in which they are asked for."""

    __slots__ = ("_on_loop", "_thread")

    def __init__(self) -> None:
        self._on_loop = asyncio.Lock()
        self._thread = asyncio.Lock()

    async def on_loop(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do a piece of work in a turn of the loop in which no other is done."""
        await self._on_loop.acquire()
        # In the next turn: in this one the others that are ready find it taken, and wait.
        asyncio.get_running_loop().call_soon(self._on_loop.release)
        return work(*args, **kwargs)

    async def in_thread(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do a longer piece of work in a thread, while no other is done in one: threads take turns
        at the interpreter, and with each more of them the loop gets less of it.
        """
        async with self._thread:
            return await asyncio.to_thread(work, *args, **kwargs)
