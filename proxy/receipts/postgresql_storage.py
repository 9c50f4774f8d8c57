"""A log of receipts in PostgreSQL, for any number of nodes.

An advisory lock, held for a transaction, makes one writer at a time the sequencer: among all
workers of all nodes. It ends with the connection, so a node that dies holds up nobody.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from proxy.database.postgresql import DatabaseError, connect, database_error, database_name
from proxy.database.versions import check_version, prepare
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.storage import Row

if TYPE_CHECKING:
    import psycopg

_SEQUENCER_LOCK = 0x636E7372_0003
_ROWS_AT_ONCE = 1000
"""Rows of a long result that are in memory."""


class PostgresqlStorage:
    """`storage.Storage` of a database. Brings its tables to this version."""

    def __init__(self, url: str) -> None:
        """Raises ReceiptStoreError."""
        self._url = url
        try:
            prepare(url)
            self._connection: psycopg.Connection[Row] = connect(url)
        except DatabaseError as error:
            raise ReceiptStoreError(str(error)) from error
        self._cursors = itertools.count()

    @property
    def name(self) -> str:
        return database_name(self._url)

    @property
    def way_on(self) -> str:
        return (
            "name an empty database in receipts.store, and another log_key, and a new log begins; "
            "store them: what they prove stays proven"
        )

    @property
    def is_in_place(self) -> bool:
        return not self._connection.closed

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise ReceiptStoreError(str(database_error(self._url, error))) from error
        except DatabaseError as error:
            raise ReceiptStoreError(str(error)) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with self._errors(), self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SEQUENCER_LOCK,))
            # In the lock: a node of a newer version may have changed the tables meanwhile.
            if not check_version(self._connection, self._url):
                raise ReceiptStoreError(f"{self.name}: its tables are gone; restore the database")
            yield

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._errors(), self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    def fetch(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        with self._errors():
            return self._connection.execute(_translated(statement), values).fetchall()

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        with (
            self._errors(),
            self._connection.cursor(f"rows_{next(self._cursors)}", withhold=True) as cursor,
        ):
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(_translated(statement), values)

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        with self._errors():
            self._connection.execute(_translated(statement), values)

    def run_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), rows)

    def entry_time(self) -> int:
        """By the database's clock, one for all nodes."""
        return int(self.fetch("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint")[0][0])

    def forget_erased(self) -> None:
        """Nothing: autovacuum frees the rows, and overwrites them with others."""

    def damages(self) -> tuple[str, ...]:
        """None: the server checks its own pages, where it was set up to."""
        return ()

    def abort(self) -> None:
        with contextlib.suppress(Exception):  # it may be closed already, or by now
            duplicate = socket.socket(fileno=os.dup(self._connection.fileno()))
            with duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()


def _translated(statement: str) -> Any:
    """psycopg's own mark for a value. No statement of ours has a percent sign."""
    return statement.replace("?", "%s")
