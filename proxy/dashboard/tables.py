"""Tables as values: what a page shows, and the same as CSV (RFC 4180) and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

from consent_rules.wording import spreadsheet_text

Value = str | int | float | bool | None | tuple[str, ...]
"""A cell. A number that is not shown is text (`suppression.Hidden`), in every form alike."""


@dataclass(frozen=True, slots=True)
class Column:
    """`key` names it in CSV and JSON, `title` on the page. `is_text` is False for numbers, which
    stand to the right.
    """

    key: str
    title: str
    is_text: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns. `name` is that of its files; `query` what their
    addresses need besides. `empty` is said in place of no rows.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    empty: str = "Nothing yet."
    note: str = ""
    query: str = ""

    def as_csv(self) -> str:
        """With a line of names. No cell of text is one that a spreadsheet runs."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([column.key for column in self.columns])
        for row in self.rows:
            writer.writerow([_csv_cell(value) for value in row])
        return out.getvalue()

    def as_json(self) -> str:
        """An object with the rows as objects."""
        keys = [column.key for column in self.columns]
        rows = [dict(zip(keys, row, strict=True)) for row in self.rows]
        value = {"table": self.name, "title": self.title, "note": self.note, "rows": rows}
        return json.dumps(value, ensure_ascii=False, indent=1)


def numbers(*columns: tuple[str, str]) -> tuple[Column, ...]:
    """Columns of numbers, by key and title."""
    return tuple(Column(key, title, is_text=False) for key, title in columns)


def texts(*columns: tuple[str, str]) -> tuple[Column, ...]:
    """Columns of text, by key and title."""
    return tuple(Column(key, title) for key, title in columns)


def _csv_cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    return spreadsheet_text(value if isinstance(value, str) else "; ".join(value))


def shown(value: Value) -> str:
    """A cell as the page shows it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _joined(value) if isinstance(value, tuple) else _plain(value)


def _plain(value: str | float | bool | None) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _joined(values: Iterable[str]) -> str:
    return ", ".join(values)
