"""What was done to a log is found, and the leaf is named."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consent_rules.receipts.audit import AuditReport, Tampering
from consent_rules.receipts.checkpoints import Checkpoint, sign_checkpoint
from consent_rules.receipts.entries import (
    ErasureEntry,
    ErasureReason,
    ReceiptEntry,
    entry_bytes,
    read_entry,
)
from tests.support.receipt_logs import (
    KEY,
    NOTICE_HASH,
    ORIGIN,
    START,
    Log,
    made_log,
    other_receipt,
    receipt,
    row_of,
)

COUNT = 20
"""Leaves before the erasure, which is leaf 20."""


def named(report: AuditReport, index: int) -> bool:
    return any(one.first <= index < one.end for one in report.problems)


def kinds(report: AuditReport) -> set[Tampering]:
    return {one.kind for one in report.problems}


def test_a_good_log() -> None:
    report = made_log().audit()
    assert report.problems == ()
    assert (report.size, report.receipts, report.erased) == (21, 19, 1)
    assert report.proven_size == 21


def test_an_empty_log() -> None:
    report = made_log(0, erased=None).audit()
    assert report.good
    assert report.size == 0


def drop(log: Log) -> int:
    del log.rows[7]
    return 7


def drop_last(log: Log) -> int:
    log.rows.pop()
    return COUNT


def double(log: Log) -> int:
    log.rows.insert(2, log.rows[7])
    return 7


def make_up(log: Log) -> int:
    log.rows.append(row_of(COUNT + 1, receipt(COUNT + 1)))
    return COUNT + 1


def make_up_in_place(log: Log) -> int:
    """A second leaf 7, before the true one."""
    log.rows.insert(7, row_of(7, other_receipt(7)))
    return 7


def swap(log: Log) -> int:
    log.rows[7], log.rows[8] = log.rows[8], log.rows[7]
    return 8


def move(log: Log) -> int:
    log.rows.insert(2, log.rows.pop(7))
    return 7


def change_content(log: Log) -> int:
    content = log.rows[7].content or b""
    log.rows[7] = replace(log.rows[7], content=content.replace(b"phone", b"other"))
    return 7


def back_date_content(log: Log) -> int:
    log.rows[7] = replace(log.rows[7], content=replace(receipt(7), made_at=START).content)
    return 7


def change_salt(log: Log) -> int:
    log.rows[7] = replace(log.rows[7], salt=bytes(32))
    return 7


def change_hash(log: Log) -> int:
    log.rows[7] = replace(log.rows[7], hash=bytes(32))
    return 7


def change_entry(log: Log) -> int:
    log.rows[7] = replace(log.rows[7], entry=row_of(7, other_receipt(7)).entry)
    return 7


def replace_all(log: Log) -> int:
    """Entry, hash, content and salt agree with each other."""
    log.rows[7] = row_of(7, other_receipt(7))
    return 7


def lose_content(log: Log) -> int:
    log.rows[7] = replace(log.rows[7], content=None, salt=None)
    return 7


def bring_back(log: Log) -> int:
    log.rows[3] = row_of(3, receipt(3))
    return 3


def damage_entry(log: Log) -> int:
    log.rows[7] = replace(log.rows[7], entry=log.rows[7].entry[:-1] + b"|")
    return 7


WAYS: list[tuple[Callable[[Log], int], Tampering]] = [
    (drop, Tampering.REMOVED),
    (drop_last, Tampering.REMOVED),
    (double, Tampering.INSERTED),
    (make_up, Tampering.INSERTED),
    (make_up_in_place, Tampering.INSERTED),
    (swap, Tampering.REORDERED),
    (move, Tampering.REORDERED),
    (change_content, Tampering.CHANGED),
    (back_date_content, Tampering.CHANGED),
    (change_salt, Tampering.CHANGED),
    (change_hash, Tampering.CHANGED),
    (change_entry, Tampering.CHANGED),
    (replace_all, Tampering.CHANGED),
    (lose_content, Tampering.REMOVED),
    (bring_back, Tampering.INSERTED),
    (damage_entry, Tampering.UNREADABLE),
]


@pytest.mark.parametrize(("way", "kind"), WAYS, ids=[way.__name__ for way, _ in WAYS])
def test_each_way_is_named(way: Callable[[Log], int], kind: Tampering) -> None:
    log = made_log()
    index = way(log)
    report = log.audit()
    assert kind in kinds(report)
    assert named(report, index) or named(report, index - 1)  # of two that were swapped, either
    assert len(report.problems) <= 2


def test_a_log_signed_now_and_then_names_the_span() -> None:
    log = made_log(every=5)
    replace_all(log)
    (problem,) = log.audit().problems
    assert (problem.first, problem.end) == (5, 10)
    assert "one of the leaves 5 to 9" in problem.text


def test_a_rewritten_and_signed_log_contradicts_the_auditors_checkpoint() -> None:
    before = made_log().checkpoints[11]
    log = made_log(0, erased=None)
    log.checkpoints.clear()
    for index in range(COUNT):
        log.rows.append(row_of(index, other_receipt(index) if index == 7 else receipt(index)))
        log.sign()
    assert log.audit().good, "nothing else tells"
    report = log.audit(before)
    assert kinds(report) == {Tampering.CHECKPOINT}
    assert "signed two different trees of 12 leaves" in report.problems[0].text


def test_a_log_shorter_than_the_auditors_checkpoint() -> None:
    before = made_log(30, erased=None).checkpoints[-1]
    log = made_log(20, erased=None)
    (problem,) = log.audit(before).problems
    assert (problem.kind, problem.first, problem.end) == (Tampering.REMOVED, 20, 30)


def test_a_signed_receipt_of_the_past_is_back_dated() -> None:
    log = made_log(erased=None)
    log.rows.append(row_of(COUNT, replace(receipt(COUNT), made_at=START - 86_400)))
    log.sign()
    (problem,) = log.audit().problems
    assert (problem.kind, problem.first) == (Tampering.BACK_DATED, COUNT)


def test_clocks_of_workers_differ() -> None:
    log = made_log(erased=None)
    late = row_of(COUNT, replace(receipt(COUNT), made_at=START + 10 * (COUNT - 1) - 299))
    log.rows.append(late)
    log.sign()
    assert log.audit().good


def test_a_date_does_not_hide_another_leaf() -> None:
    log = made_log(every=5)
    log.rows[7] = row_of(7, replace(receipt(7), made_at=START + 10_000))
    found = {(one.kind, one.first) for one in log.audit().problems}
    assert found == {(Tampering.BACK_DATED, 8), (Tampering.CHANGED, 5)}


def test_an_erasure_of_what_comes_later() -> None:
    log = made_log(erased=None)
    log.add(ErasureEntry(COUNT, ((COUNT, COUNT + 5),), ErasureReason.OPERATOR, START + 10 * COUNT))
    log.sign()
    (problem,) = log.audit().problems
    assert problem.first == COUNT


def test_checkpoints_of_others_do_not_count() -> None:
    log = made_log()
    log.checkpoints[4] = log.checkpoints[4].replace("\n5\n", "\n6\n")
    problems = log.audit().problems
    assert "the checkpoint of 6 leaves (of the log): the signature" in problems[0].text
    log = made_log()
    other = Checkpoint("other", 21, bytes(32))
    (problem,) = log.audit(sign_checkpoint(other, KEY)).problems
    assert "not by a key that is trusted here" in problem.text
    assert ORIGIN not in problem.text
    log.checkpoints.clear()
    assert "no checkpoint" in log.audit().problems[0].text


def test_notices() -> None:
    log = made_log()
    log.notices[NOTICE_HASH] += b" "
    assert [one.text for one in log.audit().problems] == [f"the notice {NOTICE_HASH} was changed"]
    del log.notices[NOTICE_HASH]
    assert kinds(log.audit()) == {Tampering.NOTICE}


def test_random_bits() -> None:
    """Of any column of any leaf."""
    for number in range(300):
        chance = random.Random(number)
        log = made_log()
        index = chance.randrange(len(log.rows))
        row = log.rows[index]
        columns = [c for c in ("entry", "hash", "content", "salt") if getattr(row, c) is not None]
        column = chance.choice(columns)
        data = bytearray(getattr(row, column))
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        change: dict[str, Any] = {column: bytes(data)}
        log.rows[index] = replace(row, **change)
        report = log.audit()
        assert named(report, index), (number, index, column, report.problems)


# --- A log of several nodes, whose entries say when they were made


def entered_log(*entered: int) -> Log:
    """A log of receipts 0, 1, 2, ..., entered so many seconds after the choice."""
    log = Log([], made_log(0, erased=None).notices, [])
    for index, after in enumerate(entered):
        one = receipt(index)
        log.rows.append(row_of(index, one, entered=one.made_at + after))
        log.sign()
    return log


def test_what_is_entered_late_is_counted_and_no_problem() -> None:
    report = entered_log(0, 3, 290, 7200, 9000).audit()
    assert report.problems == ()
    assert (report.late, report.latest) == (2, 9000)


def test_an_entry_before_its_choice_is_named() -> None:
    (problem,) = entered_log(-400, 0, 0).audit().problems
    assert (problem.kind, problem.first) == (Tampering.BACK_DATED, 0)
    assert "entered before" in problem.text


def test_an_entry_before_the_last_one_is_named() -> None:
    """Whoever puts an old choice into the log must say when, or contradict the entry before."""
    report = entered_log(7200, 0, 0).audit()
    assert [(one.kind, one.first) for one in report.problems] == [(Tampering.BACK_DATED, 1)]


def test_the_time_of_an_entry_cannot_be_changed() -> None:
    log = entered_log(0, 0, 7200)
    row = log.rows[2]
    entry = read_entry(row.entry)
    assert isinstance(entry, ReceiptEntry)
    for entered in (receipt(2).made_at, None):
        log.rows[2] = replace(row, entry=entry_bytes(replace(entry, entered=entered)))
        assert named(log.audit(), 2)
