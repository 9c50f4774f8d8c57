"""The outbox of a node: receipts on their way to the database, in a SQLite file.

A receipt is on the disk of its node before the visitor's reply, and is removed once the database
has it. So a database that is down, slow or full loses nothing, and delays no visitor.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from consent_rules.receipts.canonical import canonical
from consent_rules.receipts.entries import ErasureReason
from consent_rules.receipts.receipt import Receipt
from proxy.receipts.errors import ReceiptStoreError, not_made, store_error
from proxy.receipts.schema import check_file, connect
from proxy.receipts.sqlite_storage import file_number

_log = logging.getLogger("consent_proxy.receipts")

VERSION = 1
_APPLICATION_ID = 0x636E736F
"""`cnso`: tells our files from other programs' (PRAGMA application_id)."""
_MAX_CHECKED_BYTES = 64 * 2**20
"""Size up to which a file is checked whole when it is opened: 0.1 s."""

_TABLES = (
    # One row. `note` is the newest checkpoint of the log that this node has seen.
    """CREATE TABLE outbox (
        one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, note TEXT NOT NULL)""",
    # In the order of the choices. `digest` is that of the row, so that half a row shows.
    """CREATE TABLE item (
        number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
        content BLOB NOT NULL, digest BLOB NOT NULL)""",
    "CREATE INDEX item_id ON item (id)",
    "CREATE TABLE notice (hash TEXT PRIMARY KEY, content BLOB NOT NULL)",
    # Rows that cannot be read: the operator's to look at.
    """CREATE TABLE damaged (
        number INTEGER PRIMARY KEY, kind, id, content, digest, reason TEXT NOT NULL)""",
)

NEW_OUTBOX = "move it away, and a new one begins; store it: it may hold receipts"


class ItemKind(StrEnum):
    RECEIPT = "receipt"
    ERASURE = "erasure"


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A receipt or an erasure on its way. `content` is the receipt, or the erasure's reason and
    time as canonical JSON.
    """

    number: int
    kind: ItemKind
    receipt_id: str
    content: bytes

    @property
    def token(self) -> str:
        """Names the item in the database, and says nothing of the receipt."""
        return sha256(f"{self.kind} {self.receipt_id}".encode()).hexdigest()


def _digest(kind: str, receipt_id: str, content: bytes) -> bytes:
    return sha256(f"{kind}\0{receipt_id}\0".encode() + content).digest()


def damage_mark(path: Path) -> Path:
    """The file that says that an outbox is damaged: all workers of the node see it."""
    return path.with_name(f"{path.name}.damaged")


class Outbox:
    """An open outbox, for one thread. Every method raises ReceiptStoreError where the file cannot
    be used.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Of a file with our tables."""
        self.path = path
        self._db = connection
        self._file = file_number(path)
        with self._errors():
            row = connection.execute("SELECT id FROM outbox").fetchone()
        if row is None:
            raise ReceiptStoreError(f"{path}: damaged, its head is missing; {NEW_OUTBOX}")
        self.outbox_id: str = row[0]

    def close(self) -> None:
        self._db.close()

    def abort(self) -> None:
        """End what another thread waits for."""
        self._db.interrupt()

    @property
    def is_in_place(self) -> bool:
        """Whether the open file is still the one at `path`, and no worker has found it damaged."""
        return self._file == file_number(self.path) and not damage_mark(self.path).exists()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _noted(self.path, error) from error

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

    # --- What the workers write

    def append(self, receipts: Sequence[tuple[Receipt, bytes]]) -> None:
        """Write receipts with the notices that their hashes name: all, or none."""
        with self._transaction():
            for receipt, notice in receipts:
                if receipt.notice:
                    self._db.execute(
                        "INSERT OR IGNORE INTO notice VALUES (?, ?)", (receipt.notice, notice)
                    )
                self._add(ItemKind.RECEIPT, receipt.receipt_id, receipt.content)

    def erase(self, receipt_id: str, reason: ErasureReason, now: int) -> None:
        """Ask for the erasure of a receipt, wherever it is."""
        content = canonical({"reason": reason, "time": now})
        with self._transaction():
            self._add(ItemKind.ERASURE, receipt_id, content)

    def _add(self, kind: ItemKind, receipt_id: str, content: bytes) -> None:
        self._db.execute(
            "INSERT INTO item (kind, id, content, digest) VALUES (?, ?, ?, ?)",
            (kind, receipt_id, content, _digest(kind, receipt_id, content)),
        )

    def holds(self, receipt_id: str) -> bool | None:
        """Whether a receipt is on its way; False where its erasure is, None where it is neither."""
        with self._errors():
            row = self._db.execute(
                "SELECT kind FROM item WHERE id = ? ORDER BY number DESC LIMIT 1", (receipt_id,)
            ).fetchone()
        return None if row is None else row[0] == ItemKind.RECEIPT

    # --- What the forwarder reads

    def count(self) -> int:
        """The number of items on their way."""
        with self._errors():
            return int(self._db.execute("SELECT count(*) FROM item").fetchone()[0])

    def pending(self, limit: int) -> list[OutboxItem]:
        """The oldest items. Those that cannot be read are set aside, in the table `damaged`, and
        logged: they must not hold up the others.
        """
        with self._errors():
            rows = self._db.execute(
                "SELECT number, kind, id, content, digest FROM item ORDER BY number LIMIT ?",
                (limit,),
            ).fetchall()
        items = []
        for number, kind, receipt_id, content, digest in rows:
            try:
                items.append(_read_item(number, kind, receipt_id, content, digest))
            except ValueError as error:
                self.set_aside(number, str(error))
        return items

    def set_aside(self, number: int, reason: str) -> None:
        """Move a row to the table `damaged`."""
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO damaged "
                "SELECT number, kind, id, content, digest, ? FROM item WHERE number = ?",
                (reason, number),
            )
            self._db.execute("DELETE FROM item WHERE number = ?", (number,))
        _log.error(
            "%s: row %d is damaged (%s), so its receipt is not forwarded; it is in the table "
            "`damaged`, the others go on",
            self.path, number, reason,
        )  # fmt: skip

    def notices(self, hashes: Sequence[str]) -> list[tuple[str, bytes]]:
        """Notices by their hashes."""
        with self._errors():
            marks = ", ".join("?" * len(hashes))
            rows = self._db.execute(
                f"SELECT hash, content FROM notice WHERE hash IN ({marks})",  # noqa: S608
                hashes,
            ).fetchall()
        return [(str(name), bytes(content)) for name, content in rows]

    @property
    def seen(self) -> str:
        """The newest checkpoint that this node has seen; "" for none."""
        with self._errors():
            return str(self._db.execute("SELECT note FROM outbox").fetchone()[0])

    def remove(self, items: Sequence[OutboxItem], note: str) -> None:
        """Remove what the database has. `note` is the log's newest checkpoint."""
        with self._transaction():
            self._db.executemany("DELETE FROM item WHERE number = ?", [(i.number,) for i in items])
            self._db.execute("UPDATE outbox SET note = ?", (note,))

    def forget_removed(self) -> None:
        """Take what was removed out of the write-ahead log too."""
        with self._errors():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _read_item(
    number: int, kind: object, receipt_id: object, content: object, digest: object
) -> OutboxItem:
    """Raises ValueError."""
    if not isinstance(receipt_id, str) or not isinstance(content, bytes):
        raise ValueError("half a row")  # noqa: TRY004 - of a row all faults are one
    item = OutboxItem(number, ItemKind(str(kind)), receipt_id, content)
    if _digest(item.kind, receipt_id, content) != digest:
        raise ValueError("not what was written")
    return item


def _noted(path: Path, error: sqlite3.Error) -> ReceiptStoreError:
    """The error for a failure of SQLite. A damaged file is marked, so that no worker goes on to
    write what may never be read again.
    """
    found = store_error(path, error, NEW_OUTBOX)
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        _mark_damaged(path, found)
    return found


def _mark_damaged(path: Path, error: ReceiptStoreError) -> None:
    with contextlib.suppress(OSError):
        damage_mark(path).write_text(f"{error}\n", encoding="utf-8")


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > _MAX_CHECKED_BYTES:
        return
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        what = " ".join(str(found).split())
        error = ReceiptStoreError(f"{path}: the file is damaged ({what}); {NEW_OUTBOX}")
        _mark_damaged(path, error)
        raise error


def open_outbox(path: Path) -> Outbox:
    """Open the outbox of a node; makes one where there is none. Raises ReceiptStoreError."""
    mark = damage_mark(path)
    if path.exists() and mark.exists():
        raise ReceiptStoreError(mark.read_text(encoding="utf-8").strip())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            mark.unlink(missing_ok=True)  # the damaged one was moved away
        # For the proxy's user alone; the files of the write-ahead log take the same mode.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise not_made(path, error, "outbox") from error
    connection = None
    try:
        connection = connect(path)
        _make_tables(connection, path)
        _check_pages(connection, path)
        return Outbox(path, connection)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise _noted(path, error) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    if check_file(connection, path, _APPLICATION_ID, VERSION):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another worker may have been first.
        if not check_file(connection, path, _APPLICATION_ID, VERSION):
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO outbox VALUES (1, ?, '')", (secrets.token_hex(16),))
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
