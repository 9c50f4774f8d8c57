"""The log of several nodes in PostgreSQL: open it, and enter what their outboxes hold.

Each item of an outbox is entered once. The database records, in the same transaction, which items
the last batch of each outbox had: a node that did not get the reply sends them again, and
they are left out, also where their receipts were erased meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from consent_rules.receipts.canonical import read_canonical
from consent_rules.receipts.checkpoints import Checkpoint, read_checkpoint
from consent_rules.receipts.entries import ErasureReason
from consent_rules.receipts.notes import NoteError, verifier_key
from consent_rules.receipts.receipt import read_receipt
from consent_rules.wording import leaf_count
from proxy.receipts.errors import ReceiptStoreError, not_made
from proxy.receipts.log_key import make_log_key, read_log_key
from proxy.receipts.outbox import ItemKind, OutboxItem
from proxy.receipts.place import StorePlace
from proxy.receipts.postgresql_storage import PostgresqlStorage
from proxy.receipts.storage import Storage
from proxy.receipts.store import LoggedReceipt, ReceiptStore

_ERASURE_WAITS = 90 * 86_400
"""Seconds that an erasure waits for its receipt, which a node that is away may have."""


def open_shared_store(place: StorePlace) -> ReceiptStore:
    """Open the log for writing; begins it, with its key, where there is none. Raises
    ReceiptStoreError.
    """
    storage = PostgresqlStorage(place.url)
    try:
        _begin_log(storage, place)
        store = ReceiptStore(storage, read_log_key(place.key))
        store.check_head()
    except BaseException:
        storage.close()
        raise
    return store


def read_shared_store(place: StorePlace) -> ReceiptStore:
    """Open the log to read it. Raises ReceiptStoreError."""
    storage = PostgresqlStorage(place.url)
    try:
        return _opened(storage)
    except BaseException:
        storage.close()
        raise


def _opened(storage: Storage) -> ReceiptStore:
    if not storage.fetch("SELECT one FROM log"):
        raise ReceiptStoreError(f"{storage.name}: there is no log of receipts yet")
    return ReceiptStore(storage, None)


def _begin_log(storage: Storage, place: StorePlace) -> None:
    found = storage.fetch("SELECT verifier FROM log")
    if not found:
        # In the lock: of nodes that start together, one makes the key.
        with storage.writing():
            found = storage.fetch("SELECT verifier FROM log")
            if not found:
                _insert_log(storage, place)
                return
    if not place.key.exists():
        raise ReceiptStoreError(
            f"{place.key}: the key that signs the log is missing; copy it from a node that has it "
            f"(the log's is {found[0][0]}), or put it back. If it is lost, {storage.way_on}"
        )


def _insert_log(storage: Storage, place: StorePlace) -> None:
    try:
        place.key.parent.mkdir(parents=True, exist_ok=True)
        if not place.key.exists():
            make_log_key(place.key)
    except OSError as error:
        raise not_made(place.key, error, "log_key") from error
    # Random, so that a key that signed another log before contradicts nothing.
    name = f"{place.origin}/{secrets.token_hex(4)}"
    verifier = verifier_key(name, read_log_key(place.key))
    storage.run("INSERT INTO log VALUES (1, ?, ?, 0, ?)", (name, str(verifier), b""))


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a receipt's content is to be erased."""

    receipt_id: str
    reason: ErasureReason
    asked_at: int


@dataclass(frozen=True, slots=True)
class ReadItem:
    """An item of an outbox, read."""

    token: str
    content: LoggedReceipt | Erasure


def read_item(item: OutboxItem) -> ReadItem:
    """Raises ValueError for an item that can never be entered."""
    if item.kind is ItemKind.RECEIPT:
        one = read_receipt(item.content)
        logged = LoggedReceipt(one.receipt_id, one.made_at, one.site, one.notice, item.content)
        return ReadItem(item.token, logged)
    value = read_canonical(item.content)
    try:
        erasure = Erasure(item.receipt_id, ErasureReason(value["reason"]), int(value["time"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an erasure: {error!r}") from error
    return ReadItem(item.token, erasure)


def enter(
    store: ReceiptStore,
    outbox_id: str,
    items: Sequence[ReadItem],
    notices: Sequence[tuple[str, bytes]],
    seen: str,
) -> str:
    """Enter items of an outbox in the log: all, or none. Its newest checkpoint.

    `seen` is the newest checkpoint that the outbox knows, "" for none: a log that does not have it
    is not continued.
    """
    storage = store.storage
    with storage.writing():
        _check_not_rewound(store, seen)
        rows = storage.fetch("SELECT token FROM forwarded WHERE outbox = ?", (outbox_id,))
        done = {token for (token,) in rows}
        new = [item.content for item in items if item.token not in done]
        receipts = [one for one in new if isinstance(one, LoggedReceipt)]
        store.add_notices(notices)
        store.append_within(receipts)
        _erase(store, [one for one in new if isinstance(one, Erasure)], receipts)
        storage.run("DELETE FROM forwarded WHERE outbox = ?", (outbox_id,))
        tokens = dict.fromkeys(item.token for item in items)
        storage.run_many(
            "INSERT INTO forwarded VALUES (?, ?)", [(outbox_id, token) for token in tokens]
        )
        return store.checkpoint()


def missing_notices(store: ReceiptStore, hashes: Sequence[str]) -> list[str]:
    """Those of some notices that the database does not have."""
    if not hashes:
        return []
    marks = ", ".join("?" * len(hashes))
    found = store.storage.fetch(f"SELECT hash FROM notice WHERE hash IN ({marks})", hashes)  # noqa: S608
    return sorted(set(hashes) - {name for (name,) in found})


def _erase(
    store: ReceiptStore, erasures: Sequence[Erasure], receipts: Sequence[LoggedReceipt]
) -> None:
    """Erase what is asked for, and receipts whose erasure came before them, from another node."""
    storage = store.storage
    ids = [one.receipt_id for one in receipts]
    asked = list(erasures)
    if ids:
        marks = ", ".join("?" * len(ids))
        waiting = storage.fetch(
            f"SELECT id, reason, asked_at FROM erasure WHERE id IN ({marks})",  # noqa: S608
            ids,
        )
        storage.run_many("DELETE FROM erasure WHERE id = ?", [(row[0],) for row in waiting])
        asked += [Erasure(row[0], ErasureReason(row[1]), row[2]) for row in waiting]
    asked.sort(key=lambda one: one.reason)
    for reason, group in groupby(asked, key=lambda one: one.reason):
        times = {one.receipt_id: one.asked_at for one in group}
        newest = max(times.values())
        found = store.erase_within(list(times), reason, newest)
        later = [(one, reason, time) for one, time in times.items() if one not in found]
        if later:
            storage.run_many("INSERT INTO erasure VALUES (?, ?, ?) ON CONFLICT DO NOTHING", later)
            storage.run("DELETE FROM erasure WHERE asked_at < ?", (newest - _ERASURE_WAITS,))


def _check_not_rewound(store: ReceiptStore, seen: str) -> None:
    """Raise ReceiptStoreError where the log has lost what this node has seen signed.

    To go on from an older copy would sign two different trees of one size, and so break the proof
    of all receipts.
    """
    known = _read(seen)
    if known is None or known.origin != store.origin:
        return  # the first batch, or the first one of a new log
    row = store.storage.fetch("SELECT note FROM checkpoint WHERE size = ?", (known.size,))
    found = _read(str(row[0][0])) if row else None
    if found is None or found.root != known.root:
        raise ReceiptStoreError(
            f"{store.name}: its log has {leaf_count(store.size)}, and this node has seen another "
            f"one signed, of {known.size}: an older copy was put back, or a failover lost what was "
            "committed. Put the newest copy back. If there is none, "
            f"{store.storage.way_on}"
        )


def _read(note: str) -> Checkpoint | None:
    try:
        return read_checkpoint(note)
    except NoteError:
        return None
