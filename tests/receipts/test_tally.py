"""Choices by day, as either database counts them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent_rules.receipts.entries import ErasureReason
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.opening import open_place
from proxy.receipts.place import StorePlace
from proxy.receipts.tally import CountKey, Dimension, Outcome, ReceiptCounter
from tests.support.dashboard import receipt_of, write
from tests.support.postgresql import Server
from tests.support.receipt_logs import ORIGIN

pytestmark = pytest.mark.slow

DAY = 20_000


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorePlace]:
    key = tmp_path / "receipts.pem"
    if request.param == "sqlite":
        yield StorePlace(tmp_path / "receipts.db", key, ORIGIN)
        return
    server: Server = request.getfixturevalue("server")
    yield StorePlace(tmp_path / "outbox.db", key, ORIGIN, server.new_database())


def count(counter: ReceiptCounter, first: int = DAY - 10, last: int = DAY + 10) -> dict[int, int]:
    found = counter.count(first, last, 0.0, 60.0)
    assert not found.missing
    return {day: total(counts) for day, counts in found.days.items()}


def total(counts: Counter[CountKey]) -> int:
    return sum(n for (_, dimension, _, _), n in counts.items() if dimension is Dimension.TOTAL)


def test_by_everything(place: StorePlace) -> None:
    write(
        place,
        [
            receipt_of(1, DAY, categories={"analytics": True, "social": True}, language="de"),
            receipt_of(2, DAY, categories={"analytics": True, "social": False}, region="US-CA",
                       gpc=True, device="desktop", regime="opt_out", action="opt_out"),
            receipt_of(3, DAY, categories={"analytics": False, "social": False}, site="shop"),
            receipt_of(4, DAY, categories={}, site="shop"),
        ],
    )  # fmt: skip
    (counts,) = ReceiptCounter(place).count(DAY, DAY, 0.0, 60.0).days.values()
    found = {key: number for key, number in counts.items() if key[0] == "www"}
    assert found == {
        ("www", Dimension.TOTAL, "", Outcome.ALL): 1,
        ("www", Dimension.TOTAL, "", Outcome.SOME): 1,
        ("www", Dimension.CATEGORY, "analytics", Outcome.ALL): 2,
        ("www", Dimension.CATEGORY, "social", Outcome.ALL): 1,
        ("www", Dimension.CATEGORY, "social", Outcome.NONE): 1,
        ("www", Dimension.REGION, "DE", Outcome.ALL): 1,
        ("www", Dimension.REGION, "US-CA", Outcome.SOME): 1,
        ("www", Dimension.LANGUAGE, "de", Outcome.ALL): 1,
        ("www", Dimension.LANGUAGE, "en", Outcome.SOME): 1,
        ("www", Dimension.DEVICE, "phone", Outcome.ALL): 1,
        ("www", Dimension.DEVICE, "desktop", Outcome.SOME): 1,
        ("www", Dimension.SIGNAL, "not sent", Outcome.ALL): 1,
        ("www", Dimension.SIGNAL, "sent", Outcome.SOME): 1,
        ("www", Dimension.REGIME, "opt_in", Outcome.ALL): 1,
        ("www", Dimension.REGIME, "opt_out", Outcome.SOME): 1,
        ("www", Dimension.ACTION, "accept_all", Outcome.ALL): 1,
        ("www", Dimension.ACTION, "opt_out", Outcome.SOME): 1,
    }
    assert counts["shop", Dimension.TOTAL, "", Outcome.NONE] == 2


def test_what_comes_and_what_is_erased(place: StorePlace) -> None:
    write(place, [receipt_of(n, DAY - n % 2) for n in range(10)])
    counter = ReceiptCounter(place)
    assert count(counter) == {DAY: 5, DAY - 1: 5}
    same = counter.count(DAY - 1, DAY, 0.0, 60.0).days[DAY]
    write(place, [receipt_of(20, DAY - 1), receipt_of(21, DAY - 3), receipt_of(22, DAY + 99)])
    assert count(counter) == {DAY: 5, DAY - 1: 6, DAY - 3: 1}
    # What has not changed is the object of before, and was not counted again.
    assert counter.count(DAY - 1, DAY, 0.0, 60.0).days[DAY] is same
    store = open_place(place)
    store.erase("id-21", ErasureReason.VISITOR, 1)
    store.erase("id-0", ErasureReason.VISITOR, 1)
    store.close()
    assert count(counter) == {DAY: 4, DAY - 1: 6}


def test_a_count_takes_so_long_and_goes_on(place: StorePlace) -> None:
    write(place, [receipt_of(n, DAY - n) for n in range(6)])
    ticks = itertools.count(0.0, 1.0)
    counter = ReceiptCounter(place, lambda: next(ticks))
    seen = []
    for _ in range(10):
        found = counter.count(DAY - 9, DAY, 0.0, 1.5)
        seen.append((len(found.days), len(found.missing)))
        if not found.missing:
            break
    assert seen == [(2, 4), (4, 2), (6, 0)]
    assert max(found.days) == DAY


def test_no_store_yet(tmp_path: Path) -> None:
    counter = ReceiptCounter(StorePlace(tmp_path / "receipts.db", tmp_path / "k.pem", ORIGIN))
    with pytest.raises(ReceiptStoreError, match="there is no store"):
        counter.count(DAY, DAY, 0.0, 1.0)
