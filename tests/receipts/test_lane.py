"""The thread of a database: what nobody waits for any more ends without a word."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.lane import Lane


class _Open:
    is_in_place = True

    def abort(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("how", ["stopped", "too late"])
async def test_a_failure_that_nobody_waits_for_is_no_fault_of_the_loop(how: str) -> None:
    said: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    began, go = threading.Event(), threading.Event()

    def open_it() -> _Open:
        began.set()
        go.wait(30)
        raise ReceiptStoreError("no connection")

    lane = Lane("test", open_it, limit=0.05 if how == "too late" else 30)
    waiting = asyncio.create_task(lane.run(lambda _: None))
    await asyncio.to_thread(began.wait, 30)
    if how == "stopped":
        waiting.cancel()
    done, _ = await asyncio.wait([waiting])
    go.set()
    await lane.close()
    (ended,) = done
    assert ended.cancelled() or isinstance(ended.exception(), ReceiptStoreError)
    assert ended.cancelled() == (how == "stopped")
    del waiting, done, ended
    gc.collect()
    await asyncio.sleep(0)
    assert said == []
