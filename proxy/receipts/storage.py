"""What a store of receipts asks of its database.

Statements are SQL that SQLite and PostgreSQL read alike, with a question mark for each value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class Storage(Protocol):
    """An open database with the tables of a log, for one thread. Every method raises
    ReceiptStoreError where it cannot be used.
    """

    @property
    def name(self) -> str:
        """The file, or the address without its password: for messages."""

    @property
    def way_on(self) -> str:
        """What to do where the log cannot go on."""

    @property
    def is_in_place(self) -> bool:
        """Whether the open file is still the one at its path: what is written to a file that was
        removed is lost.
        """

    def writing(self) -> AbstractContextManager[None]:
        """A transaction of the only writer: others wait. On the disk when it ends; undone where it
        raises.
        """

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything that is read within is of one moment."""

    def fetch(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query."""

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """The rows of a query that may have millions; within a snapshot."""

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        """A statement without rows."""

    def run_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """A statement, once for each row of values."""

    def entry_time(self) -> int | None:
        """When an entry is made, in seconds since 1970; None where that is when the choice was."""

    def forget_erased(self) -> None:
        """Overwrite what was erased wherever else it is."""

    def damages(self) -> Sequence[str]:
        """What is wrong with the file itself; slow."""

    def abort(self) -> None:
        """End what another thread waits for: that thread gets a ReceiptStoreError."""

    def close(self) -> None: ...
