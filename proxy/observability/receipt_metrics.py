"""Metrics of receipts: what this worker has written, and the state of the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from proxy.observability.metrics import Metrics
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.recorder import Recorder
from proxy.receipts.store import ReceiptStore

LOOK_SECONDS = 15.0


def watch_recorder(metrics: Metrics, current: Callable[[], Recorder | None]) -> None:
    """Count what the recorder in use has written and refused, whenever counts are published. A
    reload may bring another recorder, which begins at 0.
    """
    seen: tuple[Recorder | None, int, int] = (None, 0, 0)

    def count() -> None:
        nonlocal seen
        recorder = current()
        if recorder is None:
            return
        recorded, refused = seen[1:] if recorder is seen[0] else (0, 0)
        seen = (recorder, recorder.recorded, recorder.refused)
        metrics.count("receipts", by=seen[1] - recorded)
        metrics.count("receipt_failures", by=seen[2] - refused)

    metrics.on_publish(count)


def _state(store: ReceiptStore) -> tuple[int, int]:
    """The number of leaves, and when the newest receipt was made (0: there is none)."""
    ((newest,),) = store.rows("SELECT max(made_at) FROM receipt", ())
    return store.size, newest or 0


async def watch_log(
    metrics: Metrics, current: Callable[[], Recorder | None], every: float = LOOK_SECONDS
) -> None:
    """Set the gauges of the log now and then, until cancelled: in one worker, for all. They stay as
    they are while the store cannot be read, which `receipt_log_readable` tells.
    """
    while True:
        recorder = current()
        if recorder is not None:
            with contextlib.suppress(ReceiptStoreError):
                waiting = await recorder.outbox_items()
                if waiting is not None:
                    metrics.gauge("receipt_outbox_items", waiting)
            readable = 0
            with contextlib.suppress(ReceiptStoreError):
                size, newest = await recorder.call(_state)
                metrics.gauge("receipt_log_leaves", size)
                metrics.gauge("receipt_log_newest_timestamp_seconds", newest)
                readable = 1
            metrics.gauge("receipt_log_readable", readable)
        await asyncio.sleep(every)
