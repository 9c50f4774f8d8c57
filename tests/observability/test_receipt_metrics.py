"""Metrics of receipts: written, refused, and the state of the log."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from proxy.observability.receipt_metrics import watch_log, watch_recorder
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.place import StorePlace
from proxy.receipts.recorder import Recorder
from tests.support.prometheus_text import samples
from tests.support.receipt_logs import NOTICE, ORIGIN, START, receipt
from tests.support.waiting import PATIENCE


def recorder_in(folder: Path) -> Recorder:
    return Recorder(StorePlace(folder / "receipts.db", folder / "receipts.pem", ORIGIN))


def values(metrics: Metrics) -> dict[str, float]:
    found = samples(metrics_text(metrics))
    return {key[0]: value for key, value in found.items() if key[0].startswith("receipt")}


@contextlib.asynccontextmanager
async def watching(metrics: Metrics, current: list[Recorder | None]) -> AsyncIterator[None]:
    task = asyncio.create_task(watch_log(metrics, lambda: current[0], every=0.01))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(metrics: Metrics, name: str, value: float) -> None:
    end = time.monotonic() + PATIENCE
    while values(metrics).get(name) != value:
        assert time.monotonic() < end, values(metrics)
        await asyncio.sleep(0.01)


async def test_what_is_written_and_what_is_not(tmp_path: Path) -> None:
    metrics = Metrics()
    current: list[Recorder | None] = [None]
    watch_recorder(metrics, lambda: current[0])
    assert values(metrics) == {"receipts_total": 0, "receipt_failures_total": 0}
    current[0] = first = recorder_in(tmp_path)
    async with watching(metrics, current):
        await until(metrics, "receipt_log_readable", 1)
        assert values(metrics)["receipt_log_newest_timestamp_seconds"] == 0
        for number in range(3):
            await first.record(receipt(number), NOTICE)
        await until(metrics, "receipt_log_leaves", 3)
        found = values(metrics)
        assert (found["receipts_total"], found["receipt_failures_total"]) == (3, 0)
        assert found["receipt_log_newest_timestamp_seconds"] == START + 20

        # The key is lost: choices are refused, and the log cannot be opened anew.
        await first.close()
        (tmp_path / "receipts.pem").unlink()
        current[0] = second = recorder_in(tmp_path)
        with pytest.raises(ReceiptStoreError):
            await second.record(replace(receipt(9), receipt_id="refused"), NOTICE)
        await until(metrics, "receipt_log_readable", 0)
        found = values(metrics)
        assert (found["receipts_total"], found["receipt_failures_total"]) == (3, 1)
        assert found["receipt_log_leaves"] == 3
    await second.close()


async def test_what_waits_for_a_database_that_is_down(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # where nobody answers, once it is closed
    url = f"postgresql://nobody@127.0.0.1:{port}/none"
    place = StorePlace(tmp_path / "outbox.db", tmp_path / "receipts.pem", ORIGIN, url)
    metrics, recorder = Metrics(), Recorder(place)
    async with watching(metrics, [recorder]):
        for number in range(2):
            await recorder.record(receipt(number), NOTICE)
        await until(metrics, "receipt_outbox_items", 2)
        assert values(metrics)["receipt_log_readable"] == 0
    await recorder.close()
