"""Work beside the requests goes on, whatever fails in it, and is never silent about it."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import pytest

from proxy.background import keep_going
from tests.support.waiting import PATIENCE


async def work(seen: list[str], done: asyncio.Event) -> None:
    seen.append("begun")
    if len(seen) < 3:
        raise TypeError("a fault of ours")
    done.set()


async def forever(seen: list[str]) -> None:
    seen.append("begun")
    await asyncio.Event().wait()


async def test_what_fails_is_told_and_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    done = asyncio.Event()
    async with asyncio.timeout(PATIENCE):
        await keep_going(partial(work, seen, done), pause=0.01)
    assert done.is_set()
    assert len(seen) == 3
    told = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert [one.getMessage() for one in told] == ["work failed; it is begun anew in 0.01 s"] * 2
    assert all(one.exc_info and one.exc_info[0] is TypeError for one in told)


async def test_what_is_stopped_is_not_begun_anew() -> None:
    seen: list[str] = []
    task = asyncio.create_task(keep_going(partial(forever, seen), pause=0.01))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["begun"]
