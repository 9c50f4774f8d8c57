"""Reload, on SIGHUP or a saved file: the configuration in force in one worker."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from math import inf
from typing import Any, TypeVar

from consent_rules.config.load import Config, ConfigError, LoadedConfig, format_problem
from consent_rules.rules import Rules
from consent_rules.wording import join_and
from proxy.banner.maintenance import MaintenancePageError
from proxy.config.file import ConfigFile, folder_of
from proxy.config.key_age import due_at
from proxy.config.last_known_good import LastGood
from proxy.config.watcher import watch
from proxy.cookies.key_sources import key_source, read_ring, revoked_now
from proxy.cookies.preference_cookie import KeyFileError
from proxy.free_memory import give_back_free_memory
from proxy.geoip import RegionFileError
from proxy.libraries import LibraryFileError
from proxy.observability.discovered import count_new_third_parties
from proxy.observability.metrics import Metrics
from proxy.receipts.errors import ReceiptStoreError
from proxy.runtime import Runtime, build_runtime
from proxy.server.certificates import Certificate, CertificateFileError
from proxy.upstream.tls import UpstreamTlsError

_log = logging.getLogger("consent_proxy.config")

KEYS_OF_THE_START = (
    "listen",
    "admin_listen",
    "proxy_protocol",
    "workers",
    "watch",
    "access_log",
    "access_log_file",
    "max_head_bytes",
    "drain_timeout",
)
"""The keys of [proxy] that a process reads once."""

_T = TypeVar("_T")

_SETTLED_SECONDS = 5.0
"""After a reload: when most requests that began under the last config have ended."""

NOT_STARTED = (
    KeyFileError,
    RegionFileError,
    LibraryFileError,
    ReceiptStoreError,
    UpstreamTlsError,
    MaintenancePageError,
    CertificateFileError,
    OSError,
    ValueError,
)
"""Why a config without problems may still not be served."""


class LiveRuntime:
    """The configuration that this worker serves. An invalid config never replaces a valid one."""

    def __init__(
        self,
        file: ConfigFile,
        runtime: Runtime,
        last_good: LastGood,
        metrics: Metrics,
        worker: int = 0,
    ) -> None:
        self.runtime = runtime
        self._file = file
        self._watched = file.folders
        self._digest = file.digest()
        self._last_good = last_good
        self._metrics = metrics
        self._worker = worker
        self._reload_lock = asyncio.Lock()
        # One thread for all reloads: what one leaves to its allocator is of use to the next, where
        # each of a pool's would keep its own.
        self._thread = ThreadPoolExecutor(1, "config")
        self._problems: list[str] = []
        self._taken_at = time.time()
        metrics.config_accepted()
        metrics.watch("cache_bytes", lambda: self._cached()[0])
        metrics.watch("cache_entries", lambda: self._cached()[1])
        metrics.watch("tls_certificate_expiry_timestamp_seconds", self._certificates_expire)
        metrics.watch("signing_key_due_timestamp_seconds", lambda: due_at(self.runtime) or 0.0)
        metrics.gauge("config_reload_seconds", 0)
        metrics.watch_all("tag_expiry_timestamp_seconds", lambda: approval_ends(self.runtime.rules))

    def status(self) -> Mapping[str, Any]:
        """For the operator: whether the current file was accepted, and if not, why."""
        at = datetime.datetime.fromtimestamp(self._taken_at, datetime.UTC)
        return {
            "file": str(self._file.path),
            "worker": self._worker,
            "taken": not self._problems,
            "in_force_since": at.isoformat(timespec="seconds"),
            "faults": self._problems,
        }

    def adopt_last_good(self) -> None:
        """Load the config that the other workers serve, where it is not the one of the start."""
        config, (keys, certificates), digest = self._last_good.read()
        if digest == self._digest:
            return
        with contextlib.suppress(*NOT_STARTED):
            folder = folder_of(self._file.path)
            self.runtime = build_runtime(
                config, folder, lambda: keys, self.runtime, certificates=certificates
            )
            self._digest = digest

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        """The event loop goes on serving requests meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def watch_files(self) -> None:
        """Reload on every change of the files, until cancelled."""
        how = self.runtime.config.proxy.watch
        async for _ in watch(lambda: self._watched, how):
            async with self._reload_lock:
                if await self._in_thread(self._file.changed):
                    await self._reload(forced=False)

    async def reload(self) -> None:
        """Reload from the files, even where none has changed."""
        async with self._reload_lock:
            await self._reload(forced=True)

    async def _reload(self, *, forced: bool) -> None:
        file = ConfigFile(self._file.path)
        began = time.monotonic()
        try:
            loaded, runtime = await self._in_thread(partial(self._load, file, forced))
        except (ConfigError, *NOT_STARTED) as error:
            rejected = error
        else:
            self._track(file)
            if runtime is not None:
                self._take(loaded, runtime)
                self._metrics.config_reloaded(time.monotonic() - began)
            elif self._problems:  # put back as it was
                self._clear_problems()
            return
        if not forced and await self._in_thread(file.changed):
            return  # read while it was being written: the next event reads it again
        file.track_more_files(self.runtime.config)
        self._track(file)
        self._reject(rejected)
        await self._in_thread(self._revoke)

    def _revoke(self) -> None:
        """Take away the keys that were revoked, though the rest of the config was rejected."""
        file, in_force = ConfigFile(self._file.path), self.runtime
        folder = folder_of(file.path)
        revoked = revoked_now(key_source(in_force.config.preferences, folder))
        with contextlib.suppress(ConfigError, OSError):
            loaded, _ = file.read(_now().date())
            revoked |= revoked_now(key_source(loaded.config.preferences, folder))
        if revoked <= in_force.keys.revoked:
            return
        keys = in_force.keys.without(revoked)
        certificates = _certificates_of(in_force)
        self.runtime = build_runtime(
            in_force.config, folder, lambda: keys, in_force, certificates=certificates
        )
        # Workers that start later take over what was revoked, too.
        content = self._digest + repr(sorted(keys.revoked)).encode()
        self._digest = hashlib.blake2b(content, digest_size=len(self._digest)).digest()
        self._last_good.publish(in_force.config, keys, self._digest, certificates)
        _log.warning("keys revoked: %s", ", ".join(sorted(revoked - in_force.keys.revoked)))

    def _load(self, file: ConfigFile, forced: bool) -> tuple[LoadedConfig, Runtime | None]:
        """The config and the runtime built from it; the runtime is None where the config is in
        force already.
        """
        loaded, _ = file.read(_now().date())
        config = loaded.config
        if not forced and file.digest() == self._digest:
            return loaded, None
        folder = folder_of(file.path)
        keys = partial(read_ring, key_source(config.preferences, folder))
        _refuse_ended(file.certificates, _certificates_of(self.runtime))
        runtime = build_runtime(
            config, folder, keys, self.runtime, loaded.vendors, certificates=file.certificates
        )
        file.track_files(config)
        return loaded, runtime

    def _track(self, file: ConfigFile) -> None:
        self._file = file
        self._watched = file.folders | self._watched

    def _take(self, loaded: LoadedConfig, runtime: Runtime) -> None:
        config = loaded.config
        before, after = _read_at_start(self.runtime.config), _read_at_start(config)
        changed = [key for key, value in before.items() if value != after[key]]
        if changed:
            _log.warning("changed, which takes effect after a restart only: %s", join_and(changed))
        count_new_third_parties(self.runtime.sightings.write(), self._metrics)
        self.runtime = runtime
        self._watched = self._file.folders
        self._digest = self._file.digest()
        self._taken_at = time.time()
        self._last_good.publish(
            config, self.runtime.keys, self._digest, _certificates_of(self.runtime)
        )
        self._clear_problems()
        _log.info("config reloaded from %s", self._file.path)
        asyncio.get_running_loop().call_later(_SETTLED_SECONDS, self._give_back)
        if self._worker != 0:
            return
        for problem in loaded.problems:  # expired tags and warnings, as at the start
            _log.warning("%s", format_problem(problem, str(self._file.path)))

    def _give_back(self) -> None:
        """What the last config's caches had."""
        asyncio.get_running_loop().run_in_executor(self._thread, give_back_free_memory)

    def _clear_problems(self) -> None:
        self._problems = []
        self._metrics.config_accepted(self._taken_at)

    def _reject(self, error: Exception) -> None:
        name = str(self._file.path)
        if isinstance(error, ConfigError):
            self._problems = [format_problem(problem, name) for problem in error.problems]
        else:
            detail = error.strerror if isinstance(error, OSError) else None
            self._problems = [f"{name}: {detail or error}"]
        self._metrics.config_rejected()
        # All workers find the same problems: one logs them, as an error.
        if self._worker == 0:
            problems = "\n".join(self._problems)
            _log.error("config rejected, still serving the last good one:\n%s", problems)
        else:
            _log.info("config rejected by worker %d too; the error says why", self._worker)

    def _certificates_expire(self) -> float:
        in_force = self.runtime.certificates
        return 0.0 if in_force is None else in_force.expires

    def _cached(self) -> tuple[int, int]:
        cache = self.runtime.cache
        return (0, 0) if cache is None else (cache.store.size, len(cache.store))


@lru_cache(maxsize=1)
def approval_ends(rules: Rules) -> dict[tuple[str, ...], float]:
    """When the vendors' approvals end, by site and vendor, in seconds since 1970: the first, at
    0:00 UTC of its `expires`.
    """
    ends: dict[tuple[str, ...], float] = {}
    for site in rules.sites:
        for tag in site.tags:
            at = datetime.datetime.combine(tag.expires, datetime.time(), datetime.UTC)
            key = site.name, tag.vendor
            ends[key] = min(ends.get(key, inf), at.timestamp())
    return ends


def _read_at_start(config: Config) -> Mapping[str, object]:
    proxy, tls = config.proxy, config.tls
    return {
        **{key: getattr(proxy, key) for key in KEYS_OF_THE_START},
        "redirect_listen": tls.redirect_listen,
        "min_version": tls.min_version,
        "[tls]": config.speaks_tls,
        "[tracing]": config.tracing,
    }


def _certificates_of(runtime: Runtime) -> tuple[Certificate, ...]:
    return () if runtime.certificates is None else runtime.certificates.certificates


def _refuse_ended(new: tuple[Certificate, ...], in_force: tuple[Certificate, ...]) -> None:
    """Raise CertificateFileError for a certificate out of its time that would replace another. At
    a start it is served nevertheless, with a warning: some servers in front do not look.
    """
    now = time.time()
    for certificate in new:
        if certificate not in in_force and (problem := certificate.time_problem(now)):
            raise CertificateFileError(problem)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
