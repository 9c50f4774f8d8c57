"""Receipts off the event loop: one thread for each worker writes what has gathered meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from consent_rules.receipts.receipt import Receipt
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.place import StorePlace
from proxy.receipts.store import ReceiptStore, open_store

_log = logging.getLogger("consent_proxy.receipts")

_Result = TypeVar("_Result")
_AT_ONCE = 256
"""Receipts of one transaction."""
_LOGGED_EVERY = 60.0


class Recorder:
    """Writes receipts to the store of one configuration, for one process.

    The file is opened by the thread that uses it, when it is first needed: connections to SQLite
    must not be carried over a fork.
    """

    def __init__(self, place: StorePlace) -> None:
        self.place = place
        self._store: ReceiptStore | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: list[tuple[Receipt, bytes, asyncio.Future[int]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._logged_at = 0.0
        self.recorded = 0
        self.refused = 0

    async def record(self, receipt: Receipt, notice: bytes) -> int:
        """Write a receipt, and the notice that its hash names; its index in the log.

        Returns when it is on the disk. Raises ReceiptStoreError where it is not: then the choice
        must not hold.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((receipt, notice, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        # Shielded: that one visitor disconnects must not cancel the transaction of others.
        return await asyncio.shield(written)

    async def call(self, read: Callable[[ReceiptStore], _Result]) -> _Result:
        """What a function makes of the open store, in its thread. Raises ReceiptStoreError."""
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="receipts")
        try:
            return await loop.run_in_executor(self._thread, self._with_store, read)
        except ReceiptStoreError as error:
            self._log_error(error)
            raise

    async def close(self) -> None:
        """Wait for what is being written, and close the file."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown()
            self._thread = None

    async def _write(self) -> None:
        """Write until none is waiting: a transaction's wait for the disk is shared by all that came
        during the last one.
        """
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                receipts = [(receipt, notice) for receipt, notice, _ in batch]
                try:
                    indexes = await self.call(partial(_append, receipts))
                except Exception as error:
                    self.refused += len(batch)
                    if not isinstance(error, ReceiptStoreError):
                        _log.exception("receipts could not be written")
                        error = ReceiptStoreError(f"{self.place.path}: {error}")
                    for _, _, written in batch:
                        written.set_exception(error)
                        written.exception()  # nobody waits for it where the visitor disconnected
                    continue
                self.recorded += len(batch)
                for (_, _, written), index in zip(batch, indexes, strict=True):
                    written.set_result(index)
        finally:
            self._writing = None

    def _with_store(self, read: Callable[[ReceiptStore], _Result]) -> _Result:
        if self._store is not None and not self._store.is_in_place:
            self._close()
        if self._store is None:
            self._store = open_store(self.place.path, self.place.key, self.place.origin)
        try:
            return read(self._store)
        except ReceiptStoreError:
            self._close()  # opened, and checked, anew for the next one
            raise

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _log_error(self, error: ReceiptStoreError) -> None:
        now = time.monotonic()
        if not self._logged_at or now - self._logged_at >= _LOGGED_EVERY:
            self._logged_at = now
            _log.error("receipts cannot be written, so visitors' choices are refused: %s", error)


def _append(receipts: Sequence[tuple[Receipt, bytes]], store: ReceiptStore) -> list[int]:
    return store.append(receipts)
