"""Metrics of this worker's process: memory and descriptors, and of its exchanges with upstreams."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable

from proxy.observability.metrics import Labels, Metrics
from proxy.upstream.pool import UpstreamPool

_LOOK_SECONDS = 15.0
"""Thousands of descriptors take a while to count."""
_PAGE = resource.getpagesize()


def watch_process(metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
    """Set the gauges of the process now and then. Where there is no /proc, only its limit."""
    looked_at = float("-inf")

    def look() -> None:
        nonlocal looked_at
        now = clock()
        if now - looked_at < _LOOK_SECONDS:
            return
        looked_at = now
        metrics.gauge("max_open_files", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        try:
            with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a quick look
                resident = int(file.read().split()[1]) * _PAGE
            files = len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - less the listing's own
        except OSError:
            return
        metrics.gauge("resident_bytes", resident)
        metrics.gauge("open_files", files)

    metrics.on_publish(look)


def watch_pools(metrics: Metrics, requests: UpstreamPool, tunnels: UpstreamPool) -> None:
    """The gauges of exchanges with upstreams, and how many there may be."""

    def exchanges() -> dict[Labels, float]:
        found: dict[Labels, float] = {}
        for origin, use in requests.slots.use().items():
            add = _adder(found, origin)
            add("active", use.active)
            add("stream", use.streams)
            add("waiting", use.waiting)
        for origin, use in tunnels.slots.use().items():
            add = _adder(found, origin)
            add("stream", use.active + use.streams)
            add("waiting", use.waiting)
        return found

    def limits() -> dict[Labels, float]:
        found: dict[Labels, float] = {}
        most, most_tunnels = requests.limits(), tunnels.limits()
        for origin in _origins(requests, tunnels):
            add = _adder(found, origin)
            add("waiting", most.queue)
            if most.connections:
                add("active", most.connections)
            if most.streams and most_tunnels.connections:
                add("stream", most.streams + most_tunnels.connections)
        return found

    metrics.watch_all("upstream_exchanges", exchanges)
    metrics.watch_all("upstream_exchanges_limit", limits)


def _origins(*pools: UpstreamPool) -> Iterable[str]:
    return sorted({origin for pool in pools for origin in pool.slots.use()})


def _adder(found: dict[Labels, float], origin: str) -> Callable[[str, float], None]:
    def add(state: str, number: float) -> None:
        found[origin, state] = found.get((origin, state), 0) + number

    return add
