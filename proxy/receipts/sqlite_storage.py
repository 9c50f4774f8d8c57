"""A log of receipts in a SQLite file: its write lock makes one writer at a time the sequencer,
among all workers of a node.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from proxy.receipts.errors import NEW_LOG, store_error
from proxy.receipts.storage import Row


class SqliteStorage:
    """`storage.Storage` of a file with our tables."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._path = path
        self._file = file_number(path)

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def way_on(self) -> str:
        return NEW_LOG

    @property
    def is_in_place(self) -> bool:
        return self._file == file_number(self._path)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with self._errors():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
                    self.connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._errors():
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("COMMIT")

    def fetch(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        with self._errors():
            return self.connection.execute(statement, values).fetchall()

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        with self._errors():
            yield from self.connection.execute(statement, values)

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        with self._errors():
            self.connection.execute(statement, values)

    def run_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        with self._errors():
            self.connection.executemany(statement, rows)

    def entry_time(self) -> None:
        return None

    def forget_erased(self) -> None:
        """Take it out of the write-ahead log too."""
        self.run("PRAGMA wal_checkpoint(TRUNCATE)")

    def damages(self) -> list[str]:
        found = [str(row[0]) for row in self.fetch("PRAGMA integrity_check(10)")]
        return [] if found == ["ok"] else found

    def abort(self) -> None:
        self.connection.interrupt()

    def close(self) -> None:
        self.connection.close()


def file_number(path: Path) -> tuple[int, int] | None:
    """Device and number of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
