"""The statistics of choices, made when somebody looks at them, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from proxy.dashboard.statistics import (
    YEAR_DAYS,
    Number,
    Statistics,
    shown_or_small,
    statistics,
)
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.place import StorePlace
from proxy.receipts.tally import CountKey, Dimension, ReceiptCounter, Tally

_log = logging.getLogger("consent_proxy.dashboard")

_FRESH_SECONDS = 20.0
"""For so long the store is not asked again."""
_SLICE_SECONDS = 0.5
_PAUSE_SECONDS = 0.1
"""Between two slices, which others have for themselves."""
_WAIT_SECONDS = 1.0
"""How long a page waits for the numbers."""
_EPOCH = datetime.date(1970, 1, 1)

Days = Mapping[int, Counter[CountKey]]


@dataclass(frozen=True, slots=True)
class ChoiceNumbers:
    """What is known now. `statistics` is None while nothing could be counted; `counted_at` is when
    it was (Unix time). `today` is the number of today's choices so far. `counting` says how far a
    count has come, `problem` why there is none.
    """

    statistics: Statistics | None = None
    counted_at: float = 0.0
    today: Number = 0
    counting: str = ""
    problem: str = ""


class ChoiceStatistics:
    """The numbers of the receipts' store in force. Nothing is read until somebody asks."""

    def __init__(
        self,
        place: Callable[[], StorePlace | None],
        now: Callable[[], float] = time.time,
        slice_seconds: float = _SLICE_SECONDS,
    ) -> None:
        self._place = place
        self._now = now
        self._slice = slice_seconds
        self._counted_place: StorePlace | None = None
        self._counter: ReceiptCounter | None = None
        self._published: Days = {}
        self._numbers = ChoiceNumbers()
        self._asked_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def current(self) -> ChoiceNumbers | None:
        """The numbers; None where no receipts are written. Waits a second for a count at most; then
        what was known before is returned, and says of when it is.
        """
        place = self._place()
        if place is None:
            return None
        if place != self._counted_place:
            await self.close()
            self._counted_place, self._counter = place, ReceiptCounter(place)
            self._published, self._numbers = {}, ChoiceNumbers()
            self._asked_at = float("-inf")
        if self._task is None and time.monotonic() - self._asked_at > _FRESH_SECONDS:
            self._task = asyncio.create_task(self._count(self._counter or ReceiptCounter(place)))
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_WAIT_SECONDS)
        return self._numbers

    async def close(self) -> None:
        """End a count that is going on, after its slice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _count(self, counter: ReceiptCounter) -> None:
        try:
            await self._count_all(counter)
        except ReceiptStoreError as error:
            self._numbers = replace(self._numbers, problem=str(error), counting="")
        except Exception:
            _log.exception("choices could not be counted")
            self._numbers = replace(self._numbers, problem="see the log", counting="")
        finally:
            self._asked_at = time.monotonic()
            self._task = None

    async def _count_all(self, counter: ReceiptCounter) -> None:
        now = self._now()
        today = (datetime.datetime.fromtimestamp(now, datetime.UTC).date() - _EPOCH).days
        while True:
            found = await _finished(counter, today, now, self._slice)
            if not found.missing:
                break
            day = _EPOCH + datetime.timedelta(days=max(found.missing))
            self._numbers = replace(
                self._numbers,
                problem="",
                counting=f"{len(found.missing)} days up to {day.isoformat()} are still to be "
                "counted. Load the page again.",
            )
            await asyncio.sleep(_PAUSE_SECONDS)
        whole = {day: counts for day, counts in found.days.items() if day < today}
        last = _EPOCH + datetime.timedelta(days=today - 1)
        known = self._numbers.statistics
        if known is None or known.last != last or not _same(whole, self._published):
            known = await asyncio.to_thread(statistics, whole, last)
            self._published = whole
        so_far = sum(
            number
            for (_, dimension, _, _), number in found.days.get(today, Counter[CountKey]()).items()
            if dimension is Dimension.TOTAL
        )
        self._numbers = ChoiceNumbers(known, found.counted_at, shown_or_small(so_far))


async def _finished(counter: ReceiptCounter, today: int, now: float, seconds: float) -> Tally:
    """A slice of a count. It is waited for even where the task is cancelled: the counter is for one
    thread.
    """
    counting = asyncio.ensure_future(
        asyncio.to_thread(counter.count, today - YEAR_DAYS, today, now, seconds)
    )
    try:
        return await asyncio.shield(counting)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await counting
        raise


def _same(one: Days, other: Days) -> bool:
    return one.keys() == other.keys() and all(one[day] is other[day] for day in one)
