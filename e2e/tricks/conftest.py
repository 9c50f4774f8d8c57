"""The table is measured in parts, all rows of one at a time; each test then reads its row."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from e2e.tricks.chosen import trick_of
from e2e.tricks.measure import Measured, measure, part


@pytest.fixture(scope="session")
def measured_part(request: pytest.FixtureRequest) -> Callable[[int], Measured]:
    """What the tricks of a part did, of those that tests were chosen for."""
    tricks = filter(None, map(trick_of, request.session.items))
    chosen = {trick.number: trick for trick in tricks}

    @cache
    def measured(number: int) -> Measured:
        rows = (chosen[trick] for trick in sorted(chosen))
        return measure([trick for trick in rows if part(trick.id) == number])

    return measured


@pytest.fixture
def measured(request: pytest.FixtureRequest, measured_part: Callable[[int], Measured]) -> Measured:
    """What the tricks of the test's part did."""
    trick = trick_of(request.node)
    assert trick is not None, "a test about no row"
    return measured_part(part(trick.id))
