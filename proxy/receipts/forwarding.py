"""Forward the outbox of a node, for as long as it serves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.forwarder import BATCH
from proxy.receipts.recorder import Recorder

_log = logging.getLogger("consent_proxy.receipts")

_POLL_SECONDS = 0.2
"""How long a receipt waits for the others of its batch, at most."""
_MAX_PAUSE = 10.0


async def forward_periodically(current: Callable[[], Recorder | None]) -> None:
    """Forward what the outbox of the recorder in use holds, until cancelled."""
    pause, failed = _POLL_SECONDS, False
    while True:
        recorder = current()
        try:
            count = 0 if recorder is None else await recorder.forward()
        except ReceiptStoreError:
            failed = True
            pause = min(pause * 2, _MAX_PAUSE)
        else:
            if failed and count:
                failed = False
                _log.info("receipts are forwarded from the outbox again")
            pause = 0.0 if count == BATCH else _POLL_SECONDS
        await asyncio.sleep(pause)
