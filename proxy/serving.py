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

from aiohttp import web

from consent_rules.config import Config, ConfigError, decode_config, load_config
from proxy.access_log import AccessLog
from proxy.app import Handler, make_handler
from proxy.cache.purge import purge
from proxy.consent.theme import ThemeError
from proxy.discovered import FLUSH_SECONDS
from proxy.running import Running, start_running
from proxy.server import open_listener, serve
from proxy.tokens import KeyFaultError
from proxy.upstream import open_session
from proxy.workers import Worker, run_workers

_log = logging.getLogger("consent_proxy")

_FAULTS = 1


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def read_config(path: Path) -> Config:
    """Read and check a config file. Raises ConfigError or OSError."""
    text = decode_config(path.read_bytes(), str(path))
    return load_config(text, str(path), today=_now().date()).config


def serve_config(config: Config, path: Path) -> tuple[int, str]:
    """Serve until told to stop. Returns the exit code and, on a fault, what is wrong."""
    folder = path.resolve().parent
    try:
        # Before the workers part ways: they must not each make a first key.
        running = start_running(config, folder, _now())
        shared = _shared_listeners(config.proxy.listen, config.proxy.admin_listen)
    except (KeyFaultError, ThemeError, OSError, ValueError) as error:
        return _FAULTS, f"{path}: {error}"
    workers = config.proxy.workers or os.cpu_count() or 1
    _log.info("listening on %s with %d worker(s)", config.proxy.listen, workers)

    async def work(worker: Worker) -> None:
        await _serve_worker(worker, running, path, shared)

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

    def __init__(self, running: Running, path: Path) -> None:
        self.running = running
        self._path = path

    def reload(self) -> None:
        """Take the file's present content, if it is good: a bad config never replaces one."""
        try:
            config = read_config(self._path)
            folder = self._path.resolve().parent
            running = start_running(config, folder, _now(), self.running)
        except (ConfigError, KeyFaultError, ThemeError, OSError, ValueError) as error:
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
        _log.info("config reloaded from %s", self._path)


async def _serve_worker(
    worker: Worker, running: Running, path: Path, shared: Mapping[str, socket.socket]
) -> None:
    def listener(address: str) -> socket.socket:
        return shared.get(address) or open_listener(address, reuse_port=True)

    _spare_the_collector()
    current = _Current(running, path)
    writing = asyncio.create_task(_keep_discoveries(current))
    worker.on_reload = current.reload
    proxy = running.config.proxy
    access = AccessLog(trusted=running.trusted) if proxy.access_log else None
    async with open_session() as session, open_session(connections=0) as tunnels:
        await serve(
            make_handler(lambda: current.running, session, tunnels),
            listener(proxy.listen),
            stop=worker.stop,
            ready=worker.ready,
            access=access,
            admin=(_admin(current), listener(proxy.admin_listen)),
        )
        if current.running.cache is not None:
            await current.running.cache.fills.close()
    if access is not None:
        access.flush()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def _keep_discoveries(current: _Current) -> None:
    """Write what is discovered every few seconds, and once more at the end."""
    try:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await asyncio.to_thread(current.running.sightings.write)
    finally:
        current.running.sightings.write()


def _admin(current: _Current) -> Handler:
    """The operator's listener: health, purge. It answers while the worker's loop turns."""

    async def admin(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0)
        if request.path in {"/healthz", "/readyz"} and request.method in {"GET", "HEAD"}:
            return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})
        if request.path == "/purge":
            return purge(request, current.running.cache)
        return web.Response(status=404, text="here: /healthz, /readyz, /purge\n")

    return admin
