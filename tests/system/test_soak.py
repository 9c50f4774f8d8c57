"""`make soak`, shortened: reloads, rotations, faults beside mixed traffic leave all as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.soak import soak

SECONDS = 120


@pytest.mark.slow
def test_nothing_grows_and_nothing_is_wrong(tmp_path: Path) -> None:
    soaked = soak(SECONDS, tmp_path)
    assert not soaked.problems, soaked.report()
    assert set(soaked.events) == {
        "changed config", "broken config", "rotated keys", "origin at fault", "database killed",
    }  # fmt: skip
    assert min(soaked.requests.values()) > 20, soaked.report()
    assert soaked.requests.total() > 500, soaked.report()
