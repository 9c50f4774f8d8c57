"""Receipts off the event loop: one thread for each worker writes what has gathered meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from consent_rules.receipts.entries import ErasureReason
from consent_rules.receipts.receipt import Receipt
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.forwarder import Forwarder
from proxy.receipts.lane import Lane
from proxy.receipts.outbox import Outbox, open_outbox
from proxy.receipts.place import StorePlace
from proxy.receipts.shared_store import open_shared_store, read_shared_store
from proxy.receipts.store import ReceiptStore, open_store

_log = logging.getLogger("consent_proxy.receipts")

_Result = TypeVar("_Result")
_AT_ONCE = 256
"""Receipts of one transaction."""
_LOGGED_EVERY = 60.0
_READ_SECONDS = 3.0
"""How long a visitor waits for a database that does not answer."""
_FORWARD_SECONDS = 60.0
"""How long a batch may take until the connection is given up."""
_LAST_SECONDS = 5.0
"""How long a worker that ends forwards what is left."""


class Recorder:
    """Writes receipts to the store of one configuration, for one process.

    With a database they are written to the outbox of the node; `forward` brings them from there to
    the database, and what reads the log asks the database.
    """

    def __init__(self, place: StorePlace) -> None:
        self.place = place
        self._logged_at: dict[str, float] = {}
        self._waiting: list[tuple[Receipt, bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._outbox: Lane[Outbox] | None = None
        self._forwarder: Lane[Forwarder] | None = None
        if place.url:
            self._outbox = Lane("outbox", partial(open_outbox, place.path))
            self._forwarder = Lane("forwarder", partial(Forwarder, place), _FORWARD_SECONDS)
            self._store = Lane("receipts", partial(_shared_store, place), _READ_SECONDS)
        else:
            self._store = Lane("receipts", partial(open_store, place.path, place.key, place.origin))
        self.recorded = 0
        self.refused = 0

    async def record(self, receipt: Receipt, notice: bytes) -> None:
        """Write a receipt, and the notice that its hash names.

        Returns when it is on the disk. Raises ReceiptStoreError where it is not: then the choice
        must not hold.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((receipt, notice, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        # Shielded: that one visitor disconnects must not cancel the transaction of others.
        await asyncio.shield(written)

    async def call(self, read: Callable[[ReceiptStore], _Result]) -> _Result:
        """What a function makes of the open store, in its thread. Raises ReceiptStoreError."""
        try:
            return await self._store.run(read)
        except ReceiptStoreError as error:
            self._log_error(
                _READING if self.place.url else _WRITING,
                error,
            )
            raise

    async def is_on_its_way(self, receipt_id: str) -> bool | None:
        """Whether a receipt is in the outbox still; False where its erasure is, None where neither
        is. Raises ReceiptStoreError.
        """
        if self._outbox is None:
            return None
        return await self._outbox.run(lambda outbox: outbox.holds(receipt_id))

    async def outbox_items(self) -> int | None:
        """The number of receipts and erasures that the database does not have yet; None without a
        database. Raises ReceiptStoreError.
        """
        if self._outbox is None:
            return None
        return await self._outbox.run(lambda outbox: outbox.count())

    async def holds(self, receipt_id: str) -> bool:
        """Whether a receipt is stored, and not erased. Raises ReceiptStoreError."""
        on_its_way = await self.is_on_its_way(receipt_id)
        if on_its_way is not None:
            return on_its_way
        return await self.call(lambda store: store.find(receipt_id)) is not None

    async def erase(self, receipt_id: str, reason: ErasureReason, now: int) -> None:
        """Erase a receipt: at once in a file, with the next batch in a database. Raises
        ReceiptStoreError where that is not certain.
        """
        if self._outbox is None:
            await self.call(lambda store: store.erase(receipt_id, reason, now))
        else:
            await self._outbox.run(lambda outbox: outbox.erase(receipt_id, reason, now))

    async def erase_before(self, made_at: int, now: int) -> int:
        """As `ReceiptStore.erase_before`."""
        if self._forwarder is None:
            return await self.call(lambda store: store.erase_before(made_at, now))
        return await self._forwarder.run(lambda one: one.erase_before(made_at, now))

    async def forward(self) -> int:
        """Forward a batch of the outbox to the database; the number of items in it. Raises
        ReceiptStoreError: then they are in the outbox still.
        """
        if self._forwarder is None:
            return 0
        try:
            return await self._forwarder.run(Forwarder.forward)
        except ReceiptStoreError as error:
            self._log_error(_FORWARDING, error)
            raise

    async def close(self) -> None:
        """Wait for what is being written, forward what can be forwarded, and close the files."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                while await self.forward():
                    pass
        except (ReceiptStoreError, TimeoutError):
            pass  # they are in the outbox still
        except Exception:
            _log.exception("receipts stay in the outbox")
        for lane in (self._outbox, self._forwarder, self._store):
            if lane is not None:
                await lane.close()

    async def _write(self) -> None:
        """Write until none is waiting: a transaction's wait for the disk is shared by all that came
        during the last one.
        """
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                receipts = [(receipt, notice) for receipt, notice, _ in batch]
                try:
                    await self._append(receipts)
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
                for _, _, written in batch:
                    written.set_result(None)
        finally:
            self._writing = None

    async def _append(self, receipts: Sequence[tuple[Receipt, bytes]]) -> None:
        try:
            if self._outbox is None:
                await self._store.run(lambda store: store.append(receipts))
            else:
                await self._outbox.run(lambda outbox: outbox.append(receipts))
        except ReceiptStoreError as error:
            self._log_error(_WRITING, error)
            raise

    def _log_error(self, what: str, error: ReceiptStoreError) -> None:
        """Once a minute for each kind."""
        now, last = time.monotonic(), self._logged_at.get(what)
        if last is None or now - last >= _LOGGED_EVERY:
            self._logged_at[what] = now
            _log.error("%s: %s", what, error)


_WRITING = "receipts cannot be written, so visitors' choices are refused"
_READING = "receipts cannot be read from the database; choices are recorded all the same"
_FORWARDING = "receipts wait in the outbox, and choices are recorded there"


def _shared_store(place: StorePlace) -> ReceiptStore:
    return open_shared_store(place) if place.key.exists() else read_shared_store(place)
