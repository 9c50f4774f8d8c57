"""`make soak`, shortened: reloads, rotations, faults beside mixed traffic leave all as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.soak import Sample, Soaked, judge, soak

SECONDS = 120
_MIB = 2**20


def _run(minutes: float, resident: Callable[[float], float]) -> Soaked:
    """A run whose workers have so many MiB at each minute."""
    times = [2.0 * number for number in range(round(minutes * 30) + 1)]
    return Soaked(samples=[Sample(at, round(resident(at / 60) * _MIB), 70) for at in times])


def _noise(minute: float) -> float:
    """Allocators' steps of some MiB, and a peak of 80 MiB at each tenth sample."""
    number = round(minute * 30)
    return 240 + number % 7 + (80 if number % 10 == 0 else 0)


@pytest.mark.parametrize(
    ("minutes", "rise", "wrong"),
    [
        (60, 0, ""),
        (60, 28, ""),
        (60, 36, "memory rises by"),  # the quarters differ by 18 MiB: they say nothing
        (30, 36, "memory rises by"),
        (10, 60, ""),  # too short for a slope; the quarters differ by 5 MiB
        (60, 120, "memory grew from"),
    ],
)
def test_memory_that_rises_slowly_is_seen(minutes: int, rise: float, wrong: str) -> None:
    soaked = _run(minutes, lambda minute: _noise(minute) + rise * minute / 60)
    judge(soaked)
    assert bool(soaked.problems) == bool(wrong), soaked.problems
    assert wrong in " ".join(soaked.problems)


def test_what_fills_in_the_first_half_is_no_slope() -> None:
    soaked = _run(60, lambda minute: _noise(minute) + min(minute, 25))
    judge(soaked)
    assert not soaked.problems


@pytest.mark.slow
def test_nothing_grows_and_nothing_is_wrong(tmp_path: Path) -> None:
    soaked = soak(SECONDS, tmp_path)
    assert not soaked.problems, soaked.report()
    assert set(soaked.events) == {
        "changed config", "broken config", "rotated keys", "origin at fault", "database killed",
    }  # fmt: skip
    assert min(soaked.requests.values()) > 20, soaked.report()
    assert soaked.requests.total() > 500, soaked.report()
