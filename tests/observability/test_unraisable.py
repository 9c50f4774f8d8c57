"""What a callback raises becomes a line of the log, and nothing on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from proxy.observability.unraisable import log_unraisable


class _Raises:
    def __del__(self) -> None:
        raise ValueError("bytes of a visitor")


@pytest.fixture(autouse=True)
def _hook_of_before() -> Iterator[None]:
    before = sys.unraisablehook
    yield
    sys.unraisablehook = before


def test_it_is_logged_once_a_minute_without_its_message(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    log_unraisable(lambda: now[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            _Raises()
        now[0] += 61
        _Raises()
    assert [record.getMessage() for record in caplog.records] == [
        "ignored: ValueError in _Raises.__del__ (1 times)",
        "ignored: ValueError in _Raises.__del__ (100 times)",
    ]
    assert capsys.readouterr().err == ""
