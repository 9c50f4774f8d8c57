"""Each trick fires without the proxy; with it, nothing reaches the closed host."""

from __future__ import annotations

import pytest

from e2e.tricks.measure import Measured, Setting
from e2e.tricks.table import Trick, tricks

AT_LEAST = 100

every = pytest.mark.parametrize("trick", tricks(), ids=lambda trick: trick.id)
firing = pytest.mark.parametrize(
    "trick", [t for t in tricks() if t.counts], ids=lambda trick: trick.id
)
page_alone = pytest.mark.parametrize(
    "trick", [t for t in tricks() if t.alone], ids=lambda trick: trick.id
)


def test_table_is_long_enough_and_says_nothing_twice() -> None:
    rows = tricks()
    assert sum(t.counts for t in rows) >= AT_LEAST
    assert len({t.id for t in rows}) == len(rows)


@firing
def test_fires_without_the_proxy(trick: Trick, measured: Measured) -> None:
    seen = measured.of(trick, Setting.DIRECT)
    assert seen.connections if trick.bare else seen.requests


@pytest.mark.parametrize("trick", [t for t in tricks() if t.inert], ids=lambda trick: trick.id)
def test_inert_is_inert(trick: Trick, measured: Measured) -> None:
    # A browser that has learnt it since: the row must count.
    assert not measured.of(trick, Setting.DIRECT).requests


@every
@pytest.mark.parametrize("setting", [Setting.UNKNOWN, Setting.KNOWN], ids=lambda s: s.name.lower())
def test_nothing_arrives(trick: Trick, setting: Setting, measured: Measured) -> None:
    direct, seen = measured.of(trick, Setting.DIRECT), measured.of(trick, setting)
    assert not seen.requests, f"{seen.connections} connections, {seen.requests}"
    assert trick.leaks or not seen.connections
    # Nothing arrives from a page that is not shown either: it must have been shown.
    assert seen.outcome.status == direct.outcome.status
    assert bool(seen.own) >= bool(direct.own)


@page_alone
def test_markup_alone_stops_it(trick: Trick, measured: Measured) -> None:
    # The policy is the backstop: what a page's markup asks for is gone from the markup too.
    seen = measured.of(trick, Setting.ALONE)
    assert not seen.arrived, f"{seen.connections} connections, {seen.requests}"
