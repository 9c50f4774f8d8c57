"""Numbers of choices by day, counted by the database: no receipt leaves it.

The database groups a day's receipts by what is counted, so a store with millions costs this process
a few rows a day. A day that was counted is counted again only where receipts of it came or went.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proxy.receipts.opening import read_place
from proxy.receipts.place import StorePlace
from proxy.receipts.storage import Row
from proxy.receipts.store import ReceiptStore

DAY_SECONDS = 86_400


class Outcome(StrEnum):
    """What is open after a choice, of the categories with a switch. Of one category: ALL or
    NONE.
    """

    ALL = "all"
    SOME = "some"
    NONE = "none"


class Dimension(StrEnum):
    """What choices are counted by."""

    TOTAL = "total"
    CATEGORY = "category"
    REGION = "region"
    LANGUAGE = "language"
    DEVICE = "device"
    SIGNAL = "signal"
    REGIME = "regime"
    ACTION = "action"


CountKey = tuple[str, Dimension, str, Outcome]
"""Site, dimension, its value ("" for the total) and outcome."""

# Days of UTC, as whole numbers since 1970. Both databases divide whole numbers so.
_DAYS = (
    "SELECT made_at / 86400, count(*), sum(idx) FROM receipt WHERE made_at >= ? AND made_at < ? "
    "GROUP BY 1"
)
_GROUPS_SQLITE = """
SELECT site, notice, json_extract(body, '$.region'), json_extract(body, '$.device'),
    json_extract(body, '$.gpc'), json_extract(body, '$.regime'), json_extract(body, '$.action'),
    json_extract(body, '$.after.categories'), count(*)
FROM (SELECT site, notice, CAST(content AS TEXT) AS body FROM receipt
    WHERE made_at >= ? AND made_at < ?)
WHERE json_valid(body) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""
_GROUPS_POSTGRESQL = """
SELECT site, notice, body ->> 'region', body ->> 'device', (body ->> 'gpc')::boolean,
    body ->> 'regime', body ->> 'action', body -> 'after' ->> 'categories', count(*)
FROM (SELECT site, notice, convert_from(content, 'UTF8')::jsonb AS body FROM receipt
    WHERE made_at >= ? AND made_at < ?) AS made
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""
_NECESSARY = "necessary"


@dataclass(slots=True)
class _Day:
    """`stamp` is equal while no receipt of the day came or went, as far as counting can tell."""

    stamp: tuple[int, int]
    counts: Counter[CountKey]


@dataclass(slots=True)
class Tally:
    """Counted days, by days since 1970; a day's counts are the same object until they change.
    `missing` are days that could not be counted yet, `counted_at` is Unix time.
    """

    days: dict[int, Counter[CountKey]] = field(default_factory=dict)
    missing: frozenset[int] = frozenset()
    counted_at: float = 0.0


class ReceiptCounter:
    """Counts the receipts of a place. For one thread at a time.

    Opens the store anew each time and closes it: a proxy whose dashboard nobody looks at holds no
    connection for it. Reads a day in a statement of its own, so that nothing waits for it for long.
    """

    def __init__(self, place: StorePlace, clock: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._clock = clock
        self._days: dict[int, _Day] = {}
        self._languages: dict[str, str] = {}
        self._stamps: dict[int, tuple[int, int]] = {}
        self._asked: tuple[int, int, int] | None = None

    def count(self, first: int, last: int, now: float, seconds: float) -> Tally:
        """The days `first` to `last`, the newest first, for so many seconds at most. Raises
        ReceiptStoreError.
        """
        end = self._clock() + seconds
        store = read_place(self._place)
        try:
            missing = self._update(store, first, last, end)
        finally:
            store.close()
        wanted = {day: one.counts for day, one in self._days.items() if first <= day <= last}
        return Tally(wanted, missing, now)

    def _update(self, store: ReceiptStore, first: int, last: int, end: float) -> frozenset[int]:
        # Whatever comes or goes makes the log longer.
        asked = (store.size, first, last)
        if asked != self._asked:
            period = (first * DAY_SECONDS, (last + 1) * DAY_SECONDS)
            rows = store.storage.fetch(_DAYS, period)
            self._stamps = {int(day): (int(number), int(total)) for day, number, total in rows}
            self._asked = asked
        for day in self._days.keys() - self._stamps.keys():
            del self._days[day]
        stamps = self._stamps
        stale = [d for d in sorted(stamps, reverse=True) if self._stamp(d) != stamps[d]]
        for number, day in enumerate(stale):
            if number and self._clock() > end:
                return frozenset(stale[number:])
            self._days[day] = _Day(stamps[day], self._count_day(store, day))
        return frozenset()

    def _stamp(self, day: int) -> tuple[int, int] | None:
        known = self._days.get(day)
        return None if known is None else known.stamp

    def _count_day(self, store: ReceiptStore, day: int) -> Counter[CountKey]:
        statement = _GROUPS_POSTGRESQL if self._place.url else _GROUPS_SQLITE
        period = (day * DAY_SECONDS, (day + 1) * DAY_SECONDS)
        groups = store.storage.fetch(statement, period)
        names = sorted({str(row[1]) for row in groups} - self._languages.keys())
        for name in names:
            self._languages[name] = _language(store.notice(name))
        counts: Counter[CountKey] = Counter()
        for row in groups:
            _add(counts, row, self._languages)
        return counts


def _add(counts: Counter[CountKey], row: Row, languages: Mapping[str, str]) -> None:
    site, notice, region, device, gpc, regime, action, categories, number = row
    switches = _switches(categories)
    outcome = _outcome(switches)
    values = {
        Dimension.TOTAL: "",
        Dimension.REGION: str(region or ""),
        Dimension.LANGUAGE: languages[str(notice)],
        Dimension.DEVICE: str(device or ""),
        Dimension.SIGNAL: "sent" if gpc else "not sent",
        Dimension.REGIME: str(regime or ""),
        Dimension.ACTION: str(action or ""),
    }
    for dimension, value in values.items():
        counts[str(site), dimension, value, outcome] += int(number)
    for category, is_open in switches.items():
        one = Outcome.ALL if is_open else Outcome.NONE
        counts[str(site), Dimension.CATEGORY, category, one] += int(number)


def _switches(categories: object) -> dict[str, bool]:
    """The categories with a switch, from the JSON text of a receipt."""
    try:
        found = json.loads(str(categories))
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): is_open is True for name, is_open in found.items() if name != _NECESSARY}


def _outcome(switches: Mapping[str, bool]) -> Outcome:
    if not any(switches.values()):
        return Outcome.NONE
    return Outcome.ALL if all(switches.values()) else Outcome.SOME


def _language(notice: bytes | None) -> str:
    """The language of a notice; "" where it is not known."""
    try:
        found = json.loads(notice or b"{}")
    except ValueError:
        return ""
    language = found.get("language", "") if isinstance(found, dict) else ""
    return language if isinstance(language, str) else ""
