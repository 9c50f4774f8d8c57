"""Whatever the page: nothing but gates changes, and nothing closed is asked for.

`python -m tests.html.fuzz --documents 100000` does the same at length.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

from tests.html.fragments import Written, page
from tests.html.properties import PROPERTIES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(written=page())
def test_it_holds(holds: Callable[[Written], None], written: Written) -> None:
    holds(written)
