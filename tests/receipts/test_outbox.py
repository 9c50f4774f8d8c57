"""The outbox of a node: durable, in order, and clear about what is wrong."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from consent_rules.receipts.canonical import canonical
from consent_rules.receipts.entries import ErasureReason
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.outbox import ItemKind, Outbox, damage_mark, open_outbox
from tests.support.processes import ROOT
from tests.support.receipt_logs import NOTICE, NOTICE_HASH, receipt

NAME = "outbox.db"


def write(outbox: Outbox, *numbers: int) -> None:
    outbox.append([(receipt(number), NOTICE) for number in numbers])


def test_what_is_written_is_pending_in_order(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / "var" / NAME)
    write(outbox, 0, 1)
    outbox.erase("receipt-0", ErasureReason.VISITOR, 7)
    write(outbox, 2)
    items = outbox.pending(10)
    assert [(item.kind, item.receipt_id) for item in items] == [
        (ItemKind.RECEIPT, "receipt-0"),
        (ItemKind.RECEIPT, "receipt-1"),
        (ItemKind.ERASURE, "receipt-0"),
        (ItemKind.RECEIPT, "receipt-2"),
    ]
    assert items[0].content == receipt(0).content
    assert items[2].content == canonical({"reason": "visitor", "time": 7})
    assert len({item.token for item in items}) == 4
    assert outbox.notices([NOTICE_HASH, "other"]) == [(NOTICE_HASH, NOTICE)]
    assert [outbox.holds(f"receipt-{number}") for number in range(4)] == [False, True, True, None]
    assert outbox.seen == ""
    outbox.remove(items[:3], "a note")
    assert [item.receipt_id for item in outbox.pending(10)] == ["receipt-2"]
    assert (outbox.seen, outbox.count()) == ("a note", 1)


def test_what_is_removed_is_overwritten(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / NAME)
    write(outbox, 0)
    outbox.remove(outbox.pending(1), "")
    outbox.forget_removed()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"receipt-0" not in written


def test_files_are_for_the_proxys_user_alone(tmp_path: Path) -> None:
    write(open_outbox(tmp_path / NAME), 0)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_workers_share_an_outbox(tmp_path: Path) -> None:
    outboxes = [open_outbox(tmp_path / NAME) for _ in range(3)]
    for number, outbox in enumerate(outboxes * 5):
        write(outbox, number)
    assert len({outbox.outbox_id for outbox in outboxes}) == 1
    found = [item.receipt_id for item in outboxes[0].pending(100)]
    assert found == [f"receipt-{number}" for number in range(15)]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from proxy.receipts.outbox import open_outbox\n"
        "from tests.support.receipt_logs import NOTICE, receipt\n"
        "outbox = open_outbox(Path(sys.argv[1]))\n"
        "for number in range(100_000):\n"
        "    outbox.append([(receipt(number), NOTICE)])\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / NAME)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait(30)
    last = int(lines[-1] if lines[-1].endswith(b"\n") else lines[-2])
    found = [item.receipt_id for item in open_outbox(tmp_path / NAME).pending(100_000)]
    assert found[: last + 1] == [f"receipt-{number}" for number in range(last + 1)]


# --- What is wrong with a file


def a_directory(path: Path) -> None:
    path.mkdir()


def not_a_database(path: Path) -> None:
    write(open_outbox(path), 0)
    for one in path.parent.glob(f"{NAME}*"):
        one.write_bytes(b"not a database" * 1000)


def pages_overwritten(path: Path) -> None:
    outbox = open_outbox(path)
    write(outbox, *range(200))
    outbox.forget_removed()
    outbox.close()
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = os.urandom(64)
    path.write_bytes(data)


def another_programs(path: Path) -> None:
    sqlite3.connect(path).execute("CREATE TABLE theirs (x)").connection.close()


def a_store(path: Path) -> None:
    """The file of a SQLite store, named by mistake."""
    sqlite3.connect(path).execute(f"PRAGMA application_id = {0x636E7372}").connection.close()


def newer(path: Path) -> None:
    write(open_outbox(path), 0)
    sqlite3.connect(path).execute("PRAGMA user_version = 2").connection.close()


def no_head(path: Path) -> None:
    write(open_outbox(path), 0)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM outbox")


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (a_directory, r"cannot be made or written \(Is a directory\).*set receipts.outbox"),
        (not_a_database, "not a SQLite database, or a damaged one; move it away, and a new one"),
        (pages_overwritten, r"the file is damaged.*; move it away, and a new one begins; store it"),
        (another_programs, "a database of another program; name another file"),
        (a_store, "a database of another program; name another file"),
        (newer, r"written by a newer version .*tables of version 2; this one knows 1"),
        (no_head, "damaged, its head is missing; move it away"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, way: Callable[[Path], None], words: str) -> None:
    path = tmp_path / NAME
    way(path)
    for _ in range(2):
        with pytest.raises(ReceiptStoreError, match=words) as caught:
            open_outbox(path)
        assert str(path) in str(caught.value)
    # The way on that the message names.
    for one in tmp_path.glob(f"{NAME}*"):
        if one != damage_mark(path):
            one.rename(tmp_path / f"away-{one.name}")
    write(open_outbox(path), 0)
    assert not damage_mark(path).exists()


def test_damage_that_one_worker_finds_stops_all(tmp_path: Path) -> None:
    """What is written to a damaged file may never be read again, also where writing succeeds."""
    path = tmp_path / NAME
    writer = open_outbox(path)
    reader = open_outbox(path)
    write(writer, 0)
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorname = "SQLITE_CORRUPT"
    with pytest.raises(ReceiptStoreError, match="damaged"), reader._errors():
        raise error
    assert not writer.is_in_place
    with pytest.raises(ReceiptStoreError, match="the file is damaged; move it away"):
        open_outbox(path)


@pytest.mark.parametrize(
    "change",
    [
        "content = substr(content, 1, 100)",
        "content = NULL",
        "digest = zeroblob(32)",
        "id = 'other'",
        "kind = 'unknown'",
    ],
)
def test_half_a_row_is_set_aside_and_the_others_go_on(
    tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / NAME
    outbox = open_outbox(path)
    write(outbox, 0, 1, 2)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        if "NULL" in change:  # as a file that is damaged may have it
            db.execute("PRAGMA writable_schema = ON")
            db.execute(
                "UPDATE sqlite_master SET sql = replace(sql, 'content BLOB NOT NULL', "
                "'content BLOB') WHERE name = 'item'"
            )
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE item SET {change} WHERE number = 2")
    outbox = open_outbox(path)
    assert [item.number for item in outbox.pending(10)] == [1, 3]
    assert [item.number for item in outbox.pending(10)] == [1, 3]
    assert caplog.text.count("row 2 is damaged") == 1
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT number FROM damaged").fetchall() == [(2,)]


def test_a_full_disk(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path / NAME)
    write(outbox, 0)
    (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
    outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ReceiptStoreError, match="the disk is full"):
        write(outbox, *range(1, 500))
    assert outbox.count() == 1
    outbox._db.execute("PRAGMA max_page_count = 1000000")
    write(outbox, 1)
    assert outbox.count() == 2
