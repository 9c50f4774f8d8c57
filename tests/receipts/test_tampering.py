"""1,000 random tamperings of store and export: all are found and named."""

from __future__ import annotations

import importlib.util
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from consent_rules.receipts.audit import AuditReport
from consent_rules.receipts.canonical import canonical, read_canonical
from consent_rules.receipts.consistency import (
    ConsistencyError,
    check_consistency,
    is_consistency_proof,
    prove_consistency,
    read_consistency_proof,
)
from consent_rules.receipts.entries import ErasureReason, ReceiptEntry, commitment, entry_bytes
from consent_rules.receipts.exchange import ExportError, audit_export
from consent_rules.receipts.merkle import leaf_hash
from consent_rules.receipts.notes import NoteError, VerifierKey
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.reading import Selection, audit_store, export_jsonl
from proxy.receipts.store import open_store, read_store
from tests.support.receipt_logs import NOTICE, ORIGIN, START, receipt

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COUNT = 40
ERASED = 11


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 40 receipts, one of them erased, with nothing left in its write-ahead log."""
    folder = tmp_path_factory.mktemp("good")
    store = open_store(folder / "receipts.db", folder / "receipts.pem", ORIGIN)
    store.append([(receipt(number), NOTICE) for number in range(COUNT)])
    store.erase(f"receipt-{ERASED}", ErasureReason.VISITOR, START + 10 * COUNT)
    store.close()
    return folder / "receipts.db"


@pytest.fixture(scope="module")
def key(good: Path) -> VerifierKey:
    return read_store(good).verifier


@pytest.fixture(scope="module")
def lines(good: Path) -> list[bytes]:
    return list(export_jsonl(read_store(good), Selection()))


@pytest.fixture(scope="module")
def stand_alone() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alone", ROOT / "examples/verify_receipts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names(report: AuditReport, index: int) -> bool:
    return any(one.first <= index < one.end for one in report.problems)


def test_what_is_good_is_good(
    good: Path, lines: list[bytes], key: VerifierKey, stand_alone: ModuleType
) -> None:
    assert audit_store(read_store(good), [key]).problems == ()
    report, head = audit_export(lines, [key])
    assert report.problems == ()
    assert (report.size, report.receipts, report.erased) == (COUNT + 1, COUNT - 1, 1)
    assert head.whole
    assert stand_alone.check(b"".join(lines), str(key), []) == []


def test_growth_and_what_only_looks_like_it(
    good: Path, key: VerifierKey, stand_alone: ModuleType
) -> None:
    """Proofs between all checkpoints, and each with a bit of another: both verifiers agree."""
    store = read_store(good)
    notes = [str(row[0]) for row in store.rows("SELECT note FROM checkpoint ORDER BY size", ())]
    chance = random.Random(1)
    for _ in range(150):
        old, new = sorted(chance.choices(range(len(notes)), k=2))
        made = prove_consistency(notes[old], notes[new], [key], store.read_hashes, store.size)
        data = made.to_bytes()
        assert check_consistency(read_consistency_proof(data), [key]) == (old + 1, new + 1)
        assert stand_alone.check(data + b"\n", str(key), [notes[old]]) == []
        bent = bytearray(data)
        bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(7)
        assert stand_alone.check(bytes(bent), str(key), []), bytes(bent)
        with pytest.raises((ConsistencyError, ExportError)):
            if not is_consistency_proof(bytes(bent)):
                audit_export([bytes(bent)], [key])
            check_consistency(read_consistency_proof(bytes(bent)), [key])


# --- An export

Change = tuple[list[bytes], int | None]
"""The lines, and the leaf that must be named; None where it is no leaf's line."""


def _leaf_of(lines: list[bytes], at: int) -> int | None:
    value = read_canonical(lines[at].strip())
    return int(value["entry"]["index"]) if value["type"] == "leaf" else None


def bit(lines: list[bytes], chance: random.Random) -> Change:
    at = chance.randrange(len(lines))
    line = bytearray(lines[at])
    line[chance.randrange(len(line))] ^= 1 << chance.randrange(8)
    return [*lines[:at], bytes(line), *lines[at + 1 :]], _leaf_of(lines, at)


def drop(lines: list[bytes], chance: random.Random) -> Change:
    at = chance.randrange(1, COUNT + 2)
    return lines[:at] + lines[at + 1 :], at - 1


def double(lines: list[bytes], chance: random.Random) -> Change:
    at = chance.randrange(1, COUNT + 2)
    to = chance.randrange(1, len(lines))
    return [*lines[:to], lines[at], *lines[to:]], at - 1


def swap(lines: list[bytes], chance: random.Random) -> Change:
    first, second = chance.sample(range(1, COUNT + 2), 2)
    moved = list(lines)
    moved[first], moved[second] = moved[second], moved[first]
    return moved, None


def back_date(lines: list[bytes], chance: random.Random) -> Change:
    at = chance.choice([n for n in range(1, COUNT + 1) if n - 1 != ERASED])
    value = read_canonical(lines[at].strip())
    value["receipt"]["time"] = "2026-01-01T00:00:00Z"
    return [*lines[:at], canonical(value) + b"\n", *lines[at + 1 :]], at - 1


def rewrite(lines: list[bytes], chance: random.Random) -> Change:
    """One receipt, with its commitment and its hash."""
    at = chance.choice([n for n in range(1, COUNT + 1) if n - 1 != ERASED])
    value = read_canonical(lines[at].strip())
    value["receipt"]["action"] = "reject_all"
    entry = ReceiptEntry(
        at - 1, commitment(canonical(value["receipt"]), bytes.fromhex(value["salt"]))
    )
    value["entry"] = read_canonical(entry_bytes(entry))
    value["hash"] = leaf_hash(entry_bytes(entry)).hex()
    return [*lines[:at], canonical(value) + b"\n", *lines[at + 1 :]], at - 1


def lose_content(lines: list[bytes], chance: random.Random) -> Change:
    at = chance.choice([n for n in range(1, COUNT + 1) if n - 1 != ERASED])
    value = read_canonical(lines[at].strip())
    del value["receipt"], value["salt"]
    return [*lines[:at], canonical(value) + b"\n", *lines[at + 1 :]], at - 1


EXPORT_WAYS = [bit, bit, drop, double, swap, back_date, rewrite, lose_content]


@pytest.mark.parametrize("share", range(5))
def test_exports(lines: list[bytes], key: VerifierKey, stand_alone: ModuleType, share: int) -> None:
    judged = 0
    for seed in count(share * 1000):
        if judged == 110:
            break
        chance = random.Random(seed)
        way = chance.choice(EXPORT_WAYS)
        changed, leaf = way(list(lines), chance)
        if changed == lines:
            continue
        judged += 1
        what = (seed, way.__name__, leaf)
        assert stand_alone.check(b"".join(changed), str(key), []), what
        try:
            report, _ = audit_export(changed, [key])
        except ExportError:
            assert way is bit  # of the first line
            continue
        assert report.problems, what
        if leaf is not None:
            assert names(report, leaf), (*what, report.problems)


# --- A store


def _columns(db: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Table, column and row of everything that is stored of the log."""
    found = []
    for table in ("leaf", "receipt", "checkpoint", "notice", "node", "log"):
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        rows = [row[0] for row in db.execute(f"SELECT rowid FROM {table}")]
        found += [(table, name, row) for name in names for row in rows]
    return found


def store_bit(db: sqlite3.Connection, chance: random.Random) -> int | None:
    table, column, row = chance.choice(_columns(db))
    (value,) = db.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()
    if isinstance(value, int):
        changed: object = value ^ (1 << chance.randrange(20))
    else:
        data = bytearray(value.encode() if isinstance(value, str) else value)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(7)
        changed = data.decode("utf-8", "replace") if isinstance(value, str) else bytes(data)
    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, row))
    return row if table in {"leaf", "receipt"} else None


def store_drop(db: sqlite3.Connection, chance: random.Random) -> int:
    table = chance.choice(["leaf", "receipt"])
    rows = [row[0] for row in db.execute(f"SELECT idx FROM {table}")]
    index = int(chance.choice(rows))
    db.execute(f"DELETE FROM {table} WHERE idx = ?", (index,))
    return index


def store_insert(db: sqlite3.Connection, chance: random.Random) -> int:
    made = replace(receipt(COUNT + 1), receipt_id=f"made-up-{chance.random()}")
    salt = chance.randbytes(32)
    data = entry_bytes(ReceiptEntry(COUNT + 1, commitment(made.content, salt)))
    db.execute("INSERT INTO leaf VALUES (?, ?, ?)", (COUNT + 1, data, leaf_hash(data)))
    values = (COUNT + 1, made.receipt_id, made.made_at, made.site, made.notice, salt, made.content)
    db.execute("INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return COUNT + 1


def store_swap(db: sqlite3.Connection, chance: random.Random) -> int:
    first, second = chance.sample(range(COUNT), 2)
    for table in ("leaf", "receipt"):
        for old, new in ((first, -1), (second, first), (-1, second)):
            db.execute(f"UPDATE {table} SET idx = ? WHERE idx = ?", (new, old))
    return first


def store_rewrite(db: sqlite3.Connection, chance: random.Random) -> int:
    """Another receipt with its commitment and hash, dated earlier or not."""
    index = chance.choice([n for n in range(COUNT) if n != ERASED])
    made_at = chance.choice([receipt(index).made_at, START - 86_400])
    made = replace(receipt(index), action="reject_all", made_at=made_at)
    salt = chance.randbytes(32)
    data = entry_bytes(ReceiptEntry(index, commitment(made.content, salt)))
    db.execute("UPDATE leaf SET entry = ?, hash = ? WHERE idx = ?", (data, leaf_hash(data), index))
    db.execute(
        "UPDATE receipt SET content = ?, salt = ?, made_at = ? WHERE idx = ?",
        (made.content, salt, made_at, index),
    )
    return index


STORE_WAYS: list[Callable[[sqlite3.Connection, random.Random], int | None]] = [
    store_bit, store_bit, store_drop, store_insert, store_swap, store_rewrite,
]  # fmt: skip


@pytest.mark.parametrize("share", range(4))
def test_stores(good: Path, key: VerifierKey, tmp_path: Path, share: int) -> None:
    path = tmp_path / "receipts.db"
    judged = 0
    for seed in count(share * 1000):
        if judged == 90:
            break
        chance = random.Random(seed)
        for old in tmp_path.glob("receipts.db*"):
            old.unlink()
        shutil.copy(good, path)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA synchronous = OFF")
        way = chance.choice(STORE_WAYS)
        try:
            leaf = way(db, chance)
        except sqlite3.IntegrityError:
            continue  # a number that another row has
        finally:
            db.close()
        judged += 1
        what = (seed, way.__name__, leaf)
        try:
            report = audit_store(read_store(path), [key])
        except (ReceiptStoreError, NoteError):
            assert way is store_bit  # of the log's head
            continue
        assert report.problems, what
        if leaf is not None:
            assert names(report, leaf), (*what, report.problems)


def _stored(path: Path) -> list[object]:
    """All that the tables say."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    tables = ("leaf", "receipt", "checkpoint", "notice", "node", "log")
    try:
        return [sorted(map(repr, db.execute(f"SELECT * FROM {table}"))) for table in tables]
    finally:
        db.close()


def test_bits_of_the_file(good: Path, key: VerifierKey, tmp_path: Path) -> None:
    """Single bits anywhere in the file: named, or nothing that is stored differs."""
    path, content, told = tmp_path / "receipts.db", good.read_bytes(), _stored(good)
    pages = len(content) // 4096
    for seed in range(90):
        chance = random.Random(seed)
        bent = bytearray(content)
        # Every other one lies in the head of a page, where the numbers of the file are.
        head = chance.randrange(pages) * 4096 + chance.randrange(100)
        at = chance.choice([head, chance.randrange(len(bent))])
        bent[at] ^= 1 << chance.randrange(8)
        for old in tmp_path.glob("receipts.db*"):
            old.unlink()
        path.write_bytes(bent)
        try:
            report = audit_store(read_store(path), [key])
        except (ReceiptStoreError, NoteError):  # which `receipts verify` prints
            continue
        if not report.problems:
            assert _stored(path) == told, (seed, at)
