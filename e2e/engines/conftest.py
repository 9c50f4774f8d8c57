"""`--tenth`: of the trick table, the rows of `e2e/tricks/tenth.py` alone."""

from __future__ import annotations

import pytest

from e2e.engines.engines import chosen_engine
from e2e.tricks.chosen import trick_of
from e2e.tricks.table import tricks
from e2e.tricks.tenth import tenth


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tenth", action="store_true", help="a tenth of the trick table")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--tenth"):
        return
    chosen = tenth(tricks(), chosen_engine().name)
    others = [item for item in items if (row := trick_of(item)) and row.number not in chosen]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in set(others)]
