"""Request coalescing (collapsed forwarding, RFC 9211, 2.5): one of many requests is sent to the
origin, the others wait for its response.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.http.recent import Recent

Outcome = TypeVar("Outcome")
Shared = TypeVar("Shared")

_UNCACHEABLE_SECONDS = 120.0
"""For how long requests for a URL whose response could not be stored are not collapsed (Varnish
calls it "hit-for-miss"): its requests would only be serialised.
"""
_UNCACHEABLE_URLS = 16384
_JUDGED_EVERY = 1.0


@dataclass(slots=True)
class _Uncacheable:
    """A URL whose last response could not be stored: for how long that is taken as given, and when
    a response of it is judged again (CLOCK_MONOTONIC).
    """

    until: float
    due: float = 0.0


class Flight(Generic[Outcome, Shared]):
    """One fetch in flight, in a task of its own: a visitor who disconnects does not cancel it.

    `outcome` is for the leader, whose request began it; `shared` for the followers: None when they
    must send their own. The leader sets `leader_done` when it no longer needs what the outcome
    holds open.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self.shared: asyncio.Future[Shared | None] = loop.create_future()
        self.leader_done = asyncio.Event()

    def settle(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def share(self, shared: Shared | None) -> None:
        if not self.shared.done():
            self.shared.set_result(shared)

    def fail(self, error: BaseException, *, for_all: bool) -> None:
        """The fetch failed; unless `for_all`, the followers send their own requests."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            self.outcome.exception()  # seen, so that asyncio does not complain
        if not for_all:
            self.share(None)
        elif not self.shared.done():
            self.shared.set_exception(error)
            self.shared.exception()

    async def leader_result(self) -> Outcome:
        """The outcome, for the leader. Cancelling this does not cancel the fetch."""
        return await asyncio.shield(self.outcome)

    async def follower_result(self) -> Shared | None:
        """The followers' result. Cancelling this does not cancel the fetch."""
        return await asyncio.shield(self.shared)


class Flights(Generic[Outcome, Shared]):
    """The fetches in flight in this worker."""

    def __init__(self) -> None:
        self._in_flight: dict[Hashable, Flight[Outcome, Shared]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # By the key's hash: URLs and origins are as long as visitors make them. Should two have
        # the same, requests are collapsed or not for a while: nothing worse.
        self._uncacheable: Recent[_Uncacheable] = Recent(_UNCACHEABLE_URLS)

    def __len__(self) -> int:
        return len(self._tasks)

    def in_flight(self, key: Hashable) -> Flight[Outcome, Shared] | None:
        return self._in_flight.get(key)

    def begin(
        self,
        key: Hashable | None,
        fetch: Callable[[Flight[Outcome, Shared]], Coroutine[object, object, None]],
    ) -> Flight[Outcome, Shared]:
        """Start a fetch. Without a key no other request can follow it."""
        flight: Flight[Outcome, Shared] = Flight()
        if key is not None:
            self._in_flight[key] = flight

        async def run() -> None:
            try:
                await fetch(flight)
            except asyncio.CancelledError:
                flight.fail(ConnectionError("the proxy is stopping"), for_all=False)
                raise
            except Exception as error:
                flight.fail(error, for_all=False)
            finally:
                if key is not None and self._in_flight.get(key) is flight:
                    del self._in_flight[key]
                flight.fail(ConnectionError("the fetch ended without a response"), for_all=False)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return flight

    def mark_uncacheable(self, key: Hashable) -> None:
        """Remember that a URL's response could not be stored."""
        self._uncacheable.put(hash(key), _Uncacheable(time.monotonic() + _UNCACHEABLE_SECONDS))

    def is_due_again(self, key: Hashable) -> bool:
        """Whether a response of a URL whose last one could not be stored is to be judged again:
        once in `_JUDGED_EVERY` seconds, not for each request.
        """
        mark, now = self._uncacheable.get(hash(key)), time.monotonic()
        if mark is None or now < mark.due or now >= mark.until:
            return False
        mark.due = now + _JUDGED_EVERY
        return True

    def forget_uncacheable(self, key: Hashable) -> None:
        mark = self._uncacheable.get(hash(key))
        if mark is not None:
            mark.until = 0.0

    def is_uncacheable(self, key: Hashable) -> bool:
        mark = self._uncacheable.get(hash(key))
        return mark is not None and time.monotonic() < mark.until

    async def close(self) -> None:
        """Cancel what is in flight."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
