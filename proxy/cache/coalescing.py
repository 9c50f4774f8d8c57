"""Many ask for what is not here: one of them fetches it, the others wait for what comes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Generic, TypeVar

from cachetools import TTLCache

Outcome = TypeVar("Outcome")
Shared = TypeVar("Shared")

_NOT_KEPT_SECONDS = 120.0
"""For how long a URL whose answer could not be kept is not waited for (Varnish calls it
"hit-for-miss"): its visitors would only queue behind each other."""
_NOT_KEPT_URLS = 16384


class Flight(Generic[Outcome, Shared]):
    """One fetch under way, in a task of its own: a visitor who leaves does not end it.

    `outcome` is for the one who began it; `shared` for all others: None when they must go on their
    own. Whoever began it sets `left` when done with what the outcome holds open.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self.shared: asyncio.Future[Shared | None] = loop.create_future()
        self.left = asyncio.Event()
        self.began_at = time.monotonic()
        self.followers = 0

    def settle(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def share(self, shared: Shared | None) -> None:
        if not self.shared.done():
            self.shared.set_result(shared)

    def fail(self, error: BaseException, *, for_all: bool) -> None:
        """The fetch failed; unless `for_all`, the others may have more luck."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            self.outcome.exception()  # seen, so that asyncio does not complain
        if not for_all:
            self.share(None)
        elif not self.shared.done():
            self.shared.set_exception(error)
            self.shared.exception()

    async def leader_result(self) -> Outcome:
        """The outcome, for the one who began it. Cancelling this does not cancel the fetch."""
        return await asyncio.shield(self.outcome)

    async def follower_result(self) -> Shared | None:
        """What the others get."""
        self.followers += 1
        try:
            return await asyncio.shield(self.shared)
        finally:
            self.followers -= 1


class Flights(Generic[Outcome, Shared]):
    """The fetches under way in this worker."""

    def __init__(self) -> None:
        self._in_flight: dict[Hashable, Flight[Outcome, Shared]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_kept: TTLCache[Hashable, None] = TTLCache(
            _NOT_KEPT_URLS, _NOT_KEPT_SECONDS, timer=time.monotonic
        )

    def __len__(self) -> int:
        return len(self._tasks)

    def in_flight(self, key: Hashable) -> Flight[Outcome, Shared] | None:
        return self._in_flight.get(key)

    def begin(
        self,
        key: Hashable | None,
        fetch: Callable[[Flight[Outcome, Shared]], Coroutine[object, object, None]],
    ) -> Flight[Outcome, Shared]:
        """Start a fetch. Without a key nobody can wait for it."""
        fill: Flight[Outcome, Shared] = Flight()
        if key is not None:
            self._in_flight[key] = fill

        async def run() -> None:
            try:
                await fetch(fill)
            except asyncio.CancelledError:
                fill.fail(ConnectionError("the proxy is stopping"), for_all=False)
                raise
            except Exception as error:
                fill.fail(error, for_all=False)
            finally:
                if key is not None and self._in_flight.get(key) is fill:
                    del self._in_flight[key]
                fill.fail(ConnectionError("the fetch ended without an answer"), for_all=False)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return fill

    def detach(self, key: Hashable, fill: Flight[Outcome, Shared]) -> None:
        """Let nobody else wait for a fetch."""
        if self._in_flight.get(key) is fill:
            del self._in_flight[key]

    def was_not_kept(self, key: Hashable) -> None:
        """Remember that a URL's answer could not be kept."""
        self._not_kept[key] = None

    def was_kept(self, key: Hashable) -> None:
        self._not_kept.pop(key, None)

    def is_not_kept(self, key: Hashable) -> bool:
        return key in self._not_kept

    async def close(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
