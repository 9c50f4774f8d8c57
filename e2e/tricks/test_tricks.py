"""Each trick fires without the proxy; with it, nothing reaches the closed host."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.tricks.measure import Measured, Setting
from e2e.tricks.table import ENGINES, Trick, tricks
from e2e.tricks.tenth import tenth

AT_LEAST = 100


def each(of: Callable[[Trick], bool]) -> pytest.MarkDecorator:
    """Once for every row of a kind."""
    return pytest.mark.parametrize(
        "trick", [t for t in tricks() if of(t)], ids=lambda trick: trick.id
    )


def test_table_is_long_enough_and_says_nothing_twice() -> None:
    rows = tricks()
    assert sum(trick.counts("chromium") for trick in rows) >= AT_LEAST
    assert len({trick.id for trick in rows}) == len(rows)


def test_rows_name_engines() -> None:
    for trick in tricks():
        assert {*trick.silent_in, *trick.fires_in} <= {"firefox", "webkit"}, trick.id
        assert not (trick.fires_in if not trick.inert else trick.silent_in), trick.id
        assert set(trick.leaks_in) <= set(ENGINES), trick.id
        for name in (*trick.leaked_in, *trick.later_than):
            # Else the tenth is asked about a row that it cannot have.
            assert name in ENGINES and trick.counts(name), trick.id
        assert not {*trick.leaked_in} & {*trick.later_than}, trick.id


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("Firefox 139.0", True),
        ("Firefox 140.12.0", True),
        ("Firefox 141.0", False),
        ("WebKitGTK 2.50.6", False),
        ("Chromium 99.1.2", False),
    ],
)
def test_an_older_release_is_not_expected_to_ask(version: str, expected: bool) -> None:
    trick = Trick(0, "css", "a rule", later_than={"firefox": 140})
    assert trick.is_later(version) is expected
    assert not Trick(1, "css", "another").is_later(version)


@pytest.mark.parametrize("engine", ["firefox", "webkit"])
def test_the_tenth_has_a_row_of_each_channel_and_all_that_got_through(engine: str) -> None:
    rows = tricks()
    chosen = [trick for trick in rows if trick.number in tenth(rows, engine)]
    counting = [trick for trick in rows if trick.counts(engine)]
    assert len(counting) / 12 < len(chosen) < len(counting) / 6
    assert {trick.channel for trick in chosen} == {trick.channel for trick in rows}
    assert {t.id for t in counting if engine in t.leaked_in} <= {t.id for t in chosen}
    assert all(t.counts(engine) and engine not in t.later_than for t in chosen)


def test_other_rows_leave_the_tenth_as_it_is() -> None:
    rows = tricks()
    # The same rows, and fewer of them: without every other one.
    some = [trick for trick in rows if trick.number % 2]
    gone = tenth(rows, "webkit") - {trick.number for trick in rows if not trick.number % 2}
    assert gone <= tenth(some, "webkit")


@each(lambda trick: not trick.inert)
def test_fires_without_the_proxy(trick: Trick, measured: Measured) -> None:
    seen = measured.of(trick, Setting.DIRECT)
    fires = bool(seen.connections if trick.bare else seen.requests)
    assert fires is not trick.is_later(measured.version), measured.version


@each(lambda trick: bool(trick.inert))
def test_inert_is_inert(trick: Trick, measured: Measured) -> None:
    # A browser that has learnt it since: the row must count.
    fires = bool(measured.of(trick, Setting.DIRECT).requests)
    assert fires is trick.asked_once(measured.version), measured.version


def nothing_arrived(trick: Trick, setting: Setting, measured: Measured) -> None:
    direct, seen = measured.of(trick, Setting.DIRECT), measured.of(trick, setting)
    assert not seen.requests, f"{seen.connections} connections, {seen.requests}"
    assert trick.connects or not seen.connections
    # Nothing arrives from a page that is not shown either: it must have been shown.
    # A refresh may come before the browser has told of the page that it leaves; what the page asks
    # of its own host tells as much.
    told = seen.outcome.status == direct.outcome.status or not direct.outcome.status
    assert told or seen.own
    assert seen.own or not direct.own


@each(lambda trick: not trick.does_leak("chromium"))
def test_nothing_arrives_at_an_unknown_host(trick: Trick, measured: Measured) -> None:
    nothing_arrived(trick, Setting.UNKNOWN, measured)


@each(lambda trick: trick.known and not trick.does_leak("chromium"))
def test_nothing_arrives_at_a_vendor(trick: Trick, measured: Measured) -> None:
    nothing_arrived(trick, Setting.KNOWN, measured)


@each(lambda trick: trick.alone and not trick.does_leak("chromium"))
def test_markup_alone_stops_it(trick: Trick, measured: Measured) -> None:
    # The policy is the backstop: what a page's markup asks for is gone from the markup too.
    seen = measured.of(trick, Setting.ALONE)
    assert not seen.arrived, f"{seen.connections} connections, {seen.requests}"
