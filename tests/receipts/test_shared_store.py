"""The log of several nodes in PostgreSQL: each receipt once, one sequencer, clear about faults."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from consent_rules.receipts.checkpoints import verify_checkpoint
from consent_rules.receipts.entries import ErasureReason
from consent_rules.receipts.exchange import audit_export
from consent_rules.receipts.merkle import leaf_hash, verify_inclusion
from consent_rules.receipts.receipt import Receipt
from proxy.receipts import forwarder as forwarder_module
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.forwarder import Forwarder
from proxy.receipts.log_key import make_log_key
from proxy.receipts.opening import open_place, read_place
from proxy.receipts.outbox import ItemKind, open_outbox
from proxy.receipts.place import StorePlace
from proxy.receipts.reading import Selection, audit_store, export_jsonl
from proxy.receipts.store import ReceiptStore
from tests.support.postgresql import Server
from tests.support.processes import ROOT
from tests.support.receipt_logs import NOTICE, ORIGIN, receipt

pytestmark = pytest.mark.slow


def node(folder: Path, url: str, name: str = "a") -> StorePlace:
    return StorePlace(folder / name / "outbox.db", folder / "receipts.pem", ORIGIN, url)


def recent(number: int) -> Receipt:
    return replace(receipt(number), made_at=int(time.time()))


def choose(place: StorePlace, *numbers: int, made_at: int | None = None) -> None:
    """Choices on a node."""
    made = int(time.time()) if made_at is None else made_at
    outbox = open_outbox(place.path)
    outbox.append([(replace(receipt(number), made_at=made), NOTICE) for number in numbers])
    outbox.close()


def test_a_database_without_a_locale(server: Server, tmp_path: Path) -> None:
    """As initdb makes them under LANG=C: the encoding is SQL_ASCII."""
    url = server.new_database("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    place = node(tmp_path, url)
    choose(place, 0, 1)
    assert forward(place) == 2
    assert problems(read_place(place)) == []


def forward(place: StorePlace) -> int:
    forwarder = Forwarder(place)
    try:
        return sum(iter(forwarder.forward, 0))
    finally:
        forwarder.close()


def problems(store: ReceiptStore) -> list[str]:
    return [one.text for one in audit_store(store).problems]


def change(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_a_receipt_is_there_with_its_proof(server: Server, tmp_path: Path) -> None:
    place = node(tmp_path, server.new_database())
    choose(place, *range(600))
    assert forward(place) == 600
    store = read_place(place)
    for number in (0, 255, 256, 599):
        proof = store.prove(f"receipt-{number}")
        assert proof is not None
        checkpoint = verify_checkpoint(proof.checkpoint, [store.verifier])
        leaf = leaf_hash(proof.entry)
        assert verify_inclusion(leaf, number, 600, proof.path, checkpoint.root)
    assert problems(store) == []
    report, _ = audit_export(export_jsonl(store, Selection()), [store.verifier])
    assert (report.problems, report.receipts, report.checkpoints, report.late) == ((), 600, 600, 0)
    assert open_outbox(place.path).count() == 0


def test_an_outbox_that_did_not_hear_of_the_commit(server: Server, tmp_path: Path) -> None:
    """It sends again what is entered already; also what was erased meanwhile."""
    place = node(tmp_path, server.new_database())
    choose(place, 0, 1, 2)
    before = place.path.read_bytes(), place.path.with_name("outbox.db-wal").exists()
    assert before[1] is False
    forward(place)
    open_place(place).erase("receipt-1", ErasureReason.VISITOR, int(time.time()))
    place.path.write_bytes(before[0])
    assert forward(place) == 3
    store = read_place(place)
    assert store.size == 4
    assert store.find("receipt-1") is None
    assert problems(store) == []


def test_two_nodes_make_one_log(server: Server, tmp_path: Path) -> None:
    url = server.new_database()
    first, second = node(tmp_path, url, "a"), node(tmp_path, url, "b")
    choose(first, *range(5))
    choose(second, *range(5, 10))
    forward(first)
    forward(second)
    choose(first, 10)
    choose(second, 5)  # the same receipt, once more: it is there
    forward(first)
    forward(second)
    store = read_place(second)
    assert store.size == 11
    assert problems(store) == []


def _forward_many(place: StorePlace, first: int) -> None:
    choose(place, *range(first, first + 30))
    forwarder_module.BATCH = 1
    forward(place)


def test_two_sequencers_take_turns(server: Server, tmp_path: Path) -> None:
    url = server.new_database()
    context = multiprocessing.get_context("spawn")
    nodes = [
        context.Process(target=_forward_many, args=(node(tmp_path, url, name), first))
        for name, first in (("a", 0), ("b", 1000))
    ]
    for one in nodes:
        one.start()
    for one in nodes:
        one.join(120)
        assert one.exitcode == 0
    store = read_place(node(tmp_path, url))
    assert store.size == 60
    assert problems(store) == []


def test_an_erasure_reaches_a_receipt_in_another_nodes_outbox(
    server: Server, tmp_path: Path
) -> None:
    url = server.new_database()
    first, second = node(tmp_path, url, "a"), node(tmp_path, url, "b")
    choose(first, 0, 1)
    now = int(time.time())
    open_outbox(second.path).erase("receipt-0", ErasureReason.VISITOR, now)
    assert forward(second) == 1
    assert forward(first) == 2
    store = read_place(first)
    assert store.find("receipt-0") is None
    assert store.find("receipt-1") is not None
    assert problems(store) == []
    assert store.storage.fetch("SELECT * FROM erasure") == []


def test_a_receipt_that_is_entered_late_is_no_tampering(server: Server, tmp_path: Path) -> None:
    """The node could not reach the database for two hours; the auditor sees how late it was."""
    url = server.new_database()
    first, second = node(tmp_path, url, "a"), node(tmp_path, url, "b")
    choose(second, 0)
    forward(second)
    choose(first, 1, made_at=int(time.time()) - 7200)
    forward(first)
    choose(second, 2)
    forward(second)
    report = audit_store(read_place(first))
    assert report.problems == ()
    assert report.late == 1
    assert 7190 <= report.latest <= 7300
    # As the verifier of auditors who do not run our code has it.
    export = tmp_path / "log.jsonl"
    store = read_place(first)
    export.write_bytes(b"".join(export_jsonl(store, Selection())))
    done = subprocess.run(
        [sys.executable, "examples/verify_receipts.py", export, "--key", str(store.verifier)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert re.match(
        r"good: the whole log \S+: 3 leaves, 3 receipts with content; none was changed, removed, "
        r"inserted or moved since the key signed \d+ checkpoints? of it, the largest of 3$",
        done.stdout.splitlines()[-1],
    ), done.stdout
    assert done.stdout.count("late: leaf 1 is dated") == 1
    export.write_bytes(export.read_bytes().replace(b'"entered":"20', b'"entered":"19', 1))
    done = subprocess.run(
        [sys.executable, "examples/verify_receipts.py", export, "--key", str(store.verifier)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "changed: leaf 0" in done.stdout
    assert done.returncode == 1


def test_a_node_whose_clock_is_ahead_is_named(server: Server, tmp_path: Path) -> None:
    place = node(tmp_path, server.new_database())
    choose(place, 0, made_at=int(time.time()) + 86_400)
    forward(place)
    (problem,) = problems(read_place(place))
    assert "entered before" in problem
    assert "its node's clock was wrong" in problem


def test_the_databases_clock_is_set_back(server: Server, tmp_path: Path) -> None:
    place = node(tmp_path, server.new_database())
    choose(place, 0)
    forward(place)
    store = open_place(place)
    for by in (-100, -100_000):  # a small step is taken for the present second, a large one shows
        storage = store.storage
        now = storage.entry_time() or 0
        storage.entry_time = lambda at=now + by: at  # type: ignore[method-assign, misc]
        store.append([(recent(-by), NOTICE)])
        del storage.entry_time
    found = problems(store)
    assert len(found) >= 1
    assert all("the clock was set" in one or "clock was wrong" in one for one in found)


# --- What is wrong


def key_lost(place: StorePlace) -> None:
    place.key.unlink()


def key_of_another_log(place: StorePlace) -> None:
    place.key.unlink()
    make_log_key(place.key)


def newer(place: StorePlace) -> None:
    change(place.url, "UPDATE consent_proxy_version SET version_num = '0999'")


def read_only(place: StorePlace) -> None:
    name = place.url.rpartition("/")[2]
    change(place.url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")


def table_gone(place: StorePlace) -> None:
    change(place.url, "ALTER TABLE receipt RENAME TO another")


def leaf_changed(place: StorePlace) -> None:
    change(place.url, "UPDATE leaf SET hash = '\\x00' WHERE idx = 1")


def half_a_row(place: StorePlace) -> None:
    change(place.url, "UPDATE log SET peaks = substr(peaks, 1, 40)")


def no_head(place: StorePlace) -> None:
    change(place.url, "UPDATE log SET peaks = ''")


def older_copy(place: StorePlace) -> None:
    """As a backup, or a standby that took over, has it: two leaves fewer."""
    older = place.url + "_older"
    change(
        place.url.rpartition("/")[0] + "/postgres",
        f"CREATE DATABASE {older.rpartition('/')[2]} TEMPLATE {place.url.rpartition('/')[2]}",
    )
    choose(place, 100, 101)
    forward(place)
    name, old = place.url.rpartition("/")[2], older.rpartition("/")[2]
    change(
        place.url.rpartition("/")[0] + "/postgres",
        f"ALTER DATABASE {name} RENAME TO {name}_newest",
        f"ALTER DATABASE {old} RENAME TO {name}",
    )


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (key_lost, r"receipts.pem: the key that signs the log is missing; copy it from a node"),
        (key_of_another_log, "the key file has another; put back that key"),
        (newer, "migrated by a newer version of consent-proxy .* 0999"),
        (read_only, "it can be read only .*name the primary"),
        (table_gone, "a table is missing; restore the database"),
        (leaf_changed, "its tree is not that of its leaves"),
        (half_a_row, "damaged, its tree does not fit its size; name an empty database"),
        (no_head, "damaged, its tree does not fit its size"),
        (older_copy, r"has seen another one signed, of 5: an older copy was put back"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_lost(
    server: Server, tmp_path: Path, way: Callable[[StorePlace], None], words: str
) -> None:
    place = node(tmp_path, server.new_database())
    choose(place, 0, 1, 2)
    forward(place)
    way(place)
    choose(place, 3, 4)
    for _ in range(2):
        with pytest.raises(ReceiptStoreError, match=words):
            forward(place)
    assert open_outbox(place.path).count() == 2
    # The last way on of all: an empty database, and a new log.
    fresh = StorePlace(place.path, tmp_path / "new.pem", ORIGIN, server.new_database())
    assert forward(fresh) == 2
    assert problems(read_place(fresh)) == []


def test_a_key_that_is_there_first_begins_the_log_on_one_node(
    server: Server, tmp_path: Path
) -> None:
    url = server.new_database()
    first = node(tmp_path, url, "a")
    second = StorePlace(tmp_path / "b/outbox.db", tmp_path / "b.pem", ORIGIN, url)
    choose(first, 0)
    choose(second, 1)
    forward(first)
    with pytest.raises(ReceiptStoreError, match=r"b.pem: the key .* missing; copy it from a node"):
        forward(second)
    assert not second.key.exists()
    second.key.write_bytes(first.key.read_bytes())
    second.key.chmod(0o600)
    assert forward(second) == 1
    assert problems(read_place(second)) == []


def test_a_database_that_is_down_loses_nothing(server: Server, tmp_path: Path) -> None:
    place = node(tmp_path, server.new_database())
    choose(place, 0)
    forward(place)
    server.kill()
    try:
        choose(place, 1)
        with pytest.raises(ReceiptStoreError, match="no connection; it must run"):
            forward(place)
    finally:
        server.start()
    assert forward(place) == 1
    assert problems(read_place(place)) == []


def test_an_item_that_cannot_be_read_holds_up_no_other(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = node(tmp_path, server.new_database())
    choose(place, 0)
    outbox = open_outbox(place.path)
    with outbox._transaction():
        outbox._add(ItemKind.RECEIPT, "odd", b"{}")
        outbox._add(ItemKind.ERASURE, "odd", b"{}")
    choose(place, 1)
    forward(place)
    assert read_place(place).size == 2
    assert caplog.text.count("is damaged") == 2
