"""A log of receipts in a SQLite file.

A receipt, its leaf and the checkpoint over it are written in one transaction, which is on the disk
before it returns. SQLite's write lock makes one writer at a time the sequencer, among all workers
of a node. No thread but the one that opened a store may use it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.receipts.checkpoints import Checkpoint, sign_checkpoint
from consent_rules.receipts.entries import (
    SALT_BYTES,
    ErasureEntry,
    ErasureReason,
    ReceiptEntry,
    commitment,
    entry_bytes,
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
from proxy.receipts.errors import NEW_LOG, ReceiptStoreError, store_error
from proxy.receipts.log_key import make_log_key, read_log_key
from proxy.receipts.schema import check_version, connect, create_tables

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


class ReceiptStore:
    """An open store. Every method raises ReceiptStoreError where the file cannot be used."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, key: Ed25519PrivateKey | None
    ) -> None:
        """Of a file with our tables. Without a key it can be read only."""
        self.path = path
        self._file = _file_number(path)
        self._db = connection
        self._key = key
        with self._errors():
            row = connection.execute("SELECT origin, verifier FROM log").fetchone()
        if row is None:
            raise ReceiptStoreError(f"{path}: damaged, its log has no head; {NEW_LOG}")
        self.origin: str = row[0]
        self.verifier: VerifierKey = read_verifier_key(row[1])
        if key is not None and verifier_key(self.origin, key) != self.verifier:
            raise ReceiptStoreError(
                f"{path}: its log is signed by the key {self.verifier.key_id.hex()}, the key file "
                "has another; put back that key, or "
                f"{NEW_LOG}"
            )

    def close(self) -> None:
        self._db.close()

    @property
    def is_in_place(self) -> bool:
        """Whether the open file is still the one at `path`: what is written to a file that was
        removed is lost.
        """
        return self._file == _file_number(self.path)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
                    self._db.execute("ROLLBACK")
                raise

    # --- Writing

    def append(self, receipts: Sequence[tuple[Receipt, bytes]]) -> list[int]:
        """Write receipts with the notices that their hashes name; their indexes.

        All are written, or none. One whose id is there already is not written again.
        """
        with self._transaction():
            head = self._frontier()
            indexes = []
            for receipt, notice in receipts:
                known = self._db.execute(
                    "SELECT idx FROM receipt WHERE id = ?", (receipt.receipt_id,)
                ).fetchone()
                if known is not None:
                    indexes.append(int(known[0]))
                    continue
                indexes.append(head.size)
                head = self._append_receipt(head, receipt, notice)
            self._set_frontier(head)
        return indexes

    def _append_receipt(self, head: Frontier, receipt: Receipt, notice: bytes) -> Frontier:
        index, content, salt = head.size, receipt.content, secrets.token_bytes(SALT_BYTES)
        if receipt.notice:
            self._db.execute("INSERT OR IGNORE INTO notice VALUES (?, ?)", (receipt.notice, notice))
        self._db.execute(
            "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                index, receipt.receipt_id, receipt.made_at, receipt.site, receipt.notice, salt,
                content,
            ),
        )  # fmt: skip
        return self._append_leaf(head, ReceiptEntry(index, commitment(content, salt)))

    def _append_leaf(self, head: Frontier, entry: ReceiptEntry | ErasureEntry) -> Frontier:
        data = entry_bytes(entry)
        after = head.append(leaf_hash(data))
        leaf = (head.size, data, leaf_hash(data))
        self._db.execute("INSERT INTO leaf VALUES (?, ?, ?)", leaf)
        self._complete_tiles(after.size)
        # Each leaf has a checkpoint: so `verify` names the one that was changed.
        note = sign_checkpoint(Checkpoint(self.origin, after.size, after.root), self._signing_key())
        self._db.execute("INSERT INTO checkpoint VALUES (?, ?)", (after.size, note))
        return after

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._key is None:
            raise ReceiptStoreError(f"{self.path}: opened without the log's key, to be read only")
        return self._key

    def _complete_tiles(self, size: int) -> None:
        """Store the hashes of the subtrees that the last leaf completed."""
        level = 0
        while size and size % TILE_WIDTH == 0:
            size //= TILE_WIDTH
            hashes = self.read_hashes(level, (size - 1) * TILE_WIDTH, TILE_WIDTH)
            level += 1
            node = (level, size - 1, root_of(hashes))
            self._db.execute("INSERT INTO node VALUES (?, ?, ?)", node)

    def erase(self, receipt_id: str, reason: ErasureReason, now: int) -> int | None:
        """Erase a receipt's content; its leaf stays, and another says that it was erased. Its
        index; None where there is no such receipt.
        """
        with self._transaction():
            found = self._db.execute(
                "SELECT idx FROM receipt WHERE id = ?", (receipt_id,)
            ).fetchone()
            if found is None:
                return None
            self._erase([int(found[0])], reason, now)
        self._forget_erased()
        return int(found[0])

    def erase_before(self, made_at: int, now: int) -> int:
        """Erase the oldest receipts made before a time, a transaction full of them; how many."""
        with self._transaction():
            rows = self._db.execute(
                "SELECT idx FROM receipt WHERE made_at < ? ORDER BY made_at LIMIT ?",
                (made_at, _ERASED_AT_ONCE),
            ).fetchall()
            if rows:
                self._erase(sorted(int(row[0]) for row in rows), ErasureReason.RETENTION, now)
        if rows:
            self._forget_erased()
        return len(rows)

    def _erase(self, indexes: Sequence[int], reason: ErasureReason, now: int) -> None:
        self._db.executemany("DELETE FROM receipt WHERE idx = ?", [(index,) for index in indexes])
        head = self._frontier()
        entry = ErasureEntry(head.size, tuple(_ranges(indexes)), reason, now)
        self._set_frontier(self._append_leaf(head, entry))

    def _forget_erased(self) -> None:
        """Take what was erased out of the write-ahead log too."""
        with self._errors():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _frontier(self) -> Frontier:
        row = self._db.execute("SELECT size, peaks FROM log").fetchone()
        size, peaks = (0, b"x") if row is None else row
        found = tuple(peaks[i : i + HASH_BYTES] for i in range(0, len(peaks), HASH_BYTES))
        if len(found) != int(size).bit_count() or len(peaks) % HASH_BYTES:
            raise ReceiptStoreError(
                f"{self.path}: damaged, its tree does not fit its size; {NEW_LOG}"
            )
        return Frontier(size, found)

    def _set_frontier(self, head: Frontier) -> None:
        self._db.execute("UPDATE log SET size = ?, peaks = ?", (head.size, b"".join(head.peaks)))

    # --- Reading

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that is read within is of one moment."""
        with self._errors():
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    @property
    def size(self) -> int:
        """The number of leaves."""
        with self._errors():
            return self._frontier().size

    def read_hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """`merkle.ReadHashes` of this store."""
        statement = (
            "SELECT hash FROM node WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
            if level
            else "SELECT hash FROM leaf WHERE ? = 0 AND idx >= ? AND idx < ? ORDER BY idx"
        )
        with self._errors():
            rows = self._db.execute(statement, (level, first, first + count)).fetchall()
        if len(rows) != count:
            raise ReceiptStoreError(
                f"{self.path}: leaves are missing; `consent-proxy receipts verify` says which"
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
            entries = self.rows(
                "SELECT entry FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx",
                (first, first + tile.width),
            )
            return b"".join(len(data).to_bytes(2) + data for (data,) in entries)

    def checkpoint(self) -> str:
        """The newest checkpoint, a signed note."""
        with self._errors():
            row = self._db.execute(
                "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1"
            ).fetchone()
        if row is not None:
            return str(row[0])
        return sign_checkpoint(Checkpoint(self.origin, 0, Frontier().root), self._signing_key())

    def find(self, receipt_id: str) -> StoredReceipt | None:
        with self._errors():
            row = self._db.execute(
                "SELECT idx, id, salt, content FROM receipt WHERE id = ?", (receipt_id,)
            ).fetchone()
        return None if row is None else StoredReceipt(*row)

    def prove(self, receipt_id: str) -> Proof | None:
        """A receipt with its proof, or None."""
        with self.snapshot():
            stored = self.find(receipt_id)
            if stored is None:
                return None
            note, size = self.checkpoint(), self._frontier().size
            (entry,) = self._db.execute(
                "SELECT entry FROM leaf WHERE idx = ?", (stored.index,)
            ).fetchone()
            path = proof_of(inclusion_ranges(stored.index, size), self.read_hashes)
        return Proof(stored, bytes(entry), tuple(path), note)

    def rows(self, statement: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query."""
        with self._errors():
            yield from self._db.execute(statement, values)

    def notice(self, name: str) -> bytes | None:
        """The notice with this hash."""
        with self._errors():
            row = self._db.execute("SELECT content FROM notice WHERE hash = ?", (name,)).fetchone()
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
                f"{self.path}: its tree is not that of its leaves; `consent-proxy receipts verify` "
                f"says which were changed. Then {NEW_LOG}"
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
        raise _not_made(path, error) from error
    if path.is_dir():
        raise _not_made(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
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
        raise _not_made(path, error) from error
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    try:
        name = f"{origin}/{secrets.token_hex(4)}"
        _make_tables(connection, path, name, str(verifier_key(name, key)))
        store = ReceiptStore(path, connection, key)
        store.check_head()
    except sqlite3.Error as error:
        connection.close()
        raise store_error(path, error) from error
    except BaseException:
        connection.close()
        raise
    return store


def _file_number(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _not_made(path: Path, error: OSError) -> ReceiptStoreError:
    return ReceiptStoreError(
        f"{path}: cannot be made or written ({error.strerror}); create the folder, let the proxy's "
        "user write to it and to the file, or set receipts.store"
    )


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
    return ReceiptStore(path, connection, None)
