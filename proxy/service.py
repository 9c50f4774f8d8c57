"""The service: sockets, workers, reload and drain of one config file."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from consent_rules.config.load import LoadedConfig
from consent_rules.config.models import LogFormat
from consent_rules.wording import counted
from proxy.app import fast_path_lookup, make_handler, request_ids
from proxy.config.file import ConfigFile, folder_of
from proxy.config.key_age import warn_of_old_key
from proxy.config.last_known_good import LastGood
from proxy.config.reload import NOT_STARTED, LiveRuntime
from proxy.cookies.key_sources import first_ring, key_source
from proxy.cookies.signing_keys import key_files
from proxy.dashboard.access import Gatekeeper
from proxy.dashboard.choices import ChoiceStatistics
from proxy.dashboard.handler import Sources, make_dashboard
from proxy.dashboard.sessions import Sessions
from proxy.http.access_record import Access, AccessHook
from proxy.http.device_class import warm_up
from proxy.nodes import follow_other_nodes, purge_sender
from proxy.observability.access_log import AccessLog
from proxy.observability.admin import admin_host_names, make_admin
from proxy.observability.discovered import FLUSH_SECONDS
from proxy.observability.log_output import LogOutput, open_log_file
from proxy.observability.metrics import Metrics
from proxy.observability.process_metrics import watch_pools, watch_process
from proxy.observability.readiness import unready
from proxy.observability.receipt_metrics import watch_log, watch_recorder
from proxy.observability.upstream_metrics import watch_upstreams
from proxy.receipts.forwarding import forward_periodically
from proxy.receipts.place import store_place
from proxy.receipts.recorder import Recorder
from proxy.receipts.retention import erase_old_periodically
from proxy.runtime import build_runtime
from proxy.server.listener import open_listener
from proxy.server.serve import Limits, serve
from proxy.server.workers import Worker, run_workers
from proxy.upstream.checking import check_periodically
from proxy.upstream.group import UpstreamGroup
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.resolver import Resolver, refresh_periodically, upstream_names
from proxy.upstream.slots import UNBOUNDED

_log = logging.getLogger("consent_proxy.service")

_FAULTS = 1
_END_SECONDS = 1.0
"""What a worker has to write down what it knows, after its requests."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def serve_config(file: ConfigFile, loaded: LoadedConfig, output: LogOutput) -> tuple[int, str]:
    """Serve until stopped. `file` was just read and gave `loaded`; the access log goes to `output`,
    where it has no file of its own.
    Returns the exit code and, on failure, the reason.
    """
    config, folder = loaded.config, folder_of(file.path)
    source = key_source(config.preferences, folder)
    keys = partial(first_ring, source, _now())
    lines = output
    has_keys = not source.is_folder or bool(key_files(source.folder))
    try:
        # Before the workers are forked: they must not each create a first key. As the last step: a
        # config that cannot be served leaves nothing behind.
        with _shared_listeners(config.proxy.listen, config.proxy.admin_listen) as shared:
            if config.proxy.access_log_file:
                lines = LogOutput(_checked_log_file(folder / config.proxy.access_log_file))
            runtime = build_runtime(config, folder, keys, vendors=loaded.vendors)
    except NOT_STARTED as error:
        return _FAULTS, f"{file.path}: {error}"
    file.track_files(config)
    last_good = LastGood(config, runtime.keys, file.digest())
    workers = config.proxy.workers or os.cpu_count() or 1
    warm_up()
    metrics = Metrics(workers)
    if not has_keys:
        metrics.count("keys_made")
        metrics.publish()  # the first worker goes on from it

    sessions = Sessions()

    def ready() -> None:
        listen = config.proxy.listen
        _log.info("listening on %s with %s", listen, counted(workers, "worker"))

    async def work(worker: Worker) -> None:
        metrics.begin(worker.index)
        current = LiveRuntime(file, runtime, last_good, metrics, worker.index)
        output.on_drop = lines.on_drop = partial(_count_dropped, metrics)
        await _serve_worker(worker, current, shared, metrics, folder, lines, sessions)

    grace = config.proxy.drain_timeout + _END_SECONDS
    return run_workers(work, workers, grace=grace, on_ready=ready), ""


@contextlib.contextmanager
def _shared_listeners(*addresses: str) -> Iterator[dict[str, socket.socket]]:
    """Check that the addresses can be bound, and open the Unix sockets among them. They stay open,
    unless the block fails: then they are removed again.

    A Unix socket is shared by all workers; of a TCP port each opens its own, which the parent tries
    without `reuse_port` first: a second proxy must not silently take half of the visitors.
    """
    shared: dict[str, socket.socket] = {}
    with contextlib.ExitStack() as undo:
        for address in addresses:
            listener = open_listener(address)
            undo.callback(listener.close)
            if address.startswith("unix:"):
                shared[address] = listener
                path = Path(address.removeprefix("unix:"))
                undo.callback(path.unlink, missing_ok=True)
            else:
                listener.close()
        yield shared
        undo.pop_all()


def _freeze_startup_objects() -> None:
    """Freeze the objects of the start, and collect cycles less often.

    A page makes thousands of small objects without a cycle: by default they set off a full
    collection every few pages, a tenth of the time that compiling takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _serve_worker(
    worker: Worker,
    current: LiveRuntime,
    shared: Mapping[str, socket.socket],
    metrics: Metrics,
    folder: Path,
    lines: LogOutput,
    sessions: Sessions,
) -> None:
    def listener(address: str) -> socket.socket:
        return shared.get(address) or open_listener(address, reuse_port=True)

    _freeze_startup_objects()
    current.adopt_last_good()
    runtime = current.runtime
    at_work = [
        asyncio.create_task(_keep_discoveries(current)),
        asyncio.create_task(metrics.publish_periodically()),
        asyncio.create_task(current.watch_files()),
    ]
    watch_recorder(metrics, lambda: current.runtime.receipts)
    watch_process(metrics)
    if worker.index == 0:
        at_work.append(asyncio.create_task(_erase_old_receipts(current)))
        at_work.append(asyncio.create_task(watch_log(metrics, lambda: current.runtime.receipts)))
        at_work.append(asyncio.create_task(warn_of_old_key(lambda: current.runtime)))
        at_work.append(asyncio.create_task(forward_periodically(lambda: current.runtime.receipts)))
        at_work.append(asyncio.create_task(follow_other_nodes(lambda: current.runtime, folder)))

    def upstreams() -> tuple[UpstreamGroup, ...]:
        return tuple(site.upstream for site in current.runtime.sites.values())

    def in_maintenance() -> bool:
        # Without this worker its visitors would not get the maintenance page either.
        return any(site.in_maintenance for site in current.runtime.sites.values())

    worker.on_reload = current.reload
    proxy = runtime.config.proxy
    choices = ChoiceStatistics(lambda: store_place(current.runtime.config, folder))
    admin = make_admin(
        lambda: current.runtime.cache,
        metrics,
        current.status,
        lambda: admin_host_names(proxy.admin_listen, current.runtime.config.proxy.admin_hosts),
        lambda: current.runtime.receipts,
        lambda: purge_sender(current.runtime),
        lambda: unready(
            () if in_maintenance() else upstreams(),
            current.runtime.receipts,
            stopping=worker.stop.is_set(),
        ),
        make_dashboard(
            Sources(lambda: current.runtime, current.status, metrics, choices, folder),
            Gatekeeper(proxy.admin_listen, sessions, lambda: current.runtime.config, folder),
        ),
    )
    access = None if proxy.access_log is LogFormat.OFF else _access_log(current, lines)
    worker.on_reopen = lines.reopen
    resolver = Resolver()
    at_work.append(asyncio.create_task(_resolve_periodically(resolver, current)))
    async with (
        UpstreamPool(limits=lambda: current.runtime.upstream_limits, resolver=resolver) as requests,
        UpstreamPool(limits=lambda: current.runtime.tunnel_limits, resolver=resolver) as tunnels,
        UpstreamPool(limits=lambda: UNBOUNDED, resolver=resolver) as checks,
    ):
        watch_pools(metrics, requests, tunnels)
        watch_upstreams(metrics, upstreams)
        at_work.append(asyncio.create_task(check_periodically(checks, upstreams)))
        await serve(
            make_handler(lambda: current.runtime, requests, tunnels),
            listener(proxy.listen),
            stop=worker.stop,
            ready=worker.ready,
            limits=Limits(head_bytes=proxy.max_head_bytes, grace=proxy.drain_timeout),
            access=_both(metrics, access),
            fast_path=fast_path_lookup(lambda: current.runtime),
            id_of=request_ids(lambda: current.runtime),
            ids_on_hits=access is not None,
            admin=(admin, listener(proxy.admin_listen)),
        )
        if current.runtime.cache is not None:
            await current.runtime.cache.flights.close()
    if access is not None:
        access.flush()
        lines.drain()
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)
    await choices.close()
    if current.runtime.receipts is not None:
        await current.runtime.receipts.close()


def _access_log(current: LiveRuntime, output: LogOutput) -> AccessLog:
    def path_without_site(target: str) -> str:
        return current.runtime.rules.logged_path(target)

    combined = current.runtime.config.proxy.access_log is LogFormat.COMBINED
    return AccessLog(output, current.runtime.trusted, path_without_site, combined=combined)


def _checked_log_file(path: Path) -> Path:
    """The path of a log file, once it was seen that it can be written to. Raises ValueError."""
    try:
        os.close(open_log_file(path))
    except OSError as error:
        raise ValueError(f"access_log_file: {path} cannot be written: {error.strerror}") from None
    return path


def _count_dropped(metrics: Metrics, lines: int) -> None:
    metrics.count("log_lines_dropped", by=lines)


def _both(metrics: Metrics, access: AccessLog | None) -> AccessHook:
    if access is None:
        return metrics

    def hook(status: Access) -> None:
        metrics(status)
        access(status)

    return hook


async def _erase_old_receipts(current: LiveRuntime) -> None:
    def in_force() -> tuple[Recorder | None, int]:
        return current.runtime.receipts, current.runtime.config.receipts.keep_days

    await erase_old_periodically(in_force, time.time)


async def _resolve_periodically(resolver: Resolver, current: LiveRuntime) -> None:
    """Look up the names of upstreams, also before the first request, until cancelled."""
    await refresh_periodically(
        resolver,
        lambda: upstream_names(
            server for site in current.runtime.sites.values() for server in site.upstream.servers
        ),
        lambda: current.runtime.config.proxy.upstream_resolve_interval,
    )


async def _keep_discoveries(current: LiveRuntime) -> None:
    """Write discoveries every few seconds, and once more at the end."""
    try:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await asyncio.to_thread(current.runtime.sightings.write)
    finally:
        current.runtime.sightings.write()
