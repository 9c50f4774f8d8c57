"""A server's health by what happens to it, second by second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.health import HealthPolicy, ServerHealth

POLICY = HealthPolicy(max_fails=2, fail_timeout=10, slow_start=20, rise=2, fall=3)


def told(events: str, policy: HealthPolicy = POLICY) -> str:
    """What is known after events, at a second each: f(ailed), s(ucceeded), p(assed a check),
    n(ot passed), `.` nothing, ? a probe where one is allowed, L a probe that told nothing.
    "U" is up, "E" ejected, "D" down by checks, "P" probed; after each event.
    """
    health, states = ServerHealth(), ""
    for now, event in enumerate(events):
        match event:
            case "f":
                health.failed(policy, now)
            case "s":
                health.succeeded(now)
            case "p" | "n":
                health.checked(policy, now, passed=event == "p")
            case "?" if health.may_probe(now, sooner=False):
                health.probe(now)
            case "!" if health.may_probe(now, sooner=True):
                health.probe(now)
            case "L":
                health.left()
        state = "U" if health.is_up else "D" if not health.passes_checks else "E"
        states += "P" if health.probing else state
    return states


@pytest.mark.parametrize(
    ("what", "events", "states"),
    [
        ("failures in a row", "ff", "UE"),
        ("a success between", "fsf", "UUU"),
        ("too far apart", "f..........f", "UUUUUUUUUUUU"),
        ("no probe before its time", "ff?.......?", "UEEEEEEEEEE"),
        ("a probe that succeeds", "ff..........?s", "UEEEEEEEEEEEPU"),
        ("a probe that fails", "ff..........?f?", "UEEEEEEEEEEEPEE"),
        ("one probe at a time", "ff..........??s", "UEEEEEEEEEEEPPU"),
        ("a visitor who left", "ff..........?L?s", "UEEEEEEEEEEEPEPU"),
        ("a late answer", "ffs", "UEU"),
        ("sooner where all are ejected", "ff!L!s", "UEPEPU"),
        ("checks", "nnnpp", "UUDDU"),
        ("flapping checks", "nnpnnpnnp", "UUUUUUUUU"),
        ("no probe while checks fail", "nnnff............?", "UUDDDDDDDDDDDDDDDD"),
        ("checks bring an ejected one back", "nnnffpp", "UUDDDDU"),
    ],
)
def test_states(what: str, events: str, states: str) -> None:
    assert told(events) == states, what


def test_never_ejected() -> None:
    assert told("f" * 50, HealthPolicy(max_fails=0)) == "U" * 50


def test_slow_start() -> None:
    health = ServerHealth()
    assert health.share(POLICY, 5) == 1.0  # not at the start of the proxy
    health.failed(POLICY, 10)
    health.failed(POLICY, 10)
    health.succeeded(20)
    assert health.share(POLICY, 20) == 0.05
    assert health.share(POLICY, 30) == 0.5
    assert health.share(POLICY, 41) == 1.0
    assert health.share(HealthPolicy(), 20) == 1.0


@given(st.lists(st.tuples(st.sampled_from("fspn?!L"), st.floats(0, 15)), max_size=60))
def test_no_state_is_a_dead_end(steps: list[tuple[str, float]]) -> None:
    """Whatever came before: with passed checks, and answers to the probes, each server is up."""
    health, now = ServerHealth(), 0.0
    for event, seconds in steps:
        now += seconds
        match event:
            case "f":
                health.failed(POLICY, now)
            case "s":
                health.succeeded(now)
            case "p" | "n":
                health.checked(POLICY, now, passed=event == "p")
            case "?" | "!":
                if health.may_probe(now, sooner=event == "!"):
                    health.probe(now)
            case "L":
                health.left()
        assert not (health.is_up and health.probing)
    health.left()
    for _ in range(POLICY.rise):
        health.checked(POLICY, now, passed=True)
    if not health.is_up:
        assert health.may_probe(now + POLICY.fail_timeout, sooner=False)
        health.succeeded(now)
    assert health.is_up


def test_without_checks_what_the_last_ones_said_holds_no_longer() -> None:
    health = ServerHealth()
    for _ in range(POLICY.fall):
        health.checked(POLICY, 1, passed=False)
    assert not health.is_up
    health.forget_checks()
    assert health.is_up


def test_only_what_closes_connections_is_a_last_resort() -> None:
    refuses, closes = ServerHealth(), ServerHealth()
    for _ in range(POLICY.max_fails):
        refuses.failed(POLICY, 1)
        closes.failed(POLICY, 1, closed=True)
    assert (refuses.is_up, closes.is_up) == (False, False)
    assert (refuses.is_last_resort, closes.is_last_resort) == (False, True)
    for _ in range(POLICY.fall):
        closes.checked(POLICY, 2, passed=False)
    assert not closes.is_last_resort
