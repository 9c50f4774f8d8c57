"""Choices of whole days, as they may be published: sums, and which of them are not shown.

Every number that the dashboard shows is a cell of one set of tables, so that no table discloses
what another hides: sites add up to all sites, values to their total, outcomes to all choices, days
to weeks, weeks to the year, and the last days with those before them to the year.

Whole days (UTC) only: were today counted, whoever loads the page twice would read the choice that
was made in between.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from proxy.dashboard.suppression import SMALL, Hidden, hidden_cells
from proxy.receipts.tally import CountKey, Dimension, Outcome

RECENT_DAYS, YEAR_DAYS = 30, 365
MOST_VALUES = 30
"""Values of a dimension that are shown by name. The rest are one, `OTHER`."""
MOST_OVER_TIME = 6
OTHER = "(others)"
WITHOUT_OUTCOMES = frozenset({Dimension.ACTION})
"""An action says its outcome already: both together would hide more than they tell."""
EVERY = ""
"""In place of a site, a value or an outcome: all of them."""
UNKNOWN = "(not known)"


class Window(StrEnum):
    """A period that ends with yesterday."""

    RECENT = "30"
    YEAR = "365"
    OLDER = "older"
    """The year without the recent days. Not shown, but it is their difference."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number. `period` is a window, the first day of a week (`w2026-11-02`), a day
    (`d2026-11-02`), or the part of a week before the recent days (`r...`).
    """

    period: str
    site: str = EVERY
    dimension: Dimension = Dimension.TOTAL
    value: str = EVERY
    outcome: str = EVERY


Number = int | Hidden


@dataclass(frozen=True, slots=True)
class Statistics:
    """The cells of one day's publication. `first` and `last` are the days of the year."""

    first: datetime.date
    last: datetime.date
    sites: tuple[str, ...]
    values: Mapping[tuple[str, Dimension], tuple[str, ...]]
    """By window and dimension, the most frequent first."""
    numbers: Mapping[Cell, int]
    hidden: Mapping[Cell, Hidden]

    def number(self, cell: Cell) -> Number:
        # Of a few people a zero tells too: that all of them chose otherwise.
        if cell.outcome and self.hidden.get(replace(cell, outcome=EVERY)) is Hidden.SMALL:
            return Hidden.COMPLEMENT
        return self.hidden.get(cell) or self.numbers.get(cell, 0)

    def days(self) -> list[datetime.date]:
        """The recent days, in order."""
        return [self.last - datetime.timedelta(days=n) for n in reversed(range(RECENT_DAYS))]

    def weeks(self) -> list[datetime.date]:
        """The first days of the year's weeks, in order; the first week may be a part of one."""
        return sorted({_monday(self.first + datetime.timedelta(days=n)) for n in range(YEAR_DAYS)})


def shown_or_small(number: int) -> Number:
    """A number that stands on its own."""
    return Hidden.SMALL if 0 < number < SMALL else number


def statistics(days: Mapping[int, Mapping[CountKey, int]], last: datetime.date) -> Statistics:
    """Publish counted days (days since 1970) up to `last`."""
    first = last - datetime.timedelta(days=YEAR_DAYS - 1)
    counts, values = _named(_dated(days, first, last))
    sites = tuple(sorted({key[1] for key in counts} - {EVERY}))
    numbers: Counter[Cell] = Counter()
    for (period, site, dimension, value, outcome), number in counts.items():
        # A single site is all sites: its numbers are not another table.
        for where in {EVERY, site} if len(sites) > 1 else {EVERY}:
            if dimension not in WITHOUT_OUTCOMES:
                numbers[Cell(period, where, dimension, value, outcome)] += number
            numbers[Cell(period, where, dimension, value, EVERY)] += number
    hidden = hidden_cells(numbers, _sums(numbers))
    return Statistics(first, last, sites, values, numbers, hidden)


_EPOCH = datetime.date(1970, 1, 1)

_Counts = Counter[tuple[str, str, Dimension, str, Outcome]]


def _dated(
    days: Mapping[int, Mapping[CountKey, int]], first: datetime.date, last: datetime.date
) -> _Counts:
    """The counts of each window, week and day."""
    recent = last - datetime.timedelta(days=RECENT_DAYS - 1)
    parts: dict[tuple[str, Window], Counter[CountKey]] = {}
    found: _Counts = Counter()
    for number, counts in days.items():
        day = _EPOCH + datetime.timedelta(days=number)
        if not first <= day <= last:
            continue
        window = Window.RECENT if day >= recent else Window.OLDER
        parts.setdefault((_monday(day).isoformat(), window), Counter()).update(counts)
        if window is Window.RECENT:
            for (site, dimension, _, outcome), count in counts.items():
                if dimension is Dimension.TOTAL:
                    found[f"d{day.isoformat()}", site, dimension, EVERY, outcome] += count
    for (week, window), part in parts.items():
        for (site, dimension, value, outcome), count in part.items():
            name = value or _unknown(dimension)
            found[Window.YEAR, site, dimension, name, outcome] += count
            found[window, site, dimension, name, outcome] += count
            is_total = dimension is Dimension.TOTAL
            found[f"w{week}", site if is_total else EVERY, dimension, name, outcome] += count
            if is_total and window is Window.OLDER:
                # The part of a week that no day shows.
                found[f"r{week}", site, dimension, name, outcome] += count
    return found


def _unknown(dimension: Dimension) -> str:
    return EVERY if dimension is Dimension.TOTAL else UNKNOWN


def _named(
    counts: _Counts,
) -> tuple[_Counts, dict[tuple[str, Dimension], tuple[str, ...]]]:
    """The counts with the rare values as one, and the values' order."""
    frequency: Counter[tuple[str, Dimension, str]] = Counter()
    for (period, _, dimension, value, _), number in counts.items():
        if period in {Window.YEAR, Window.RECENT}:
            frequency[period, dimension, value] += number
    order: dict[tuple[str, Dimension], tuple[str, ...]] = {}
    for dimension in Dimension:
        by_year = _most(frequency, Window.YEAR, dimension)
        frequent = set(by_year[:MOST_VALUES])
        for window in (Window.YEAR, Window.RECENT):
            ranked = _most(frequency, window, dimension)
            names = [value for value in ranked if value in frequent]
            rest = [OTHER] if set(ranked) - frequent else []
            order[window.value, dimension] = (*names, *rest)
    found: _Counts = Counter()
    named = {d: set(order[Window.YEAR.value, d]) for d in Dimension}
    over_time = {d: set(order[Window.YEAR.value, d][:MOST_OVER_TIME]) for d in Dimension}
    for (period, site, dimension, value, outcome), number in counts.items():
        known = over_time if period[0] == "w" else named
        name = value if value in known[dimension] else OTHER
        found[period, site, dimension, name, outcome] += number
    return found, order


def _most(
    frequency: Mapping[tuple[str, Dimension, str], int], window: Window, dimension: Dimension
) -> list[str]:
    of = [(-n, v) for (w, d, v), n in frequency.items() if (w, d) == (window, dimension)]
    return [value for _, value in sorted(of)]


def _sums(numbers: Mapping[Cell, int]) -> Iterator[Sequence[Cell]]:
    """Every sum: its total and its parts."""
    yield from _along(numbers, "site", EVERY, None)
    yield from _along(numbers, "outcome", EVERY, None)
    yield from _value_sums(numbers)
    yield from _along(numbers, "period", Window.YEAR, {Window.RECENT, Window.OLDER})
    weeks = {cell.period for cell in numbers if cell.period[0] == "w"}
    yield from _along(numbers, "period", Window.YEAR, weeks)
    days = {cell.period for cell in numbers if cell.period[0] == "d"}
    yield from _along(numbers, "period", Window.RECENT, days)
    for week in weeks:
        monday = datetime.date.fromisoformat(week[1:])
        within = {f"d{(monday + datetime.timedelta(days=n)).isoformat()}" for n in range(7)}
        yield from _along(numbers, "period", week, (within & days) | {f"r{week[1:]}"})


def _along(
    numbers: Mapping[Cell, int], axis: str, total: str, parts: Iterable[str] | None
) -> Iterator[Sequence[Cell]]:
    """The sums along one axis. `parts` None: all that are no total."""
    wanted = None if parts is None else set(parts)
    lines: dict[tuple[object, ...], list[Cell]] = {}
    for cell in numbers:
        place = getattr(cell, axis)
        if place != total and (wanted is None or place in wanted):
            lines.setdefault(_elsewhere(cell, axis), []).append(cell)
    for cell in numbers:
        if getattr(cell, axis) != total:
            continue
        found = lines.get(_elsewhere(cell, axis), [])
        # Elsewhere other values stand for themselves: then it is not their sum.
        if found and sum(numbers[one] for one in found) == numbers[cell]:
            yield cell, *found


def _elsewhere(cell: Cell, axis: str) -> tuple[object, ...]:
    names = ("period", "site", "dimension", "value", "outcome")
    return tuple(getattr(cell, name) for name in names if name != axis)


def _value_sums(numbers: Mapping[Cell, int]) -> Iterator[Sequence[Cell]]:
    """The values of each dimension but category add up to the total; a category's outcomes do."""
    lines: dict[tuple[str, str, str, Dimension], list[Cell]] = {}
    for cell in numbers:
        if cell.dimension not in {Dimension.TOTAL, Dimension.CATEGORY}:
            at = cell.period, cell.site, cell.outcome, cell.dimension
            lines.setdefault(at, []).append(cell)
    for (period, site, outcome, _), parts in lines.items():
        total = Cell(period, site, outcome=outcome)
        if numbers.get(total) == sum(numbers[one] for one in parts):
            yield total, *parts


def _monday(day: datetime.date) -> datetime.date:
    return day - datetime.timedelta(days=day.weekday())
