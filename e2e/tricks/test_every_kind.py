"""One page with every kind of request: all of them fire without the proxy, none with it."""

from __future__ import annotations

import pytest

from e2e.tricks.every_kind import EVERY_KIND, KINDS, kinds_asked
from e2e.tricks.measure import Measured, Setting, measure


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure([EVERY_KIND], [Setting.DIRECT, Setting.UNKNOWN, Setting.KNOWN])


def test_page_has_many_kinds() -> None:
    assert len(KINDS) >= 44


def test_every_kind_fires_without_the_proxy(measured: Measured) -> None:
    assert KINDS - kinds_asked(measured, Setting.DIRECT) == set()


@pytest.mark.parametrize("setting", [Setting.UNKNOWN, Setting.KNOWN])
def test_no_kind_fires_with_it(measured: Measured, setting: Setting) -> None:
    assert kinds_asked(measured, setting) == set()
    assert measured.of(EVERY_KIND, setting).outcome.status == 200
