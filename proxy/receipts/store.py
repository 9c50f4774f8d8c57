"""A log of receipts in a database.

A receipt, its leaf and the checkpoint over it are written in one transaction, which is on the disk
before it returns. One writer at a time is the sequencer. No thread but the one that opened a store
may use it.
"""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.receipts.audit import CLOCK_SKEW_SECONDS
from consent_rules.receipts.checkpoints import Checkpoint, sign_checkpoint
from consent_rules.receipts.entries import (
    SALT_BYTES,
    Entry,
    EntryError,
    ErasureEntry,
    ErasureReason,
    ReceiptEntry,
    commitment,
    entry_bytes,
    read_entry,
)
from consent_rules.receipts.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    Frontier,
    frontier_ranges,
    inclusion_ranges,
    leaf_hash,
    proof_of,
    range_hash,
    root_of,
)
from consent_rules.receipts.notes import VerifierKey, read_verifier_key, verifier_key
from consent_rules.receipts.receipt import Receipt
from consent_rules.receipts.tiles import Tile
from proxy.receipts.errors import ReceiptStoreError, not_made, store_error
from proxy.receipts.log_key import make_log_key, read_log_key
from proxy.receipts.schema import check_version, connect, create_tables
from proxy.receipts.sqlite_storage import SqliteStorage
from proxy.receipts.storage import Row, Storage

_ERASED_AT_ONCE = 1000
"""Receipts that one entry of the log and one transaction erase: choices wait for no more."""


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A receipt's content in the log."""

    index: int
    receipt_id: str
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """That a receipt stands in the log: its entry, and the proof that leads to a checkpoint."""

    stored: StoredReceipt
    entry: bytes
    path: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class LoggedReceipt:
    """A receipt's content, and what is copied from it into columns, for searches."""

    receipt_id: str
    made_at: int
    site: str
    notice: str
    content: bytes


class ReceiptStore:
    """An open store. Every method raises ReceiptStoreError where the database cannot be used."""

    def __init__(self, storage: Storage, key: Ed25519PrivateKey | None) -> None:
        """Of a database with our tables and a log. Without a key it can be read only."""
        self.storage = storage
        self.name = storage.name
        self._key = key
        row = self._one("SELECT origin, verifier FROM log")
        if row is None:
            raise ReceiptStoreError(
                f"{self.name}: damaged, its log has no head; {self.storage.way_on}"
            )
        self.origin: str = row[0]
        self.verifier: VerifierKey = read_verifier_key(row[1])
        if key is not None and verifier_key(self.origin, key) != self.verifier:
            raise ReceiptStoreError(
                f"{self.name}: its log is signed by the key {self.verifier.key_id.hex()}, the key "
                "file has another; put back that key, or "
                f"{self.storage.way_on}"
            )

    def close(self) -> None:
        self.storage.close()

    def abort(self) -> None:
        """As `Storage.abort`."""
        self.storage.abort()

    @property
    def is_in_place(self) -> bool:
        """As `Storage.is_in_place`."""
        return self.storage.is_in_place

    def _damaged(self, what: str) -> ReceiptStoreError:
        return ReceiptStoreError(f"{self.name}: damaged, {what}; {self.storage.way_on}")

    def _one(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        """The first row of a query."""
        return next(iter(self.storage.fetch(statement, values)), None)

    # --- Writing

    def append(self, receipts: Sequence[tuple[Receipt, bytes]]) -> None:
        """Write receipts with the notices that their hashes name.

        All are written, or none. One whose id is there already is not written again.
        """
        with self.storage.writing():
            self.append_within(
                [
                    LoggedReceipt(one.receipt_id, one.made_at, one.site, one.notice, one.content)
                    for one, _ in receipts
                ]
            )
            notices = {one.notice: (one.notice, notice) for one, notice in receipts if one.notice}
            self.add_notices(list(notices.values()))

    def add_notices(self, notices: Sequence[tuple[str, bytes]]) -> None:
        """Write notices by their hashes, within a transaction of the caller's."""
        if notices:
            self.storage.run_many(
                "INSERT INTO notice VALUES (?, ?) ON CONFLICT DO NOTHING", notices
            )

    def append_within(self, receipts: Sequence[LoggedReceipt]) -> None:
        """Append to the log, within a transaction of the caller's, whose notices it writes."""
        by_id = {one.receipt_id: one for one in receipts}
        for (known,) in self._rows_of(list(by_id), "SELECT id FROM receipt WHERE id IN"):
            del by_id[known]
        head = self._frontier()
        entered = self._entry_time()
        rows: list[Sequence[object]] = []
        entries: list[Entry] = []
        for index, one in enumerate(by_id.values(), head.size):
            salt = secrets.token_bytes(SALT_BYTES)
            entries.append(ReceiptEntry(index, commitment(one.content, salt), entered))
            rows.append(
                (
                    index, one.receipt_id, one.made_at, one.site, one.notice, salt, one.content
                )
            )  # fmt: skip
        if rows:
            self.storage.run_many("INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._append_leaves(head, entries)

    def _rows_of(self, ids: Sequence[str], statement: str) -> list[Row]:
        """The rows of a query of several ids."""
        if not ids:
            return []
        marks = ", ".join("?" * len(ids))
        return self.storage.fetch(f"{statement} ({marks})", ids)

    def _entry_time(self) -> int | None:
        """When the next entries are made: not before the last one, unless the clock was set."""
        now = self.storage.entry_time()
        last = self._one("SELECT entry FROM leaf ORDER BY idx DESC LIMIT 1")
        if now is None or last is None:
            return now
        try:
            entry = read_entry(bytes(last[0]))
        except EntryError as error:
            raise ReceiptStoreError(
                f"{self.name}: damaged, {error}; {self.storage.way_on}"
            ) from error
        before = entry.entered if isinstance(entry, ReceiptEntry) else entry.made_at
        return now if before is None or before > now + CLOCK_SKEW_SECONDS else max(now, before)

    def _append_leaves(self, head: Frontier, entries: Sequence[Entry]) -> None:
        leaves: list[Sequence[object]] = []
        notes: list[Sequence[object]] = []
        for entry in entries:
            data = entry_bytes(entry)
            leaves.append((head.size, data, leaf_hash(data)))
            head = head.append(leaf_hash(data))
            # Each leaf has a checkpoint: so `verify` names the one that was changed.
            checkpoint = Checkpoint(self.origin, head.size, head.root)
            notes.append((head.size, sign_checkpoint(checkpoint, self._signing_key())))
            if head.size % TILE_WIDTH == 0:
                self.storage.run_many("INSERT INTO leaf VALUES (?, ?, ?)", leaves)
                leaves.clear()
                self._complete_tiles(head.size)
        if leaves:
            self.storage.run_many("INSERT INTO leaf VALUES (?, ?, ?)", leaves)
        self.storage.run_many("INSERT INTO checkpoint VALUES (?, ?)", notes)
        self.storage.run("UPDATE log SET size = ?, peaks = ?", (head.size, b"".join(head.peaks)))

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._key is None:
            raise ReceiptStoreError(f"{self.name}: opened without the log's key, to be read only")
        return self._key

    def _complete_tiles(self, size: int) -> None:
        """Store the hashes of the subtrees that the last leaf completed."""
        level = 0
        while size and size % TILE_WIDTH == 0:
            size //= TILE_WIDTH
            hashes = self.read_hashes(level, (size - 1) * TILE_WIDTH, TILE_WIDTH)
            level += 1
            node = (level, size - 1, root_of(hashes))
            self.storage.run("INSERT INTO node VALUES (?, ?, ?)", node)

    def erase(self, receipt_id: str, reason: ErasureReason, now: int) -> int | None:
        """Erase a receipt's content; its leaf stays, and another says that it was erased. Its
        index; None where there is no such receipt.
        """
        with self.storage.writing():
            found = self.erase_within([receipt_id], reason, now)
        if found:
            self.storage.forget_erased()
        return found.get(receipt_id)

    def erase_within(self, ids: Sequence[str], reason: ErasureReason, now: int) -> dict[str, int]:
        """As `erase`, within a transaction of the caller's: the index of each that was there."""
        rows = self._rows_of(ids, "SELECT id, idx FROM receipt WHERE id IN")
        if rows:
            self._erase(sorted(int(index) for _, index in rows), reason, now)
        return {str(receipt_id): int(index) for receipt_id, index in rows}

    def erase_before(self, made_at: int, now: int) -> int:
        """Erase the oldest receipts made before a time, a transaction full of them; how many."""
        with self.storage.writing():
            rows = self.storage.fetch(
                "SELECT idx FROM receipt WHERE made_at < ? ORDER BY made_at LIMIT ?",
                (made_at, _ERASED_AT_ONCE),
            )
            if rows:
                self._erase(sorted(int(row[0]) for row in rows), ErasureReason.RETENTION, now)
        if rows:
            self.storage.forget_erased()
        return len(rows)

    def _erase(self, indexes: Sequence[int], reason: ErasureReason, now: int) -> None:
        self.storage.run_many("DELETE FROM receipt WHERE idx = ?", [(one,) for one in indexes])
        head, entered = self._frontier(), self._entry_time()
        ranges = tuple(_ranges(indexes))
        entry = ErasureEntry(head.size, ranges, reason, now if entered is None else entered)
        self._append_leaves(head, [entry])

    def _frontier(self) -> Frontier:
        row = self._one("SELECT size, peaks FROM log")
        size, peaks = (0, b"x") if row is None else row
        found = tuple(peaks[i : i + HASH_BYTES] for i in range(0, len(peaks), HASH_BYTES))
        if len(found) != int(size).bit_count() or len(peaks) % HASH_BYTES:
            raise self._damaged("its tree does not fit its size")
        return Frontier(size, found)

    # --- Reading

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything that is read within is of one moment."""
        return self.storage.snapshot()

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._frontier().size

    def read_hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """`merkle.ReadHashes` of this store."""
        statement = (
            "SELECT hash FROM node WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
            if level
            else "SELECT hash FROM leaf WHERE ? = 0 AND idx >= ? AND idx < ? ORDER BY idx"
        )
        rows = self.storage.fetch(statement, (level, first, first + count))
        if len(rows) != count:
            raise ReceiptStoreError(
                f"{self.name}: leaves are missing; `consent-proxy receipts verify` says which"
            )
        return [bytes(row[0]) for row in rows]

    def tile(self, tile: Tile) -> bytes | None:
        """The bytes of a tile or a bundle of entries; None where the log is not that long."""
        with self.snapshot():
            level, first = tile.level or 0, tile.index * TILE_WIDTH
            if first + tile.width > self._frontier().size >> 8 * level:
                return None
            if tile.level is not None:
                return b"".join(self.read_hashes(level, first, tile.width))
            entries = self.storage.fetch(
                "SELECT entry FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx",
                (first, first + tile.width),
            )
            return b"".join(len(data).to_bytes(2) + data for (data,) in entries)

    def checkpoint(self) -> str:
        """The newest checkpoint, a signed note."""
        row = self._one("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
        if row is not None:
            return str(row[0])
        return sign_checkpoint(Checkpoint(self.origin, 0, Frontier().root), self._signing_key())

    def find(self, receipt_id: str) -> StoredReceipt | None:
        row = self._one("SELECT idx, id, salt, content FROM receipt WHERE id = ?", (receipt_id,))
        return None if row is None else StoredReceipt(*row)

    def prove(self, receipt_id: str) -> Proof | None:
        """A receipt with its proof, or None."""
        with self.snapshot():
            stored = self.find(receipt_id)
            if stored is None:
                return None
            note, size = self.checkpoint(), self._frontier().size
            ((entry,),) = self.storage.fetch(
                "SELECT entry FROM leaf WHERE idx = ?", (stored.index,)
            )
            path = proof_of(inclusion_ranges(stored.index, size), self.read_hashes)
        return Proof(stored, bytes(entry), tuple(path), note)

    def rows(self, statement: str, values: Sequence[object]) -> Iterator[Row]:
        """The rows of a query."""
        return self.storage.stream(statement, values)

    def notice(self, name: str) -> bytes | None:
        """The notice with this hash."""
        row = self._one("SELECT content FROM notice WHERE hash = ?", (name,))
        return None if row is None else bytes(row[0])

    def check_head(self) -> None:
        """Whether the tree's right edge is that of its leaves: cheap, and done before it is written
        to. Raises ReceiptStoreError.
        """
        with self.snapshot():
            head = self._frontier()
            peaks = [range_hash(*peak, self.read_hashes) for peak in frontier_ranges(head.size)]
        if peaks != list(head.peaks):
            raise ReceiptStoreError(
                f"{self.name}: its tree is not that of its leaves; `consent-proxy receipts verify` "
                f"says which were changed. Then {self.storage.way_on}"
            )


def _ranges(indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Sorted numbers as ranges without their ends."""
    first = end = -1
    for index in indexes:
        if index != end:
            if end >= 0:
                yield first, end
            first = index
        end = index + 1
    if end >= 0:
        yield first, end


def open_store(path: Path, key_path: Path, origin: str) -> ReceiptStore:
    """Open a store for writing; makes the log and its key where there is neither.

    `origin` is the first part of a new log's name. The rest is random: should its file be lost
    while the key is not, the next log is another one, and contradicts nothing that was signed.
    Raises ReceiptStoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        key_path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and not key_path.exists():
            make_log_key(key_path)
    except OSError as error:
        raise not_made(path, error) from error
    if path.is_dir():
        raise not_made(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not key_path.exists():
        raise ReceiptStoreError(
            f"{key_path}: the key that signs the log is missing; put it back. If it is lost, "
            f"move {path} away and a new log begins; store it: what it proved stays proven"
        )
    key = read_log_key(key_path)
    try:
        # For the proxy's user alone; the files of the write-ahead log take the same mode.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        connection = connect(path)
    except OSError as error:
        raise not_made(path, error) from error
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    try:
        name = f"{origin}/{secrets.token_hex(4)}"
        _make_tables(connection, path, name, str(verifier_key(name, key)))
        store = ReceiptStore(SqliteStorage(path, connection), key)
        store.check_head()
    except sqlite3.Error as error:
        connection.close()
        raise store_error(path, error) from error
    except BaseException:
        connection.close()
        raise
    return store


def _make_tables(connection: sqlite3.Connection, path: Path, origin: str, verifier: str) -> None:
    if check_version(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not check_version(connection, path):  # another worker may have been first
            create_tables(connection, origin, verifier)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def read_store(path: Path) -> ReceiptStore:
    """Open a store to read it. Raises ReceiptStoreError."""
    if not path.exists():
        raise ReceiptStoreError(f"{path}: there is no store of receipts yet; none was written")
    try:
        connection = connect(path, read_only=True)
        try:
            return _opened(path, connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def _opened(path: Path, connection: sqlite3.Connection) -> ReceiptStore:
    if not check_version(connection, path):
        raise ReceiptStoreError(f"{path}: the store is empty; no receipt was written")
    return ReceiptStore(SqliteStorage(path, connection), None)
