"""What is published of choices, and what no reader can subtract."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable

import pytest

from proxy.dashboard.choice_tables import View, sections
from proxy.dashboard.statistics import (
    EVERY,
    RECENT_DAYS,
    YEAR_DAYS,
    Cell,
    Statistics,
    Window,
    statistics,
)
from proxy.dashboard.suppression import Hidden
from proxy.dashboard.tables import Value
from proxy.receipts.tally import CountKey, Dimension, Outcome

LAST = datetime.date(2026, 11, 28)
LAST_DAY = (LAST - datetime.date(1970, 1, 1)).days
S, C = Hidden.SMALL, Hidden.COMPLEMENT

Choice = tuple[int, str, str, Outcome, int]
"""Days before the last one, site, region, outcome, how many."""


def published(choices: Iterable[Choice]) -> Statistics:
    days: dict[int, Counter[CountKey]] = {}
    for back, site, region, outcome, number in choices:
        day = days.setdefault(LAST_DAY - back, Counter())
        day[site, Dimension.TOTAL, "", outcome] += number
        day[site, Dimension.REGION, region, outcome] += number
    return statistics(days, LAST)


def regions(found: Statistics, site: str = EVERY, window: Window = Window.YEAR) -> dict[str, Value]:
    names = found.values[window.value, Dimension.REGION]
    return {n: found.number(Cell(window.value, site, Dimension.REGION, n)) for n in names}


def test_whole_numbers() -> None:
    found = published([(0, "www", "DE", Outcome.ALL, 20), (40, "www", "FR", Outcome.NONE, 10)])
    assert found.number(Cell("365")) == 30
    assert found.number(Cell("30")) == 20
    assert regions(found) == {"DE": 20, "FR": 10}
    assert found.number(Cell("30", outcome=Outcome.ALL)) == 20
    assert found.number(Cell("30", outcome=Outcome.NONE)) == 0


def test_the_period_ends_where_it_says() -> None:
    edge = (RECENT_DAYS - 1, RECENT_DAYS, YEAR_DAYS - 1, YEAR_DAYS, -1)
    found = published([(back, "www", "DE", Outcome.ALL, 10) for back in edge])
    assert (found.number(Cell("30")), found.number(Cell("365"))) == (10, 30)


def test_a_small_region_is_not_the_rest_of_the_total() -> None:
    found = published(
        [(0, "www", "DE", Outcome.ALL, 20), (0, "www", "FR", Outcome.ALL, 9),
         (0, "www", "AT", Outcome.ALL, 2)]
    )  # fmt: skip
    assert found.number(Cell("30")) == 31
    assert regions(found) == {"DE": 20, "FR": C, "AT": S}


def test_a_small_site_is_not_what_another_site_leaves() -> None:
    """All sites less one site would be the other."""
    found = published(
        [(0, "www", "DE", Outcome.ALL, 50), (0, "www", "FR", Outcome.ALL, 30),
         (0, "shop", "DE", Outcome.ALL, 2), (0, "shop", "FR", Outcome.ALL, 40)]
    )  # fmt: skip
    assert regions(found, "shop")["DE"] is S
    assert regions(found, "www")["DE"] is C or regions(found)["DE"] is C


def test_a_small_window_is_not_the_difference_of_two() -> None:
    choices: list[Choice] = [(back, "www", "DE", Outcome.ALL, 20) for back in range(60)]
    choices += [(back, "www", "AT", Outcome.ALL, 10) for back in range(0, 28, 7)]
    found = published([*choices, (40, "www", "AT", Outcome.ALL, 2)])
    year, recent = regions(found)["AT"], regions(found, window=Window.RECENT)["AT"]
    assert isinstance(year, Hidden) or isinstance(recent, Hidden)


def test_a_small_day_is_not_what_a_week_leaves() -> None:
    choices: list[Choice] = [(back, "www", "DE", Outcome.ALL, 10) for back in range(14)]
    found = published([*choices[:3], (3, "www", "DE", Outcome.ALL, 2), *choices[4:]])
    days = [found.number(Cell(f"d{day.isoformat()}")) for day in found.days()]
    assert sum(isinstance(day, Hidden) for day in days) >= 2
    small = found.last - datetime.timedelta(days=3)
    monday = small - datetime.timedelta(days=small.weekday())
    week = [found.number(Cell(f"d{monday + datetime.timedelta(days=n)}")) for n in range(7)]
    is_known = isinstance(found.number(Cell(f"w{monday}")), int)
    assert not is_known or sum(isinstance(day, Hidden) for day in week) >= 2


def test_of_few_people_not_even_a_zero_is_shown() -> None:
    found = published([(0, "www", "DE", Outcome.ALL, 20), (0, "www", "AT", Outcome.NONE, 3)])
    at = Cell("30", dimension=Dimension.REGION, value="AT")
    outcomes = [found.number(Cell(*at_outcome(at, one))) for one in Outcome]
    assert outcomes == [C, C, C]


def at_outcome(cell: Cell, outcome: Outcome) -> tuple[str, str, Dimension, str, str]:
    return cell.period, cell.site, cell.dimension, cell.value, outcome


def test_rare_values_are_one() -> None:
    found = published([(0, "www", f"R{n:02}", Outcome.ALL, 100 - n) for n in range(40)])
    names = found.values["365", Dimension.REGION]
    assert (len(names), names[0], names[-1]) == (31, "R00", "(others)")
    assert regions(found)["(others)"] == sum(100 - n for n in range(30, 40))


@pytest.mark.parametrize("by", ["category", "site", "region", "language", "device"])
@pytest.mark.parametrize("window", [Window.RECENT, Window.YEAR])
@pytest.mark.parametrize("site", [EVERY, "www"])
def test_no_table_and_no_chart_has_a_small_number(by: str, window: Window, site: str) -> None:
    days: dict[int, Counter[CountKey]] = {}
    for back in range(0, 200, 3):
        day = days[LAST_DAY - back] = Counter[CountKey]()
        for where, number in (("www", back % 7), ("shop", back % 5)):
            for dimension in Dimension:
                value = "" if dimension is Dimension.TOTAL else f"v{back % 3}"
                if number:
                    day[where, dimension, value, Outcome.ALL] += number
                    day[where, dimension, value, Outcome.NONE] += 1
    found = statistics(days, LAST)
    made = sections(found, View(window, site, by))
    assert len(made) >= 8
    for one in made:
        for row in one.table.rows:
            percent = [n for n, c in enumerate(one.table.columns) if c.key == "percent"]
            numbers = [v for n, v in enumerate(row) if isinstance(v, int) and n not in percent]
            assert not [value for value in numbers if 0 < value < 5], one.table.title
        if one.chart is not None:
            assert 'class="part-hidden"' in one.chart
            # Whatever a hidden number is, its mark has one height.
            assert set(re.findall(r'part-hidden"[^>]*height="([\d.]+)"', one.chart)) == {"4.00"}


def test_the_order_of_hidden_rows_tells_nothing() -> None:
    found = published(
        [(0, "www", "DE", Outcome.ALL, 30), (0, "www", "AA", Outcome.ALL, 1),
         (0, "www", "ZZ", Outcome.ALL, 4)]
    )  # fmt: skip
    table = next(s.table for s in sections(found, View()) if s.table.name == "choices-by-region")
    assert [row[0] for row in table.rows] == ["DE", "AA", "ZZ"]
