"""Memory, descriptors and exchanges with upstreams, as the gauges tell them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from proxy.observability.metrics import Metrics
from proxy.observability.process_metrics import watch_pools, watch_process
from proxy.observability.prometheus import metrics_text
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.slots import UNBOUNDED, UpstreamLimits
from proxy.upstream.timeouts import DEFAULT_TIMEOUTS
from tests.support.prometheus_text import samples


def test_memory_and_descriptors(tmp_path: Path) -> None:
    now = [100.0]
    metrics = Metrics(1)
    metrics.begin(0)
    watch_process(metrics, lambda: now[0])

    def told(name: str) -> float:
        return samples(metrics_text(metrics))[name, ("0",)]

    before = told("open_files")
    assert before == len(list(Path("/proc/self/fd").iterdir())) - 1
    assert told("resident_bytes") > 10 * 2**20
    assert told("max_open_files") >= before
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        assert told("open_files") == before, "not counted again so soon"
        now[0] += 15
        assert told("open_files") == before + 2


async def test_exchanges_and_how_many_there_may_be() -> None:
    metrics = Metrics(1)
    limits = UpstreamLimits(connections=1, streams=5, queue=7)
    async with UpstreamPool(limits=lambda: limits) as requests, UpstreamPool() as tunnels:
        watch_pools(metrics, requests, tunnels)
        origin = "http://site:80"
        assert not samples(metrics_text(metrics)).keys() & {("upstream_exchanges", ("x",))}
        slot = await requests.slots.acquire(origin, 1)
        await tunnels.slots.acquire(origin, 1)
        waiting = asyncio.create_task(requests.slots.acquire(origin, 60))
        await asyncio.sleep(0)
        found = samples(metrics_text(metrics))
        shown = {
            state: (found["upstream_exchanges", key], found["upstream_exchanges_limit", key])
            for state in ("active", "stream", "waiting")
            if (key := (state, origin))
        }
        assert shown == {"active": (1, 1), "stream": (1, 5 + 256), "waiting": (1, 7)}
        requests.slots.release(slot)
        await waiting


async def test_what_has_no_limit_shows_none() -> None:
    metrics = Metrics(1)
    async with UpstreamPool(limits=lambda: UNBOUNDED) as pool:
        watch_pools(metrics, pool, pool)
        await pool.slots.acquire("http://site:80", DEFAULT_TIMEOUTS.connect)
        names = dict(samples(metrics_text(metrics)).keys())
    assert names["upstream_exchanges_limit"][0] == "waiting"
