"""The trick table in the engine of this run: nothing arrives through the proxy.

What each row did is written to `e2e/output/table-ENGINE.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from e2e.engines.engines import chosen_engine
from e2e.tricks.chosen import trick_of
from e2e.tricks.measure import IN_OTHERS, Measured, Setting, is_tried, measure
from e2e.tricks.table import Trick, tricks

pytestmark = pytest.mark.engines

ENGINE = chosen_engine()
OUTPUT = Path(__file__).parents[1] / "output"


def each(of: Callable[[Trick], bool]) -> pytest.MarkDecorator:
    """Once for every row of a kind."""
    return pytest.mark.parametrize(
        "trick", [t for t in tricks() if of(t)], ids=lambda trick: trick.id
    )


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> Measured:
    """What the rows did that tests were chosen for."""
    chosen = {trick.number: trick for trick in map(trick_of, request.session.items) if trick}
    rows = [chosen[number] for number in sorted(chosen)]
    measured = measure(rows, IN_OTHERS, ENGINE)
    OUTPUT.mkdir(exist_ok=True)
    record = json.dumps(_as_json(rows, measured), indent=1)
    (OUTPUT / f"table-{ENGINE.name}.json").write_text(record, encoding="utf-8")
    return measured


def _as_json(rows: Sequence[Trick], measured: Measured) -> dict[str, object]:
    """What each row did in each setting, by its name."""
    found = {
        trick.id: {
            setting.name: asdict(seen[trick.number])
            for setting, seen in measured.seen.items()
            if trick.number in seen
        }
        for trick in rows
    }
    return {"version": measured.version, "rows": found}


@each(lambda trick: not trick.is_inert(ENGINE.name))
def test_fires_without_the_proxy(trick: Trick, measured: Measured) -> None:
    # Else nothing is shown by its silence behind the proxy.
    seen = measured.of(trick, Setting.DIRECT)
    fires = bool(seen.connections if trick.bare else seen.requests)
    assert fires is not trick.is_later(measured.version), measured.version


@each(lambda trick: trick.is_inert(ENGINE.name))
def test_inert_is_inert(trick: Trick, measured: Measured) -> None:
    # An engine that has learnt it since: the row must count.
    assert not measured.of(trick, Setting.DIRECT).requests


PROXIED = [
    pytest.param(trick, setting, id=f"{trick.id}-{setting.name.lower()}")
    for trick in tricks()
    for setting in IN_OTHERS[1:]
    if is_tried(trick, setting) and not trick.does_leak(ENGINE.name)
]


@pytest.mark.parametrize(("trick", "setting"), PROXIED)
def test_nothing_arrives(trick: Trick, setting: Setting, measured: Measured) -> None:
    direct, seen = measured.of(trick, Setting.DIRECT), measured.of(trick, setting)
    assert not seen.requests, f"{seen.connections} connections, {seen.requests}"
    assert trick.connects or not seen.connections
    # Nothing arrives from a page that is not shown either: it must have been shown.
    assert seen.own or not direct.own or ENGINE.name in trick.plain_in
