"""The time that an upstream may be silent: one timer per connection, whatever arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import Mock

import pytest
from aiohttp import SocketTimeoutError

from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.pool import READ_BUFFER

SHORT, LONG = 1.0, 60.0
Step = Callable[[UpstreamConnection], None]


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when, self.call, self.waits = when, call, True

    def cancel(self) -> None:
        self.waits = False


class Clock:
    """The running loop, but for its time and its timers."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = 0.0
        self.timers: list[Timer] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, call))
        return self.timers[-1]

    def call_later(self, delay: float, call: Callable[[], None]) -> Timer:
        return self.call_at(self._now + delay, call)

    def advance(self, seconds: float) -> None:
        self._now += seconds
        for timer in list(self.timers):
            if timer.waits and timer.when <= self._now:
                timer.cancel()
                timer.call()


def connected(clock: Clock, first_byte: float = SHORT) -> UpstreamConnection:
    connection = UpstreamConnection(clock)  # type: ignore[arg-type]
    connection.connection_made(Mock(spec=asyncio.Transport))
    connection.expect_response(has_body=True, first_byte=first_byte, buffer=READ_BUFFER, limits={})
    connection.start_timeout()
    return connection


def within(seconds: float) -> Step:
    def restart(connection: UpstreamConnection) -> None:
        connection.read_timeout = seconds
        connection.start_timeout()

    return restart


def head(connection: UpstreamConnection) -> None:
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")


def piece(connection: UpstreamConnection) -> None:
    connection.data_received(b"xyz")


def pause(connection: UpstreamConnection) -> None:
    connection.pause_reading()


def is_late(connection: UpstreamConnection) -> bool:
    return isinstance(connection.exception(), SocketTimeoutError)


@pytest.mark.parametrize(
    ("steps", "late"),
    [
        ([], True),
        ([within(LONG)], False),
        ([within(LONG), within(SHORT)], True),
        ([within(SHORT), within(LONG)], False),
        ([head], True),
        ([head, within(LONG)], False),
        ([head, within(LONG), within(SHORT), piece], True),
        ([head, pause], False),
        ([head, piece, piece, piece], False),  # the whole body
    ],
    ids=[
        "nothing", "longer", "longer, then shorter", "shorter, then longer", "a head",
        "a head, then longer", "within the body", "held back by us", "all of it",
    ],
)  # fmt: skip
async def test_only_silence_is_late(steps: list[Step], late: bool) -> None:
    clock = Clock()
    connection = connected(clock)
    for step in steps:
        step(connection)
    for _ in range(4):
        clock.advance(SHORT / 2)
    assert is_late(connection) is late
    connection.connection_lost(None)


async def test_a_shorter_time_than_the_one_that_runs() -> None:
    clock = Clock()
    connection = connected(clock, LONG)
    within(SHORT)(connection)
    clock.advance(SHORT)
    assert is_late(connection)
    connection.connection_lost(None)


async def test_each_byte_extends_it() -> None:
    clock = Clock()
    connection = connected(clock)
    for step in (head, piece, piece):
        clock.advance(0.8 * SHORT)
        step(connection)
    clock.advance(0.8 * SHORT)
    assert not is_late(connection)
    clock.advance(0.2 * SHORT)
    assert is_late(connection)
    connection.connection_lost(None)


async def test_one_timer_which_does_not_outlive_the_connection() -> None:
    """It would hold the connection, and what it read, for a minute."""
    clock = Clock()
    connection = connected(clock)
    for step in (within(LONG), head, piece, within(LONG), piece):
        step(connection)
    assert len(clock.timers) == 1
    connection.connection_lost(None)
    assert not any(timer.waits for timer in clock.timers)
