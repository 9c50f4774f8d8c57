"""The trick table in the engine of this run. `ENGINE.toml` names what differs from Chromium."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.engines.engines import chosen_engine
from e2e.tricks.measure import IN_OTHERS, Measured, Setting, measure
from e2e.tricks.table import Trick, tricks

pytestmark = pytest.mark.engines

PROXIED = (Setting.UNKNOWN, Setting.KNOWN, Setting.OLD)
REMARKS = ("inert", "leaks", "connects")


def _remarks() -> dict[str, dict[str, str]]:
    """Of each kind of remark: the rows, with the reason."""
    file = Path(__file__).with_name(f"{chosen_engine().name}.toml")
    found: dict[str, dict[str, str]] = {kind: {} for kind in REMARKS}
    if file.exists():
        for remark in tomllib.loads(file.read_text(encoding="utf-8")).get("remark", []):
            found[remark["kind"]].update(dict.fromkeys(remark["rows"], remark["why"]))
    return found


HERE = _remarks()


def is_inert(trick: Trick) -> bool:
    return bool(trick.inert) or trick.id in HERE["inert"]


def leaks(trick: Trick) -> bool:
    return bool(trick.leaks) or trick.id in HERE["leaks"]


def each(of: Callable[[Trick], bool]) -> pytest.MarkDecorator:
    """Once for every row of a kind."""
    return pytest.mark.parametrize(
        "trick", [t for t in tricks() if of(t)], ids=lambda trick: trick.id
    )


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(tricks(), IN_OTHERS, chosen_engine())


def test_remarks_are_of_rows_that_exist() -> None:
    named = {row for rows in HERE.values() for row in rows}
    assert named <= {trick.id for trick in tricks()}


@each(lambda trick: not is_inert(trick))
def test_fires_without_the_proxy(trick: Trick, measured: Measured) -> None:
    seen = measured.of(trick, Setting.DIRECT)
    assert seen.connections if trick.bare else seen.requests, "name it in the engine's .toml"


@pytest.mark.parametrize("setting", PROXIED, ids=lambda setting: setting.name.lower())
@each(lambda trick: not leaks(trick))
def test_nothing_arrives(trick: Trick, setting: Setting, measured: Measured) -> None:
    if setting is Setting.KNOWN and not trick.known:
        return
    direct, seen = measured.of(trick, Setting.DIRECT), measured.of(trick, setting)
    assert not seen.requests, f"{seen.connections} connections, {seen.requests}"
    assert trick.connects or trick.id in HERE["connects"] or not seen.connections
    # Nothing arrives from a page that is not shown either: it must have been shown.
    assert seen.own or not direct.own
