"""The tables of a store, and its version."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from proxy.receipts.errors import ReceiptStoreError

VERSION = 1
_APPLICATION_ID = 0x636E7372
"""`cnsr`: tells our files from other programs' (PRAGMA application_id)."""

_TABLES = (
    # One row: the right edge of the tree. `peaks` are hashes of 32 bytes, one behind the other.
    """CREATE TABLE log (
        one INTEGER PRIMARY KEY CHECK (one = 1), origin TEXT NOT NULL, verifier TEXT NOT NULL,
        size INTEGER NOT NULL, peaks BLOB NOT NULL)""",
    "CREATE TABLE leaf (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, hash BLOB NOT NULL)",
    # What an erasure deletes. The columns beside `content` are copies of it, for searches.
    """CREATE TABLE receipt (
        idx INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, made_at INTEGER NOT NULL,
        site TEXT NOT NULL, notice TEXT NOT NULL, salt BLOB NOT NULL, content BLOB NOT NULL)""",
    "CREATE INDEX receipt_made_at ON receipt (made_at)",
    "CREATE INDEX receipt_notice ON receipt (notice)",
    "CREATE TABLE notice (hash TEXT PRIMARY KEY, content BLOB NOT NULL)",
    # Complete subtrees of 256**level leaves.
    """CREATE TABLE node (
        level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (level, idx))""",
    "CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL)",
)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection for one thread. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=5.0, isolation_level=None)
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # on the disk before COMMIT returns
        connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> bool:
    """As `check_file`, of a store."""
    return check_file(connection, path, _APPLICATION_ID, VERSION)


def check_file(
    connection: sqlite3.Connection, path: Path, application_id: int, newest: int
) -> bool:
    """Whether the file has our tables; False for one that is empty. Raises ReceiptStoreError for
    tables of another program or of a newer version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == application_id:
        if version > newest:
            raise ReceiptStoreError(
                f"{path}: written by a newer version of consent-proxy (tables of version "
                f"{version}; this one knows {newest}); run that version, or name another store"
            )
        return True
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or version or tables:
        raise ReceiptStoreError(f"{path}: a database of another program; name another file")
    return False


def create_tables(connection: sqlite3.Connection, origin: str, verifier: str) -> None:
    """Make the tables of an empty log, within a transaction of the caller's."""
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO log VALUES (1, ?, ?, 0, ?)", (origin, verifier, b""))
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
