"""The SQLite store: durable, one log for several processes, and clear about what is wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.receipts.checkpoints import verify_checkpoint
from consent_rules.receipts.entries import ErasureReason
from consent_rules.receipts.merkle import leaf_hash, root_of, verify_inclusion
from consent_rules.receipts.receipt import read_receipt
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.sqlite_storage import SqliteStorage
from proxy.receipts.store import ReceiptStore, open_store, read_store
from tests.support.processes import ROOT
from tests.support.receipt_logs import NOTICE, NOTICE_HASH, ORIGIN, receipt


def opened(folder: Path) -> ReceiptStore:
    return open_store(folder / "receipts.db", folder / "receipts.key.pem", ORIGIN)


def write(store: ReceiptStore, *numbers: int) -> list[int]:
    """Write receipts; their indexes."""
    store.append([(receipt(number), NOTICE) for number in numbers])
    found = [store.find(f"receipt-{number}") for number in numbers]
    return [one.index for one in found if one is not None]


def connection_of(store: ReceiptStore) -> sqlite3.Connection:
    assert isinstance(store.storage, SqliteStorage)
    return store.storage.connection


def test_a_receipt_is_there_with_its_proof(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert write(store, *range(600)) == list(range(600))
    for number in (0, 255, 256, 511, 599):
        proof = store.prove(f"receipt-{number}")
        assert proof is not None
        checkpoint = verify_checkpoint(proof.checkpoint, [store.verifier])
        assert checkpoint.size == 600
        leaf = leaf_hash(proof.entry)
        assert verify_inclusion(leaf, number, 600, proof.path, checkpoint.root)
        assert read_receipt(proof.stored.content) == receipt(number)
        assert checkpoint.root == root_of(store.read_hashes(0, 0, 600))
    assert store.notice(NOTICE_HASH) == NOTICE
    assert store.prove("receipt-600") is None
    store.check_head()


def test_files_are_for_the_proxys_user_alone(tmp_path: Path) -> None:
    write(opened(tmp_path / "var"), 0)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "var").iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"receipts.db", "receipts.key.pem", "receipts.db-wal"} <= set(modes)


def test_one_receipt_is_written_once(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert write(store, 0, 1, 0) == [0, 1, 0]
    assert write(store, 1, 2) == [1, 2]
    assert store.size == 3


def test_all_of_a_batch_or_none(tmp_path: Path) -> None:
    store = opened(tmp_path)
    write(store, 0)
    bad = replace(receipt(2), site="\ud800")
    with pytest.raises(ValueError, match="surrogate"):
        store.append([(receipt(1), NOTICE), (bad, NOTICE)])
    assert store.size == 1
    assert write(store, 3) == [1]


def test_erased_is_erased(tmp_path: Path) -> None:
    store = opened(tmp_path)
    write(store, *range(5))
    before = store.checkpoint()
    found = store.prove("receipt-3")
    assert found is not None
    assert store.erase("receipt-3", ErasureReason.VISITOR, 1_800_000_000) == 3
    assert store.erase("receipt-3", ErasureReason.VISITOR, 1_800_000_000) is None
    assert store.find("receipt-3") is None
    assert store.size == 6
    for path in tmp_path.glob("receipts.db*"):
        assert found.stored.salt not in path.read_bytes()
        assert b"receipt-3" not in path.read_bytes()
    # What the visitor has in hand is still proven by the earlier checkpoint, and the tree goes on.
    old = verify_checkpoint(before, [store.verifier])
    assert verify_inclusion(leaf_hash(found.entry), 3, 5, found.path, old.root)
    store.check_head()


def test_old_receipts_are_erased_in_portions(tmp_path: Path) -> None:
    store = opened(tmp_path)
    write(store, *range(1_500))
    assert store.erase_before(receipt(1_200).made_at, 1_800_000_000) == 1_000
    assert store.erase_before(receipt(1_200).made_at, 1_800_000_000) == 200
    assert store.erase_before(receipt(1_200).made_at, 1_800_000_000) == 0
    assert store.size == 1_502
    assert store.find("receipt-1199") is None
    assert store.find("receipt-1200") is not None


def _write_many(folder: Path, first: int) -> None:
    store = opened(folder)
    for number in range(first, first + 60):
        write(store, number)


def test_several_processes_make_one_log(tmp_path: Path) -> None:
    """They start together, each finds or makes key and tables, and one at a time writes."""
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_write_many, args=(tmp_path, first)) for first in (0, 1000, 2000)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    store = opened(tmp_path)
    assert store.size == 180
    store.check_head()
    for number in (0, 59, 1000, 2059):
        assert store.prove(f"receipt-{number}") is not None


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing: each receipt that was told of is there."""
    program = (
        "import sys; from pathlib import Path\n"
        "from proxy.receipts.store import open_store\n"
        "from tests.support.receipt_logs import NOTICE, ORIGIN, receipt\n"
        "folder = Path(sys.argv[1])\n"
        "store = open_store(folder / 'receipts.db', folder / 'receipts.key.pem', ORIGIN)\n"
        "for number in range(100_000):\n"
        "    store.append([(receipt(number), NOTICE)])\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait(30)
    last = int(lines[-1] if lines[-1].endswith(b"\n") else lines[-2])
    store = opened(tmp_path)
    assert all(store.find(f"receipt-{number}") is not None for number in range(last + 1))
    assert store.size - (last + 1) in {0, 1}
    store.check_head()


# --- What is wrong with a file


def a_directory(folder: Path) -> None:
    (folder / "receipts.db").mkdir()


def not_a_database(folder: Path) -> None:
    write(opened(folder), 0)
    for path in folder.glob("receipts.db*"):
        path.write_bytes(b"not a database" * 1000)


def another_programs(folder: Path) -> None:
    write(opened(folder), 0)
    for path in folder.glob("receipts.db*"):
        path.unlink()
    sqlite3.connect(folder / "receipts.db").execute("CREATE TABLE theirs (x)").connection.close()


def newer(folder: Path) -> None:
    write(opened(folder), 0)
    sqlite3.connect(folder / "receipts.db").execute("PRAGMA user_version = 2").connection.close()


def key_lost(folder: Path) -> None:
    write(opened(folder), 0)
    (folder / "receipts.key.pem").unlink()


def key_of_another_log(folder: Path) -> None:
    write(opened(folder), 0)
    (folder / "other").mkdir()
    opened(folder / "other")
    (folder / "other/receipts.key.pem").rename(folder / "receipts.key.pem")


def key_readable_by_others(folder: Path) -> None:
    write(opened(folder), 0)
    (folder / "receipts.key.pem").chmod(0o644)


def leaf_dropped(folder: Path) -> None:
    write(opened(folder), *range(9))
    with sqlite3.connect(folder / "receipts.db") as db:
        db.execute("DELETE FROM leaf WHERE idx = 4")


def leaf_changed(folder: Path) -> None:
    write(opened(folder), *range(9))
    with sqlite3.connect(folder / "receipts.db") as db:
        db.execute("UPDATE leaf SET hash = zeroblob(32) WHERE idx = 4")


def half_a_row(folder: Path) -> None:
    write(opened(folder), *range(9))
    with sqlite3.connect(folder / "receipts.db") as db:
        db.execute("UPDATE log SET peaks = substr(peaks, 1, 40)")


def no_head(folder: Path) -> None:
    write(opened(folder), 0)
    with sqlite3.connect(folder / "receipts.db") as db:
        db.execute("DELETE FROM log")


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (a_directory, "cannot be made or written (Is a directory)"),
        (not_a_database, "not a SQLite database, or a damaged one; move it and its key away"),
        (another_programs, "a database of another program; name another file"),
        (
            newer,
            "written by a newer version of consent-proxy (tables of version 2; this one knows 1)",
        ),
        (key_lost, "receipts.key.pem: the key that signs the log is missing; put it back"),
        (key_of_another_log, "the key file has another; put back that key"),
        (key_readable_by_others, "others may read this key; run `chmod 600"),
        (leaf_dropped, "leaves are missing; `consent-proxy receipts verify` says which"),
        (leaf_changed, "its tree is not that of its leaves"),
        (half_a_row, "damaged, its tree does not fit its size"),
        (no_head, "damaged, its log has no head"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, way: Callable[[Path], None], words: str) -> None:
    way(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.pem")}
    with pytest.raises(ReceiptStoreError) as caught:
        opened(tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.pem")} == before


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    write(opened(tmp_path / "var" / "www"), 0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ReceiptStoreError, match="create the folder"):
        opened(tmp_path / "file" / "such")


def test_a_store_that_was_never_written(tmp_path: Path) -> None:
    with pytest.raises(ReceiptStoreError, match="no store of receipts yet"):
        read_store(tmp_path / "receipts.db")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(tmp_path: Path) -> None:
    store = opened(tmp_path)
    write(store, *range(3))
    db = connection_of(store)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ReceiptStoreError, match="the disk is full"):
        write(store, *range(3, 500))
    assert store.size == 3
    db.execute("PRAGMA max_page_count = 1000000")
    assert write(store, 3) == [3]


def test_a_locked_file(tmp_path: Path) -> None:
    store = opened(tmp_path)
    connection_of(store).execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "receipts.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ReceiptStoreError, match="another program holds the file locked"):
        write(store, 0)
    other.execute("COMMIT")
    assert write(store, 0) == [0]


def test_a_reader_needs_no_key(tmp_path: Path) -> None:
    write(opened(tmp_path), 0)
    (tmp_path / "receipts.key.pem").unlink()
    store = read_store(tmp_path / "receipts.db")
    proof = store.prove("receipt-0")
    assert proof is not None
    assert json.loads(proof.stored.content)["id"] == "receipt-0"
    with pytest.raises(ReceiptStoreError, match=r"cannot be written|read only"):
        write(store, 1)


def test_a_key_may_be_there_first(tmp_path: Path) -> None:
    """Of a vault, say."""
    key = tmp_path / "receipts.key.pem"
    opened(tmp_path)
    pem = key.read_bytes()
    (tmp_path / "receipts.db").unlink()
    store = opened(tmp_path)
    assert key.read_bytes() == pem
    assert isinstance(store._signing_key(), Ed25519PrivateKey)


def test_two_logs_have_two_names(tmp_path: Path) -> None:
    """Also with one key: a log must not sign two trees of one size."""
    first = opened(tmp_path)
    for path in tmp_path.glob("receipts.db*"):
        path.unlink()
    assert not first.is_in_place
    second = opened(tmp_path)
    assert second.is_in_place
    assert first.origin != second.origin
    assert first.verifier.public == second.verifier.public
