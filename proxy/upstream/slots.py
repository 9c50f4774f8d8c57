"""Places for exchanges with an upstream: a bound, a queue with a bound, streams apart.

Without a bound one slow upstream takes all memory; with a bound alone, those who hold a connection
for long shut out all others. So an event stream, and an exchange that is slow by its length or by
its visitor, moves to places of its own when others wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

LONG_SECONDS = 5.0
"""Age of an exchange that may move to the places for streams."""
_RECHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """Of each upstream, in one worker. 0 `connections` or `streams` is without a bound."""

    connections: int = 256
    streams: int = 1024  # event streams, long bodies
    queue: int = 1024  # requests that wait for a connection
    request_buffer: int = 16 * 2**20  # bytes of a request's body that are read before it is sent
    request_body: int = 2**30  # bytes of the largest body of a request; 0 is without a bound


@dataclass(frozen=True, slots=True)
class SlotUse:
    """The exchanges with one upstream at a moment: active, moved to the streams, waiting."""

    active: int
    streams: int
    waiting: int


DEFAULT_LIMITS = UpstreamLimits()
UNBOUNDED = UpstreamLimits(connections=0, streams=0)


class BusyError(aiohttp.ClientError):
    """No place within the queue's time, or the queue is full."""


class Slot:
    """One exchange's place. `may_move`: what it waits for now is its own length, or its visitor."""

    __slots__ = ("is_stream", "may_move", "since", "upstream")

    def __init__(self, upstream: _Upstream, since: float) -> None:
        self.upstream = upstream
        self.since = since
        self.may_move = False
        self.is_stream = False


class _Upstream:
    __slots__ = ("busy", "recheck", "streams", "waiting")

    def __init__(self) -> None:
        self.busy: dict[Slot, None] = {}  # the oldest first
        self.streams = 0
        self.waiting: deque[asyncio.Future[Slot]] = deque()
        self.recheck: asyncio.TimerHandle | None = None


class Slots:
    """The places of all upstreams. `limits` returns those in force."""

    def __init__(self, limits: Callable[[], UpstreamLimits]) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._upstreams: dict[str, _Upstream] = {}

    async def acquire(self, server: str, queue_timeout: float, *, is_long: bool = False) -> Slot:
        """A place at a server, by its name, to be given back by `release`; among the streams where
        it will be held for long, at a visitor's pace, and they have room. Raises BusyError.
        """
        upstream = self._upstreams.get(server)
        if upstream is None:
            upstream = self._upstreams[server] = _Upstream()
        if is_long:
            slot = Slot(upstream, self._loop.time())
            if self.move_to_streams(slot):
                return slot
        if not upstream.waiting and self._has_room(upstream):
            return self._new(upstream)
        self._move_long(upstream)
        if not upstream.waiting and self._has_room(upstream):
            return self._new(upstream)
        if len(upstream.waiting) >= self._limits().queue:
            raise BusyError("the queue is full")
        return await self._wait(upstream, queue_timeout)

    def take(self, server: str) -> Slot | None:
        """A place at a server that was asked before. None where a request would have to wait."""
        upstream = self._upstreams.get(server)
        if upstream is None or upstream.waiting or not self._has_room(upstream):
            return None
        return self._new(upstream)

    def use(self) -> dict[str, SlotUse]:
        """The use of each server that was asked for once, by its name."""
        return {
            origin: SlotUse(len(one.busy), one.streams, len(one.waiting))
            for origin, one in self._upstreams.items()
        }

    def is_full(self, server: str) -> bool:
        """Whether a request to a server, by its name, would have to wait."""
        upstream = self._upstreams.get(server)
        return upstream is not None and (bool(upstream.waiting) or not self._has_room(upstream))

    def release(self, slot: Slot) -> None:
        upstream = slot.upstream
        if slot.is_stream:
            slot.is_stream = False
            upstream.streams -= 1
        elif slot in upstream.busy:
            del upstream.busy[slot]
            if upstream.waiting:
                self._serve_waiting(upstream)

    def move_to_streams(self, slot: Slot) -> bool:
        """Move an exchange to the places for streams. False where all are taken."""
        upstream, most = slot.upstream, self._limits().streams
        if slot.is_stream:
            return True
        if most and upstream.streams >= most:
            return False
        upstream.busy.pop(slot, None)
        upstream.streams += 1
        slot.is_stream = True
        if upstream.waiting:
            self._serve_waiting(upstream)
        return True

    def _has_room(self, upstream: _Upstream) -> bool:
        most = self._limits().connections
        return not most or len(upstream.busy) < most

    def _new(self, upstream: _Upstream) -> Slot:
        slot = Slot(upstream, self._loop.time())
        upstream.busy[slot] = None
        return slot

    async def _wait(self, upstream: _Upstream, queue_timeout: float) -> Slot:
        place: asyncio.Future[Slot] = self._loop.create_future()
        upstream.waiting.append(place)
        if upstream.recheck is None:
            upstream.recheck = self._loop.call_later(_RECHECK_SECONDS, self._recheck, upstream)
        try:
            async with asyncio.timeout(queue_timeout):
                return await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.release(place.result())  # given just now
            elif place in upstream.waiting:
                upstream.waiting.remove(place)
            if isinstance(error, TimeoutError):
                raise BusyError("none was free in time") from error
            raise

    def _serve_waiting(self, upstream: _Upstream) -> None:
        waiting = upstream.waiting
        while waiting and self._has_room(upstream):
            place = waiting.popleft()
            if not place.done():
                place.set_result(self._new(upstream))

    def _move_long(self, upstream: _Upstream) -> None:
        before = self._loop.time() - LONG_SECONDS
        for slot in list(upstream.busy):
            if slot.since > before:
                return
            if slot.may_move and not self.move_to_streams(slot):
                return

    def _recheck(self, upstream: _Upstream) -> None:
        upstream.recheck = None
        self._move_long(upstream)
        self._serve_waiting(upstream)
        if upstream.waiting:
            upstream.recheck = self._loop.call_later(_RECHECK_SECONDS, self._recheck, upstream)
