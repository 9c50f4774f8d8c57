"""The row of the table that a test is about."""

from __future__ import annotations

import pytest

from e2e.tricks.table import Trick


def trick_of(item: pytest.Item) -> Trick | None:
    """Its parameter `trick`; None for a test about no row."""
    found = item.callspec.params.get("trick") if hasattr(item, "callspec") else None
    return found if isinstance(found, Trick) else None
