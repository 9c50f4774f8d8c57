"""Counters and histograms of the workers, in shared memory.

Each worker counts in plain dictionaries: well below a microsecond a request. Once a second it
writes its counts into its slot of memory that all workers share, so that any worker can respond to
`/metrics` for all. A worker that is restarted goes on from the counts of its predecessor: a counter
never runs backwards. No label holds anything of a visitor: sites, outcomes and numbers only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import mmap
import struct
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from proxy.http.access_record import Access, PageRecord

_log = logging.getLogger("consent_proxy.observability")

PUBLISH_SECONDS = 1.0
_ROOM = 256 * 1024  # bytes a worker; what is never written to costs no memory
_HEAD = struct.Struct("<II")  # length and CRC-32 of the text behind it

BOUNDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Upper bounds of the time histogram's buckets, in seconds."""

Labels = tuple[str, ...]
_Counted = tuple[str, int, str, PageRecord | None, str]
"""Site, status by hundreds, result of the cache, page, and class of device."""


@dataclass(slots=True)
class Counts:
    """Counts of one worker, or their sum.

    `counters` by family and label values; `seconds` and `upstream_seconds` by site: a count for
    each of `BOUNDS`, one for longer times, and the sum; `gauges` by name and label values.
    """

    counters: dict[tuple[str, Labels], float] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    upstream_seconds: dict[str, list[float]] = field(default_factory=dict)
    gauges: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def as_text(self) -> bytes:
        values = {
            "counters": [[name, labels, value] for (name, labels), value in self.counters.items()],
            "seconds": self.seconds,
            "upstream_seconds": self.upstream_seconds,
            "gauges": [
                [name, labels, value]
                for name, values in self.gauges.items()
                for labels, value in values.items()
            ],
        }
        return json.dumps(values, separators=(",", ":")).encode()

    @classmethod
    def of_text(cls, text: bytes) -> Counts:
        values = json.loads(text)
        counters = {(name, tuple(labels)): value for name, labels, value in values["counters"]}
        gauges: dict[str, dict[Labels, float]] = {}
        for name, labels, value in values["gauges"]:
            gauges.setdefault(name, {})[tuple(labels)] = value
        return cls(counters, values["seconds"], values["upstream_seconds"], gauges)

    def add(self, other: Counts) -> None:
        """Add another worker's counters and times. Gauges are each worker's own."""
        for key, value in other.counters.items():
            self.counters[key] = self.counters.get(key, 0) + value
        for own, others in (
            (self.seconds, other.seconds),
            (self.upstream_seconds, other.upstream_seconds),
        ):
            for site, times in others.items():
                known = own.get(site)
                own[site] = (
                    list(times)
                    if known is None
                    else [a + b for a, b in zip(known, times, strict=True)]
                )


class Metrics:
    """The counts of all workers. Made before the workers are forked; `begin` sets the worker's
    number.

    An `AccessHook`: called once a request.
    """

    def __init__(self, workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, workers * _ROOM)
        self._workers = workers
        self._index = 0
        self._size_logged = False
        self._own = Counts()
        self._alike: dict[_Counted, list[int]] = {}
        self._watched: dict[str, Callable[[], Mapping[Labels, float]]] = {}
        self._before_publish: list[Callable[[], None]] = []

    def begin(self, index: int) -> None:
        """Set the worker's number, and go on from the counts of its predecessor."""
        self._index = index
        before = self._read(index)
        self._own = Counts()
        if before is not None:
            self._own = Counts(before.counters, before.seconds, before.upstream_seconds)
        self.gauge("worker_start_timestamp_seconds", time.time())

    # --- counting ---------------------------------------------------------------------------

    def __call__(self, access: Access) -> None:
        # All at once: a named tuple's fields one by one take a hit as long as the counting itself.
        (
            _, _, _, status, size, seconds, _, _, site, cache, page, unreadable_choice, _, device,
            upstream_seconds, choice, _,
        ) = access  # fmt: skip
        # Sums are made when they are published; here only what is alike is counted together.
        alike = site, status // 100, cache, page, device
        known = self._alike.get(alike)
        if known is None:
            known = self._alike[alike] = [0, 0]
        known[0] += 1
        known[1] += size
        _add_time(self._own.seconds, site, seconds)
        if upstream_seconds is not None:
            _add_time(self._own.upstream_seconds, site, upstream_seconds)
        if choice is not None:
            self.count("choices", site, *choice)
        if unreadable_choice and page is not None:
            self.count("unreadable_choices", site, unreadable_choice)
        if status == 421 and not site:
            self.count("unknown_hosts")

    def count(self, family: str, *labels: str, by: float = 1) -> None:
        """Increment a counter outside of the request path. `prometheus.FAMILIES` has the families
        and their labels.
        """
        key = (family, labels)
        self._own.counters[key] = self._own.counters.get(key, 0) + by

    def gauge(self, name: str, value: float) -> None:
        """Set this worker's gauge. `name` is one of `prometheus.GAUGES`."""
        self._own.gauges[name] = {(): value}

    def gauges(self, name: str, values: Mapping[Labels, float]) -> None:
        """Set this worker's gauges of a name, by label values, in place of all former ones. `name`
        is one of `prometheus.LABELLED_GAUGES`, which has the names of the labels.
        """
        self._own.gauges[name] = dict(values)

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """A gauge whose value is read whenever counts are published."""
        self._watched[name] = lambda: {(): value()}

    def watch_all(self, name: str, values: Callable[[], Mapping[Labels, float]]) -> None:
        """Gauges of a name whose values are read whenever counts are published."""
        self._watched[name] = values

    def on_publish(self, count: Callable[[], None]) -> None:
        """Call a function before counts are published: for what is counted elsewhere."""
        self._before_publish.append(count)

    def config_accepted(self, at: float | None = None) -> None:
        """This worker serves the config file as it was at `at` (Unix time; now if None)."""
        self.gauge("config_last_reload_successful", 1)
        self.gauge("config_last_good_timestamp_seconds", time.time() if at is None else at)

    def config_reloaded(self, seconds: float) -> None:
        """A changed config was taken; `seconds` is what reading and compiling it took."""
        self.count("config_reloads")
        self.gauge("config_reload_seconds", seconds)

    def config_rejected(self) -> None:
        """The config file was rejected: the last good one is still served."""
        self.gauge("config_last_reload_successful", 0)
        self.count("config_refusals")

    # --- telling ----------------------------------------------------------------------------

    def publish(self) -> None:
        """Write this worker's counts into shared memory."""
        self._update_totals()
        text = self._own.as_text()
        if _HEAD.size + len(text) > _ROOM:
            if not self._size_logged:
                _log.error("the metrics of a worker no longer fit into %d bytes", _ROOM)
            self._size_logged = True
            return
        at = self._index * _ROOM
        # A reader between these two lines sees a wrong checksum, and reads again.
        self._memory[at + _HEAD.size : at + _HEAD.size + len(text)] = text
        _HEAD.pack_into(self._memory, at, len(text), crc32(text))

    async def publish_periodically(self) -> None:
        """Publish every second until cancelled, and once more at the end."""
        try:
            while True:
                self.publish()
                await asyncio.sleep(PUBLISH_SECONDS)
        finally:
            self.publish()

    def all_workers(self) -> dict[int, Counts]:
        """The counts of each worker by its number; the others' are up to a second old."""
        self.publish()
        found = ((index, self._read(index)) for index in range(self._workers))
        return {index: counts for index, counts in found if counts is not None}

    def _update_totals(self) -> None:
        for update in self._before_publish:
            update()
        count = self.count
        for (site, hundreds, cache, page, device), (number, size) in self._alike.items():
            count("requests", site, f"{hundreds}xx", cache, by=number)
            count("response_bytes", site, by=size)
            if page is not None:
                banner = "shown" if page.banner_shown else "none"
                count("pages", site, page.audience, banner, by=number)
                count("gates", site, "open", by=number * page.open_gates)
                count("gates", site, "closed", by=number * page.closed_gates)
                count("pages_by_device", site, device or "other", by=number)
        self._alike.clear()
        for name, values in self._watched.items():
            self.gauges(name, values())

    def _read(self, index: int) -> Counts | None:
        at = index * _ROOM
        for _ in range(100):
            length, check = _HEAD.unpack_from(self._memory, at)
            if not length:
                return None
            text = self._memory[at + _HEAD.size : at + _HEAD.size + length]
            if crc32(text) == check:
                return Counts.of_text(text)
        return None  # it was killed while it wrote


def _add_time(by_site: dict[str, list[float]], site: str, seconds: float) -> None:
    times = by_site.get(site)
    if times is None:
        times = by_site[site] = [0.0] * (len(BOUNDS) + 2)
    times[bisect_left(BOUNDS, seconds)] += 1
    times[-1] += seconds
