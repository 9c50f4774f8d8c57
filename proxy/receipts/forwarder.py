"""Forward what a node's outbox holds to the database."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from proxy.receipts.errors import not_made
from proxy.receipts.outbox import Outbox, OutboxItem, open_outbox
from proxy.receipts.place import StorePlace
from proxy.receipts.shared_store import (
    ReadItem,
    enter,
    missing_notices,
    open_shared_store,
    read_item,
)
from proxy.receipts.store import LoggedReceipt, ReceiptStore

_log = logging.getLogger("consent_proxy.receipts")

BATCH = 250
"""Items of one transaction of the database."""


class Forwarder:
    """Of one outbox, for one thread. Every method raises ReceiptStoreError."""

    def __init__(self, place: StorePlace) -> None:
        self._place = place
        self._outbox: Outbox | None = None
        self._store: ReceiptStore | None = None
        self._emptied = True

    def forward(self) -> int:
        """Forward one batch; the number of items in it. None are forwarded while another process
        of the node does.
        """
        if self._outbox is not None and not self._outbox.is_in_place:
            self._close_outbox()
        if self._outbox is None:
            self._outbox = open_outbox(self._place.path)
        with _only_one(self._place.path) as alone:
            items = self._outbox.pending(BATCH) if alone else []
            if not items:
                self._forget_removed(self._outbox)
                return 0
            note = self._enter(self._outbox, _read(self._outbox, items))
            self._outbox.remove(items, note)
        self._emptied = False
        return len(items)

    def erase_before(self, made_at: int, now: int) -> int:
        """As `ReceiptStore.erase_before`."""
        return self._opened_store().erase_before(made_at, now)

    def count(self) -> int:
        """The number of items on their way."""
        return 0 if self._outbox is None else self._outbox.count()

    def _opened_store(self) -> ReceiptStore:
        if self._store is None or not self._store.is_in_place:
            self._close_store()
            self._store = open_shared_store(self._place)
        return self._store

    def _enter(self, outbox: Outbox, items: list[ReadItem]) -> str:
        store = self._opened_store()
        receipts = [one.content for one in items if isinstance(one.content, LoggedReceipt)]
        missing = missing_notices(store, sorted({one.notice for one in receipts} - {""}))
        notices = []
        for name, content in outbox.notices(missing) if missing else ():
            if sha256(content).hexdigest() == name:
                notices.append((name, content))
            else:
                _log.error("%s: the notice %s is damaged, and not forwarded", outbox.path, name)
        return enter(store, outbox.outbox_id, items, notices, outbox.seen)

    def _forget_removed(self, outbox: Outbox) -> None:
        if not self._emptied:
            outbox.forget_removed()
            self._emptied = True

    @property
    def is_in_place(self) -> bool:
        return True  # each of the two is looked at before it is used

    def abort(self) -> None:
        """End what the thread waits for in the database; called by another thread."""
        store = self._store
        if store is not None:
            store.storage.abort()

    def close(self) -> None:
        self._close_outbox()
        self._close_store()

    def _close_outbox(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def _read(outbox: Outbox, items: list[OutboxItem]) -> list[ReadItem]:
    """The items that can be entered; the others must not hold them up, and are set aside."""
    read = []
    for item in items:
        try:
            read.append(read_item(item))
        except ValueError as error:
            outbox.set_aside(item.number, str(error))
    return read


@contextlib.contextmanager
def _only_one(outbox: Path) -> Iterator[bool]:
    """Whether no other process of the node forwards; holds a lock meanwhile, which ends with the
    process.
    """
    path = outbox.with_name(f"{outbox.name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise not_made(path, error, "outbox") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
