"""No number of one to four is shown, and none can be computed from a sum."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dashboard.suppression import SMALL, Hidden, hidden_cells

S, C = Hidden.SMALL, Hidden.COMPLEMENT


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((9, 8, 7), (24, 9, 8, 7)),
        ((0, 8, 7), (15, 0, 8, 7)),
        ((3, 8, 9), (20, S, C, 9)),
        ((3, 4, 9), (16, S, S, 9)),
        ((1, 2, 9, 8), (20, S, S, 9, C)),
        ((3, 0, 0), (S, S, 0, 0)),
        ((2, 2, 0), (S, S, S, 0)),
        ((3, 8, 0), (11, S, C, 0)),
        ((1, 9), (10, S, C)),
        ((), (0,)),
    ],
)
def test_one_sum(parts: tuple[int, ...], shown: tuple[int | Hidden, ...]) -> None:
    values = {0: sum(parts), **dict(enumerate(parts, 1))}
    hidden = hidden_cells(values, [tuple(values)])
    assert tuple(hidden.get(cell, value) for cell, value in values.items()) == shown


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 12), min_size=width, max_size=width), min_size=1, max_size=4
        )
    )
)
def test_rows_columns_and_totals(rows: list[list[int]]) -> None:
    """In a table with all its sums: no small number is shown, and each sum hides none, or several
    which are not small together.
    """
    values: dict[tuple[int, int], int] = {}
    for y, x in product(range(-1, len(rows)), range(-1, len(rows[0]))):
        values[y, x] = sum(
            rows[j][i]
            for j, i in product(range(len(rows)), range(len(rows[0])))
            if y in {-1, j} and x in {-1, i}
        )
    sums = [
        *([(y, -1), *((y, i) for i in range(len(rows[0])))] for y in range(-1, len(rows))),
        *([(-1, x), *((j, x) for j in range(len(rows)))] for x in range(-1, len(rows[0]))),
    ]
    hidden = hidden_cells(values, sums)
    for cell, value in values.items():
        if 0 < value < SMALL:
            assert hidden[cell] is S
        if value == 0:
            assert cell not in hidden
    for total, *parts in sums:
        unknown = [cell for cell in (total, *parts) if cell in hidden]
        assert len(unknown) != 1
        within = [cell for cell in parts if cell in hidden]
        if within and total not in hidden:
            assert sum(values[cell] for cell in within) >= SMALL
