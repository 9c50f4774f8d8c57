"""Erase receipts that are older than `keep_days`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.recorder import Recorder

_log = logging.getLogger("consent_proxy.receipts")

CHECK_SECONDS = 600.0
_PROGRESS_EVERY = 20
"""Transactions between two lines of the log."""


async def erase_old(recorder: Recorder, keep_days: int, now: int) -> int:
    """Erase what is older; how many receipts. A choice that arrives meanwhile waits for one
    transaction, not for all. Raises ReceiptStoreError.
    """
    erased = transactions = 0
    while count := await recorder.erase_before(now - keep_days * 86_400, now):
        erased += count
        transactions += 1
        if transactions % _PROGRESS_EVERY == 0:
            _log.info("%d receipts older than %d days erased so far", erased, keep_days)
    if erased:
        _log.info("%d receipts older than %d days erased", erased, keep_days)
    return erased


async def erase_old_periodically(
    current: Callable[[], tuple[Recorder | None, int]], clock: Callable[[], float]
) -> None:
    """Erase what is older, every ten minutes, until cancelled. `current` returns the recorder in
    use and its `keep_days`.
    """
    while True:
        recorder, keep_days = current()
        if recorder is not None:
            # Opens the store: what is wrong with it is logged before a visitor chooses.
            with contextlib.suppress(ReceiptStoreError):
                await erase_old(recorder, keep_days, int(clock()))
        await asyncio.sleep(CHECK_SECONDS)
