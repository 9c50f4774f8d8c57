"""A clock that tests set."""

from __future__ import annotations

import time

import pytest

DAY = 86_400


class Clock:
    """Time as the proxy sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = self.now = float(int(time.time()))
        monkeypatch.setattr(time, "time", lambda: self.now)

    def after(self, seconds: float) -> None:
        self.now = self.began + seconds
