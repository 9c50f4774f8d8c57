"""What holds for all tests."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import uvloop
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from tests.support.clock import Clock

# The machine may be busy with other work: how long an example takes says nothing. The examples of
# a property are the same in every run, so that whoever starts the tests of a good commit sees it
# green; HYPOTHESIS_PROFILE=random looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


_LONGEST = "tests/system/test_soak.py"


class LongestFirst(LoadFileScheduling):  # type: ignore[misc]
    """A module's tests share a worker. The modules with most tests come first, and before them the
    one whose single test takes two minutes: at the end it would leave all other workers idle.
    """

    def _assign_work_unit(self, node: Any) -> None:
        if _LONGEST in self.workqueue:
            self.workqueue.move_to_end(_LONGEST, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LongestFirst:
    return LongestFirst(config, log)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on uvloop, as the proxy does."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_finish() -> None:
    """What the collection of tests made stays to the end: a full pass of the garbage collector over
    it takes half a second, which would count as the cost of whatever a test measures.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def garbage_collector() -> Iterator[None]:
    """As a test found it. `run` switches it off until all that stays is made; in a test it goes no
    further, and what later tests leave behind would stay until the end of the run.
    """
    thresholds = gc.get_threshold()
    yield
    if gc.isenabled() and gc.get_threshold() == thresholds:
        return
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
    gc.enable()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time as the proxy sees it; a test sets it."""
    return Clock(monkeypatch)
