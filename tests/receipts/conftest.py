"""One PostgreSQL for the tests of a module; each test has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgresql import Server, postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as found:
        yield found
