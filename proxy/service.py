"""The service: sockets, workers, reload and drain of one config file."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from consent_rules.config.checks.public_suffixes import public_suffixes
from consent_rules.config.load import Config, LoadedConfig
from consent_rules.config.models import LogFormat
from consent_rules.wording import counted
from proxy import __version__
from proxy.app import (
    KnownRequests,
    fast_path_lookup,
    make_handler,
    relaying_lookup,
    request_ids,
)
from proxy.background import keep_going
from proxy.config.file import ConfigFile, folder_of
from proxy.config.key_age import warn_of_old_key
from proxy.config.last_known_good import LastGood
from proxy.config.reload import NOT_STARTED, LiveRuntime
from proxy.cookies.key_sources import first_ring, key_source
from proxy.cookies.signing_keys import key_files
from proxy.dashboard.access import Gatekeeper
from proxy.dashboard.opening import Dashboard
from proxy.dashboard.sessions import Sessions
from proxy.free_memory import keep_free_memory
from proxy.gc_tuning import freeze_startup_objects
from proxy.http import device_class
from proxy.http.access_record import Access, AccessHook
from proxy.http.addresses import address_is_trusted
from proxy.nodes import follow_other_nodes, purge_sender
from proxy.observability.access_log import AccessLog
from proxy.observability.admin import admin_host_names, make_admin
from proxy.observability.discovered import FLUSH_SECONDS, count_new_third_parties
from proxy.observability.log_output import LogOutput, check_log_file, open_log_file
from proxy.observability.metrics import Metrics
from proxy.observability.process_metrics import watch_pools, watch_process
from proxy.observability.readiness import unready
from proxy.observability.receipt_metrics import watch_log, watch_recorder
from proxy.observability.unraisable import log_unraisable
from proxy.observability.upstream_metrics import watch_upstreams
from proxy.receipts.forwarding import forward_periodically
from proxy.receipts.recorder import Recorder
from proxy.receipts.retention import erase_old_periodically
from proxy.runtime import build_runtime
from proxy.server.certificates import ServerCertificates, listening_context
from proxy.server.handover import Inherited, inherited
from proxy.server.listener import Listeners, check_address
from proxy.server.redirect import UPSTREAM, RedirectRules, redirect_handler
from proxy.server.serve import Front, Limits, no_hsts, serve
from proxy.server.workers import Worker, run_workers
from proxy.upstream.checking import check_periodically
from proxy.upstream.group import UpstreamGroup
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.resolver import Resolver, refresh_periodically, upstream_names
from proxy.upstream.slots import UNBOUNDED

if TYPE_CHECKING:
    from proxy.observability.tracing import Tracing

_log = logging.getLogger("consent_proxy.service")

_FAULTS = 1
_END_SECONDS = 1.0
"""What a worker has to write down what it knows, after its requests."""
_WATCH_AFTER, _WARM_UP_AFTER = 0.5, 2.0
"""Seconds after the start."""


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
        _check_tracing(config)
        # Before the workers are forked: they must not each create a first key. As the last step: a
        # config that cannot be served leaves nothing behind.
        given = inherited()
        workers = config.proxy.workers or os.cpu_count() or 1
        with _listeners(config, workers, given) as listeners:
            if config.proxy.access_log_file:
                log_file = folder / config.proxy.access_log_file
                _check_log_file(log_file, _open_and_close)
                lines = LogOutput(log_file)
            runtime = build_runtime(
                config, folder, keys, vendors=loaded.vendors, certificates=file.certificates
            )
    except NOT_STARTED as error:
        return _FAULTS, f"{file.path}: {error}"
    given.close_others([sock for one in listeners.values() for sock in one.sockets])
    file.track_files(config)
    last_good = LastGood(config, runtime.keys, file.digest(), file.certificates)
    metrics = Metrics(workers)
    if not has_keys:
        metrics.count("keys_made")
        metrics.publish()  # the first worker goes on from it

    sessions = Sessions()
    at_start = [runtime]
    del runtime

    def ready() -> None:
        listen = config.proxy.listen
        _log.info("listening on %s with %s", listen, counted(workers, "worker"))
        given.report_ready()

    async def work(worker: Worker) -> None:
        log_unraisable()
        metrics.begin(worker.index)
        for one in listeners.values():
            one.keep_only(worker.index)
        # Taken out: after a reload nobody is to hold it, with the pages that it remembers.
        current = LiveRuntime(file, at_start.pop(), last_good, metrics, worker.index)
        output.on_drop = lines.on_drop = partial(_count_dropped, metrics)
        replaces = given.ready is not None
        await _serve_worker(
            worker, current, listeners, metrics, folder, lines, sessions, replaces=replaces
        )

    grace = config.proxy.drain_timeout + _END_SECONDS
    freeze_startup_objects()
    code = run_workers(work, workers, grace=grace, on_ready=ready, listeners=listeners)
    return code, ""


def check_opening(config: Config, folder: Path) -> None:
    """Whether `serve_config` could open its listening sockets and its log file, without the ports,
    which a running proxy holds. Makes nothing. Raises an error of `NOT_STARTED`.
    """
    _check_tracing(config)
    for address in _addresses(config).values():
        check_address(address)
    if config.proxy.access_log_file:
        _check_log_file(folder / config.proxy.access_log_file, check_log_file)


def _addresses(config: Config) -> dict[str, str]:
    """What is listened on, by its role."""
    redirect = config.tls.redirect_listen if config.speaks_tls else ""
    found = {
        "listen": config.proxy.listen, "admin": config.proxy.admin_listen, "redirect": redirect,
    }  # fmt: skip
    return {role: address for role, address in found.items() if address}


@contextlib.contextmanager
def _listeners(config: Config, workers: int, given: Inherited) -> Iterator[dict[str, Listeners]]:
    """Open the listening sockets, by address, or take those that are given. They stay open, unless
    the block fails: then they are closed, and Unix sockets removed again.
    """
    found: dict[str, Listeners] = {}
    with contextlib.ExitStack() as undo:
        for role, address in _addresses(config).items():
            inherits = given.of(role, address)
            found[address] = Listeners(address, workers, inherits)
            undo.callback(found[address].close)
            if address.startswith("unix:") and not inherits:
                path = Path(address.removeprefix("unix:"))
                undo.callback(path.unlink, missing_ok=True)
        yield found
        undo.pop_all()


async def _wait_until_ready(current: LiveRuntime) -> None:
    """Wait for what `/readyz` asks for, before a process takes the place of another that serves.
    That one waits for a bounded time.
    """
    logged: list[str] = []
    while problems := await _unready(current, stopping=False):
        if problems != logged:
            _log.warning("not ready to take over: %s", "; ".join(problems))
            logged = problems
        await asyncio.sleep(0.5)


async def _unready(current: LiveRuntime, *, stopping: bool) -> list[str]:
    sites = current.runtime.sites.values()
    # In maintenance without this worker visitors would not get the maintenance page either.
    asked = () if any(site.in_maintenance for site in sites) else [site.upstream for site in sites]
    return await unready(asked, current.runtime.receipts, stopping=stopping)


async def _serve_worker(
    worker: Worker,
    current: LiveRuntime,
    listeners: Mapping[str, Listeners],
    metrics: Metrics,
    folder: Path,
    lines: LogOutput,
    sessions: Sessions,
    *,
    replaces: bool,
) -> None:
    def listener(address: str) -> list[socket.socket]:
        return listeners[address].of(worker.index)

    current.adopt_last_good()
    config = current.runtime.config
    at_work = [
        _beside(partial(_keep_discoveries, current, metrics)),
        _beside(metrics.publish_periodically),
        _beside(partial(_watch_files, current)),
        _beside(_warm_up),
    ]
    watch_recorder(metrics, lambda: current.runtime.receipts)
    watch_process(metrics)
    if worker.index == 0:
        at_work.append(_beside(partial(_erase_old_receipts, current)))
        at_work.append(_beside(partial(watch_log, metrics, lambda: current.runtime.receipts)))
        at_work.append(_beside(partial(warn_of_old_key, lambda: current.runtime)))
        at_work.append(_beside(partial(forward_periodically, lambda: current.runtime.receipts)))
        at_work.append(_beside(partial(follow_other_nodes, lambda: current.runtime, folder)))

    def upstreams() -> tuple[UpstreamGroup, ...]:
        return tuple(site.upstream for site in current.runtime.sites.values())

    worker.on_reload = current.reload
    proxy = config.proxy
    dashboard = Dashboard(
        lambda: current.runtime,
        current.status,
        metrics,
        folder,
        Gatekeeper(proxy.admin_listen, sessions, lambda: current.runtime.config, folder),
    )
    admin = make_admin(
        lambda: current.runtime.cache,
        metrics,
        current.status,
        lambda: admin_host_names(proxy.admin_listen, current.runtime.config.proxy.admin_hosts),
        lambda: current.runtime.receipts,
        lambda: purge_sender(current.runtime),
        lambda: _unready(current, stopping=worker.stop.is_set()),
        dashboard.handle,
    )
    access = None if proxy.access_log is LogFormat.OFF else _access_log(current, lines)
    worker.on_reopen = lines.reopen
    resolver = Resolver()
    at_work.append(_beside(partial(_resolve_periodically, resolver, current)))
    async with (
        UpstreamPool(limits=lambda: current.runtime.upstream_limits, resolver=resolver) as requests,
        UpstreamPool(limits=lambda: current.runtime.tunnel_limits, resolver=resolver) as tunnels,
        UpstreamPool(limits=lambda: UNBOUNDED, resolver=resolver) as checks,
    ):
        watch_pools(metrics, requests, tunnels)
        watch_upstreams(metrics, upstreams)
        at_work.append(_beside(partial(check_periodically, checks, upstreams)))
        handler = make_handler(lambda: current.runtime, requests, tunnels)
        lookup = relaying_lookup(lambda: current.runtime, requests)
        known: KnownRequests | None = KnownRequests(lambda: current.runtime)
        tracing = _tracing(current)
        if tracing is not None:
            handler = tracing.handler(handler)
            lookup = tracing.lookup(fast_path_lookup(lambda: current.runtime))
            known = None  # a span says what is read of a request
        speaks_tls = current.runtime.certificates is not None
        redirect = config.tls.redirect_listen if speaks_tls else ""
        rules = partial(_redirect_rules, current, folder)
        if replaces:
            await _wait_until_ready(current)
        await serve(
            handler,
            listener(proxy.listen),
            stop=worker.stop,
            ready=worker.ready,
            limits=Limits(head_bytes=proxy.max_head_bytes, grace=proxy.drain_timeout),
            access=_both(metrics, access),
            fast_path=lookup,
            known=known,
            id_of=request_ids(lambda: current.runtime),
            ids_on_hits=access is not None,
            admin=(admin, listener(proxy.admin_listen)),
            front=_front(current),
            redirect=(redirect_handler(rules, handler), listener(redirect)) if redirect else None,
            replaced=lambda: worker.replaced,
        )
        if current.runtime.cache is not None:
            await current.runtime.cache.flights.close()
    if tracing is not None:
        await tracing.close()
    if access is not None:
        access.flush()
        lines.drain()
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)
    await dashboard.close()
    if current.runtime.receipts is not None:
        await current.runtime.receipts.close()


def _beside(work: Callable[[], Coroutine[object, object, None]]) -> asyncio.Task[None]:
    return asyncio.create_task(keep_going(work))


def _front(current: LiveRuntime) -> Front:
    """What the visitors' listener expects ahead of HTTP."""
    runtime = current.runtime

    def certificates() -> ServerCertificates:
        in_force = current.runtime.certificates
        assert in_force is not None, "a reload keeps those that are in force"
        return in_force

    def is_trusted(peer: str) -> bool:
        return address_is_trusted(peer, tuple(current.runtime.trusted))

    tls = None
    if runtime.certificates is not None:
        tls = listening_context(certificates, runtime.config.tls.min_version)
    return Front(
        tls=tls,
        hsts=(lambda: current.runtime.config.tls.hsts) if tls is not None else no_hsts,
        takes_proxy_header=is_trusted if runtime.config.proxy.proxy_protocol else None,
    )


def _redirect_rules(current: LiveRuntime, folder: Path) -> RedirectRules:
    runtime = current.runtime
    tls = runtime.config.tls
    challenges = tls.acme_challenge
    return RedirectRules(
        serves=lambda host: runtime.rules.site_of(host, None) is not None,
        https_port=tls.https_port,
        challenges=challenges if challenges in ("", UPSTREAM) else folder / challenges,
    )


def _access_log(current: LiveRuntime, output: LogOutput) -> AccessLog:
    def path_without_site(target: str) -> str:
        return current.runtime.rules.logged_path(target)

    combined = current.runtime.config.proxy.access_log is LogFormat.COMBINED
    return AccessLog(output, lambda: current.runtime.trusted, path_without_site, combined=combined)


def _check_tracing(config: Config) -> None:
    """Raises ValueError where spans are asked for, and cannot be made."""
    if not config.tracing.endpoint:
        return
    try:
        import proxy.observability.tracing  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(
            f"[tracing] needs an extra that is not installed (missing: {error.name}): "
            "pip install 'consent-proxy[otel]', or leave its endpoint out"
        ) from None


def _tracing(current: LiveRuntime) -> Tracing | None:
    """The spans of a worker; None where the config asks for none."""
    settings = current.runtime.config.tracing
    if not settings.endpoint:
        return None
    from proxy.observability.tracing import Tracing

    return Tracing(settings, __version__, lambda: current.runtime.trusted)


def _check_log_file(path: Path, attempt: Callable[[Path], None]) -> None:
    """Raises ValueError where an attempt to write to the log file fails."""
    try:
        attempt(path)
    except OSError as error:
        raise ValueError(f"access_log_file: {path} cannot be written: {error.strerror}") from None


def _open_and_close(path: Path) -> None:
    os.close(open_log_file(path))


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


async def _watch_files(current: LiveRuntime) -> None:
    """Reload when a file changes: what changed since the start is seen as the watch begins. The
    first requests need not wait for what it imports.
    """
    await asyncio.sleep(_WATCH_AFTER)
    await current.watch_files()


async def _warm_up() -> None:
    """Do what few requests need, once the start and the first requests are over."""
    await asyncio.sleep(_WARM_UP_AFTER)
    await asyncio.to_thread(keep_free_memory)
    await asyncio.to_thread(device_class.warm_up)
    await asyncio.to_thread(public_suffixes)


async def _resolve_periodically(resolver: Resolver, current: LiveRuntime) -> None:
    """Look up the names of upstreams, also before the first request, until cancelled."""
    await refresh_periodically(
        resolver,
        lambda: upstream_names(
            server for site in current.runtime.sites.values() for server in site.upstream.servers
        ),
        lambda: current.runtime.config.proxy.upstream_resolve_interval,
    )


async def _keep_discoveries(current: LiveRuntime, metrics: Metrics) -> None:
    """Write discoveries every few seconds, and once more at the end."""
    try:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            new = await asyncio.to_thread(current.runtime.sightings.write)
            count_new_third_parties(new, metrics)
    finally:
        current.runtime.sightings.write()
