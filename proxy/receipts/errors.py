"""What can be wrong with a store of receipts, as sentences that say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class ReceiptStoreError(Exception):
    """The store cannot be used. The message names the file and says what to do."""


NEW_LOG = "move it and its key away and a new log begins; store them: what they prove stays proven"
"""The way on from a log that cannot go on. Never an older copy of it: a log that signs two
different trees of one size has proven itself wrong.
"""

_RIGHTS = "let the proxy's user write to the file and its folder"
_CAUSES = {
    "SQLITE_FULL": "the disk is full; make room, nothing else is to be done",
    "SQLITE_NOTADB": "not a SQLite database, or a damaged one; {way_on}",
    "SQLITE_CORRUPT": "the file is damaged; {way_on}",
    "SQLITE_BUSY": "another program holds the file locked; end it",
    "SQLITE_LOCKED": "another program holds the file locked; end it",
    "SQLITE_READONLY": "it cannot be written; " + _RIGHTS,
    "SQLITE_CANTOPEN": "it cannot be opened; " + _RIGHTS,
    "SQLITE_PERM": "it cannot be opened; " + _RIGHTS,
    "SQLITE_IOERR": "the disk does not take or give the data; look at the system's log",
}


def store_error(path: Path, error: sqlite3.Error, way_on: str = NEW_LOG) -> ReceiptStoreError:
    """The error for a failure of SQLite. `way_on` is what to do with a damaged file."""
    name = getattr(error, "sqlite_errorname", "") or ""
    # Extended codes, such as SQLITE_IOERR_WRITE, begin with the primary one.
    cause = next((text for known, text in _CAUSES.items() if name.startswith(known)), str(error))
    return ReceiptStoreError(f"{path}: {cause.replace('{way_on}', way_on)}")


def not_made(path: Path, error: OSError, setting: str = "store") -> ReceiptStoreError:
    """The error for a file that cannot be made. `setting` is the one that names it."""
    return ReceiptStoreError(
        f"{path}: cannot be made or written ({error.strerror}); create the folder, let the proxy's "
        f"user write to it and to the file, or set receipts.{setting}"
    )
