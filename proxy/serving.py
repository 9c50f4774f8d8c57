"""A config file at work: sockets, workers, reload, drain."""

from __future__ import annotations

import asyncio
import datetime
import gc
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from consent_rules.config import Config, ConfigError
from proxy.access import Access, AccessHook
from proxy.access_log import AccessLog
from proxy.admin import make_admin
from proxy.app import make_handler, memory_of
from proxy.config_file import folder_of, read_config
from proxy.consent.theme import ThemeError
from proxy.discovered import FLUSH_SECONDS
from proxy.metrics import Metrics
from proxy.regions import RegionFileError
from proxy.running import Running, start_running
from proxy.server import open_listener, serve
from proxy.tokens import KeyFaultError
from proxy.upstream import open_session
from proxy.workers import Worker, run_workers

_log = logging.getLogger("consent_proxy")

_FAULTS = 1
_NOT_STARTED = (KeyFaultError, ThemeError, RegionFileError, OSError, ValueError)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def serve_config(config: Config, path: Path) -> tuple[int, str]:
    """Serve until told to stop. Returns the exit code and, on a fault, what is wrong."""
    folder = folder_of(path)
    try:
        # Before the workers part ways: they must not each make a first key.
        running = start_running(config, folder, _now())
        shared = _shared_listeners(config.proxy.listen, config.proxy.admin_listen)
    except _NOT_STARTED as error:
        return _FAULTS, f"{path}: {error}"
    workers = config.proxy.workers or os.cpu_count() or 1
    metrics = Metrics(workers)
    _log.info("listening on %s with %d worker(s)", config.proxy.listen, workers)

    async def work(worker: Worker) -> None:
        metrics.begin(worker.index)
        await _serve_worker(worker, running, path, shared, metrics)

    return run_workers(work, workers), ""


def _shared_listeners(*addresses: str) -> dict[str, socket.socket]:
    """Make sure that the addresses can be had, and open the Unix sockets among them.

    A Unix socket is shared by all workers; of a TCP port each opens its own, which the parent tries
    without `reuse_port` first: a second proxy must not quietly take half of the visitors.
    """
    shared: dict[str, socket.socket] = {}
    for address in addresses:
        listener = open_listener(address)
        if address.startswith("unix:"):
            shared[address] = listener
        else:
            listener.close()
    return shared


def _spare_the_collector() -> None:
    """Let Python look for cycles less often, and never among what is there for good.

    A page makes thousands of small objects without a cycle: by default they set off a full
    collection every few pages, a tenth of the time that compiling takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class _Current:
    """The configuration in force in this worker; a reload puts another in its place."""

    def __init__(self, running: Running, path: Path, metrics: Metrics) -> None:
        self.running = running
        self._path = path
        self._metrics = metrics
        metrics.config_taken()
        metrics.watch("cache_bytes", lambda: self._cached()[0])
        metrics.watch("cache_entries", lambda: self._cached()[1])

    def _cached(self) -> tuple[int, int]:
        cache = self.running.cache
        return (0, 0) if cache is None else (cache.store.size, len(cache.store))

    def reload(self) -> None:
        """Take the file's present content, if it is good: a bad config never replaces one."""
        try:
            config = read_config(self._path, today=_now().date())[0].config
            folder = folder_of(self._path)
            running = start_running(config, folder, _now(), self.running)
        except (ConfigError, *_NOT_STARTED) as error:
            self._metrics.config_refused()
            _log.error("config not taken, the last good one goes on serving:\n%s", error)
            return
        before = self.running.config.proxy
        if (before.listen, before.admin_listen, before.workers) != (
            config.proxy.listen,
            config.proxy.admin_listen,
            config.proxy.workers,
        ):
            _log.warning("listen, admin_listen and workers change with a restart only")
        self.running.sightings.write()
        self.running = running
        self._metrics.config_taken()
        _log.info("config reloaded from %s", self._path)


async def _serve_worker(
    worker: Worker,
    running: Running,
    path: Path,
    shared: Mapping[str, socket.socket],
    metrics: Metrics,
) -> None:
    def listener(address: str) -> socket.socket:
        return shared.get(address) or open_listener(address, reuse_port=True)

    _spare_the_collector()
    current = _Current(running, path, metrics)
    at_work = [
        asyncio.create_task(_keep_discoveries(current)),
        asyncio.create_task(metrics.keep_publishing()),
    ]
    worker.on_reload = current.reload
    proxy = running.config.proxy
    access = AccessLog(trusted=running.trusted) if proxy.access_log else None
    async with open_session() as session, open_session(connections=0) as tunnels:
        await serve(
            make_handler(lambda: current.running, session, tunnels),
            listener(proxy.listen),
            stop=worker.stop,
            ready=worker.ready,
            access=_both(metrics, access),
            memory=memory_of(lambda: current.running),
            admin=(make_admin(lambda: current.running, metrics), listener(proxy.admin_listen)),
        )
        if current.running.cache is not None:
            await current.running.cache.fills.close()
    if access is not None:
        access.flush()
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)


def _both(metrics: Metrics, access: AccessLog | None) -> AccessHook:
    if access is None:
        return metrics

    def hook(told: Access) -> None:
        metrics(told)
        access(told)

    return hook


async def _keep_discoveries(current: _Current) -> None:
    """Write what is discovered every few seconds, and once more at the end."""
    try:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await asyncio.to_thread(current.running.sightings.write)
    finally:
        current.running.sightings.write()
