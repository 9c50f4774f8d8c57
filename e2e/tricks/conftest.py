"""The table is measured once, all rows at a time; each test then reads its row."""

from __future__ import annotations

import pytest

from e2e.tricks.measure import Measured, measure
from e2e.tricks.table import Trick


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Measured:
    """What the tricks of the tests that were chosen did."""
    chosen: dict[int, Trick] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            trick = item.callspec.params.get("trick")
            if isinstance(trick, Trick):
                chosen[trick.number] = trick
    return measure([chosen[number] for number in sorted(chosen)])
