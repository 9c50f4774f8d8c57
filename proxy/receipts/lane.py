"""A thread with something open in it: a database connection belongs to one thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from proxy.receipts.errors import ReceiptStoreError

_RETRY_SECONDS = 1.0
"""For so long after a failure of a database each call fails at once: visitors wait for none."""


class Closeable(Protocol):
    """What a lane holds open."""

    @property
    def is_in_place(self) -> bool: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


_Held = TypeVar("_Held", bound=Closeable)
_Result = TypeVar("_Result")


class Lane(Generic[_Held]):
    """Calls functions of an open thing, one after the other, in its thread.

    It is opened when it is first needed: connections must not be carried over a fork. After an
    error, or where it is not in place any more, it is opened, and so checked, anew.
    """

    def __init__(self, name: str, open_it: Callable[[], _Held], limit: float | None = None) -> None:
        """With a `limit` in seconds, of a database that may not answer: no call takes longer, and
        none is tried shortly after a failure.
        """
        self._name = name
        self._open = open_it
        self._limit = limit
        self._opened: _Held | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._failure: tuple[float, str] | None = None

    async def run(self, use: Callable[[_Held], _Result]) -> _Result:
        """What a function makes of the open thing. Raises ReceiptStoreError."""
        self._check_failure()
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        call = loop.run_in_executor(self._thread, self._use, use)
        if self._limit is None:
            return await call
        # Nobody may be left to see how it ends: it took too long, or who waited for it was stopped.
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(self._limit):
                return await asyncio.shield(call)
        except TimeoutError:
            message = f"the database took longer than {self._limit:g} s"
            self._failure = (time.monotonic(), message)
            if self._opened is not None:
                self._opened.abort()
            raise ReceiptStoreError(message) from None

    async def close(self) -> None:
        """Wait for what is running, and close the open thing."""
        if self._thread is None:
            return
        if self._limit is not None and self._opened is not None:
            self._opened.abort()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()
        self._thread = None

    def _check_failure(self) -> None:
        if self._limit is None or self._failure is None:
            return
        at, message = self._failure
        if time.monotonic() - at < _RETRY_SECONDS:
            raise ReceiptStoreError(message)

    def _use(self, use: Callable[[_Held], _Result]) -> _Result:
        if self._opened is not None and not self._opened.is_in_place:
            self._close()
        try:
            if self._opened is None:
                self._opened = self._open()
            result = use(self._opened)
        except ReceiptStoreError as error:
            self._failure = (time.monotonic(), str(error))
            self._close()
            raise
        self._failure = None
        return result

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
