"""What holds for all tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import settings

from tests.support.clock import Clock

# The machine may be busy with other work: how long an example takes says nothing. The examples of
# a property are the same in every run, so that whoever starts the tests of a good commit sees it
# green; HYPOTHESIS_PROFILE=random looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on uvloop, as the proxy does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time as the proxy sees it; a test sets it."""
    return Clock(monkeypatch)
