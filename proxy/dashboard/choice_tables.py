"""The tables and the charts of choices."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from consent_rules.wording import category_words
from proxy.dashboard.charts import Bar, share_bar, stacked_bars
from proxy.dashboard.statistics import (
    EVERY,
    MOST_OVER_TIME,
    OTHER,
    RECENT_DAYS,
    WITHOUT_OUTCOMES,
    YEAR_DAYS,
    Cell,
    Number,
    Statistics,
    Window,
)
from proxy.dashboard.suppression import Hidden
from proxy.dashboard.tables import Table, Value, numbers, texts
from proxy.receipts.tally import Dimension, Outcome

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.ALL: "all allowed",
    Outcome.SOME: "some allowed",
    Outcome.NONE: "none allowed",
}
_OUTCOME_COLUMNS = tuple((str(one), words.capitalize()) for one, words in OUTCOMES.items())
_SWITCH: Mapping[Outcome, str] = {Outcome.ALL: "allowed", Outcome.NONE: "refused"}

TITLES: Mapping[Dimension, tuple[str, str]] = {
    Dimension.CATEGORY: ("Choices by category", "Category"),
    Dimension.REGION: ("Choices by region", "Region"),
    Dimension.LANGUAGE: ("Choices by language of the notice", "Language"),
    Dimension.DEVICE: ("Choices by device", "Device"),
    Dimension.SIGNAL: ("Opt-out preference signal (GPC)", "Signal"),
    Dimension.REGIME: ("Choices by regime (opt-in, opt-out)", "Regime"),
    Dimension.ACTION: ("Choices by action (opt-outs among them)", "Action"),
}
OVER_TIME: Mapping[str, str] = {
    "category": "category",
    "site": "site",
    "region": "region",
    "language": "language",
    "device": "device",
}
"""What choices may be shown by, week by week."""
_BY_ACTION = f"choices-by-{Dimension.ACTION}"
_NO_CHOICES = "No choices in this period, which ends with yesterday."
_NOT_SHOWN = Hidden.COMPLEMENT.value


@dataclass(frozen=True, slots=True)
class View:
    """What a reader asked for. `site` "" is all sites."""

    window: Window = Window.RECENT
    site: str = EVERY
    by: str = "category"

    @property
    def query(self) -> str:
        return f"?period={self.window.value}&site={self.site}&by={self.by}"


def view_of(query: Mapping[str, str], sites: Sequence[str]) -> View:
    """The view that a query asks for; what it does not know of is left out."""
    site = query.get("site", EVERY)
    by = query.get("by", "category")
    return View(
        Window.YEAR if query.get("period") == Window.YEAR else Window.RECENT,
        site if site in sites and len(sites) > 1 else EVERY,
        by if by in OVER_TIME else "category",
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its chart. `bars` are charts of its rows, in their order. `folded`: the table
    is opened by who wants it.
    """

    table: Table
    chart: Markup | None = None
    legend: tuple[str, ...] = ()
    ends: tuple[str, str] = ("", "")
    """The names of the first and the last place of the chart."""
    bars: tuple[Markup, ...] = ()
    folded: bool = False


def sections(found: Statistics, view: View) -> list[Section]:
    """All of a view, in the order of the page."""
    made = [_over_time(found, view), _by_switch(found, view)]
    if len(found.sites) > 1:
        made.append(_by_site(found, view))
    made += [_by(found, view, one) for one in TITLES if one is not Dimension.CATEGORY]
    made.append(_weeks_by(found, view))
    return [replace(one, table=replace(one.table, empty=_NO_CHOICES)) for one in made]


def _words(view: View) -> str:
    days = RECENT_DAYS if view.window is Window.RECENT else YEAR_DAYS
    return f"last {days} days, {view.site or 'all sites'}"


def _over_time(found: Statistics, view: View) -> Section:
    if view.window is Window.RECENT:
        unit, periods = "Day", [(f"d{day.isoformat()}", day.isoformat()) for day in found.days()]
    else:
        unit = "Week of"
        periods = [(f"w{day.isoformat()}", day.isoformat()) for day in _weeks(found)]
    bars = []
    for period, label in periods:
        parts = tuple(found.number(Cell(period, view.site, outcome=one)) for one in OUTCOMES)
        bars.append(Bar(label, found.number(Cell(period, view.site)), parts))
    title = f"Choices over time ({_words(view)})"
    table = Table(
        "choices-over-time",
        title,
        (
            *texts(("from", unit)),
            *numbers(
                ("choices", "Choices"), *((str(o), w.capitalize()) for o, w in OUTCOMES.items())
            ),
        ),
        tuple((bar.label, bar.total, *bar.parts) for bar in bars),
        note="Whole days (UTC) up to yesterday.",
        query=view.query,
    )
    described = (
        f"{title}: a bar for each {unit.split()[0].lower()}. The table below has its numbers."
    )
    chart = stacked_bars(bars, tuple(OUTCOMES.values()), described)
    ends = (bars[0].label, bars[-1].label)
    return Section(table, chart, tuple(OUTCOMES.values()), ends, folded=True)


def _by(found: Statistics, view: View, dimension: Dimension) -> Section:
    values = found.values.get((view.window.value, dimension), ())
    rows = [(_name(dimension, v), Cell(view.window.value, view.site, dimension, v)) for v in values]
    rows.sort(key=lambda row: _rank(found.number(row[1]), *row))
    title, column = TITLES[dimension]
    return _outcomes(found, view, f"choices-by-{dimension}", title, (str(dimension), column), rows)


def _by_site(found: Statistics, view: View) -> Section:
    rows = [(site, Cell(view.window.value, site)) for site in found.sites]
    days = RECENT_DAYS if view.window is Window.RECENT else YEAR_DAYS
    return _outcomes(
        found, view, "choices-by-site", "Choices by site", ("site", "Site"), rows,
        words=f"last {days} days",
    )  # fmt: skip


def _outcomes(
    found: Statistics,
    view: View,
    name: str,
    title: str,
    column: tuple[str, str],
    cells: Sequence[tuple[str, Cell]],
    *,
    words: str = "",
) -> Section:
    total = found.number(Cell(view.window.value, EVERY if name == "choices-by-site" else view.site))
    rows: list[tuple[Value, ...]] = []
    bars: list[Markup] = []
    for label, cell in cells:
        whole = found.number(cell)
        if whole == 0:
            continue
        if cell.dimension in WITHOUT_OUTCOMES:
            rows.append((label, whole, _share(whole, total)))
            continue
        parts = [found.number(_outcome(cell, one)) for one in OUTCOMES]
        rows.append((label, whole, _share(whole, total), *parts))
        bars.append(share_bar(parts))
    table = Table(
        name,
        f"{title} ({words or _words(view)})",
        (
            *texts(column),
            *numbers(
                ("choices", "Choices"),
                ("percent", "Percent of choices"),
                *(() if name == _BY_ACTION else _OUTCOME_COLUMNS),
            ),
        ),
        tuple(rows),
        query=view.query,
    )
    return Section(table, legend=tuple(OUTCOMES.values()), bars=tuple(bars))


def _by_switch(found: Statistics, view: View) -> Section:
    """Categories: each choice is about all of them, so that there is no part of a whole."""
    rows: list[tuple[Value, ...]] = []
    bars: list[Markup] = []
    for category in found.values.get((view.window.value, Dimension.CATEGORY), ()):
        cell = Cell(view.window.value, view.site, Dimension.CATEGORY, category)
        asked = found.number(cell)
        allowed, refused = (found.number(_outcome(cell, one)) for one in _SWITCH)
        if asked == 0:
            continue
        rows.append((category_words(category), asked, allowed, refused, _share(allowed, asked)))
        bars.append(share_bar((allowed, 0, refused)))
    table = Table(
        "choices-by-category",
        f"{TITLES[Dimension.CATEGORY][0]} ({_words(view)})",
        (
            *texts(("category", "Category")),
            *numbers(
                ("choices", "Choices"),
                ("allowed", "Allowed"),
                ("refused", "Refused"),
                ("percent", "Percent allowed"),
            ),
        ),
        tuple(rows),
        query=view.query,
    )
    return Section(table, legend=("allowed", "", "refused"), bars=tuple(bars))


def _weeks_by(found: Statistics, view: View) -> Section:
    """The most frequent values, week by week, of all sites."""
    cells: list[tuple[str, str, str]] = []
    if view.by == "site":
        cells = [(site, site, "site") for site in found.sites[:MOST_OVER_TIME]]
    else:
        dimension = Dimension(view.by)
        known = found.values.get((Window.YEAR.value, dimension), ())
        names = [v for v in known if v != OTHER]
        named = names[:MOST_OVER_TIME]
        rest = [OTHER] if len(names) > len(named) or OTHER in known else []
        cells = [(_name(dimension, value), value, view.by) for value in (*named, *rest)]
    weeks = _weeks(found)
    rows = tuple(
        (week.isoformat(), *(found.number(_weekly(f"w{week.isoformat()}", *c[1:])) for c in cells))
        for week in weeks
    )
    what = "choices that allow it" if view.by == "category" else "choices"
    title = f"Choices by {view.by}, week by week ({what}, last {YEAR_DAYS} days, all sites)"
    return Section(
        Table(
            "choices-by-week",
            title,
            (
                *texts(("from", "Week of")),
                *numbers(*((f"{view.by}: {label}", label) for label, *_ in cells)),
            ),
            rows if cells else (),
            query=view.query,
        ),
        folded=True,
    )


def _weeks(found: Statistics) -> list[datetime.date]:
    """The weeks of the year from the first one with a choice on; the last four at least."""
    weeks = found.weeks()
    empty = itertools.takewhile(lambda day: not found.numbers.get(Cell(f"w{day}")), weeks[:-4])
    return weeks[len(list(empty)) :]


def _weekly(week: str, value: str, by: str) -> Cell:
    if by == "site":
        return Cell(week, value)
    dimension = Dimension(by)
    outcome = Outcome.ALL if dimension is Dimension.CATEGORY else EVERY
    return Cell(week, EVERY, dimension, value, outcome)


def _outcome(cell: Cell, outcome: Outcome) -> Cell:
    return Cell(cell.period, cell.site, cell.dimension, cell.value, outcome)


def _share(part: Number, whole: Number) -> Value:
    """In whole percent, of numbers that are shown."""
    if isinstance(part, Hidden) or isinstance(whole, Hidden):
        return _NOT_SHOWN
    return round(100 * part / whole) if whole else None


def _rank(number: Number, name: str, cell: Cell) -> tuple[bool, bool, int, str]:
    """The most frequent first. The order of those that are not shown tells nothing."""
    is_hidden = isinstance(number, Hidden)
    return cell.value == OTHER, is_hidden, 0 if is_hidden else -int(number), name


def _name(dimension: Dimension, value: str) -> str:
    known = dimension in {Dimension.CATEGORY, Dimension.REGIME, Dimension.ACTION}
    return category_words(value) if known else value
