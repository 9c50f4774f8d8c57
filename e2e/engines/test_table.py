"""The trick table in the engine of this run: nothing arrives through the proxy."""

from __future__ import annotations

import pytest

from e2e.engines.engines import chosen_engine
from e2e.tricks.measure import IN_OTHERS, Measured, Setting, measure
from e2e.tricks.table import Trick, tricks

pytestmark = pytest.mark.engines

PROXIED = (Setting.UNKNOWN, Setting.KNOWN, Setting.OLD)
FIRE_AT_LEAST = 500
"""Rows that Firefox and WebKit both have. Which of the others an engine knows is not recorded."""


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(tricks(), IN_OTHERS, chosen_engine())


def test_most_rows_fire_without_the_proxy(measured: Measured) -> None:
    silent = [
        trick.id
        for trick in tricks()
        if not measured.of(trick, Setting.DIRECT).requests
        and not (trick.bare and measured.of(trick, Setting.DIRECT).connections)
    ]
    fired = len(tricks()) - len(silent)
    print(f"{measured.version}: {fired} of {len(tricks())} rows fire; silent: {silent}")
    assert fired >= FIRE_AT_LEAST


@pytest.mark.parametrize("setting", PROXIED, ids=lambda setting: setting.name.lower())
@pytest.mark.parametrize("trick", [t for t in tricks() if not t.leaks], ids=lambda trick: trick.id)
def test_nothing_arrives(trick: Trick, setting: Setting, measured: Measured) -> None:
    if setting is Setting.KNOWN and not trick.known:
        return
    direct, seen = measured.of(trick, Setting.DIRECT), measured.of(trick, setting)
    assert not seen.requests, f"{seen.connections} connections, {seen.requests}"
    assert trick.connects or not seen.connections
    # Nothing arrives from a page that is not shown either: it must have been shown.
    assert seen.own or not direct.own
