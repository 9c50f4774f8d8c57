"""What holds for all tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import settings

from tests.support.clock import Clock

# The machine may be busy with other work: how long an example takes says nothing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on uvloop, as the proxy does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time as the proxy sees it; a test sets it."""
    return Clock(monkeypatch)
