"""Load a config file from disk, with the checks that only its machine can make."""

from __future__ import annotations

import datetime
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from consent_rules.config.load import (
    Config,
    ConfigError,
    LoadedConfig,
    LocatedProblem,
    decode_config,
    load_config,
)
from consent_rules.wording import quoted
from proxy.banner.maintenance import (
    MaintenancePageError,
    maintenance_files,
    read_maintenance_page,
)
from proxy.banner.texts import known_texts
from proxy.config.includes import IncludedFiles, Stamp, stamp_of
from proxy.config.variables import note_variables
from proxy.cookies.key_sources import check_source, key_source
from proxy.cookies.preference_cookie import KeyFileError
from proxy.cookies.signing_keys import key_files, revoked_files
from proxy.gc_tuning import gc_disabled
from proxy.geoip import RegionFile, RegionFileError
from proxy.libraries import LibraryFileError, file_name, libraries_in, read_library
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.place import check_place, store_place
from proxy.server.certificates import (
    Certificate,
    CertificateFileError,
    read_certificate,
    uncovered,
)
from proxy.upstream.tls import UpstreamTlsError, exposed_keys, tls_files, upstream_tls


def folder_of(path: Path) -> Path:
    """The folder that relative paths in a config file are resolved against: that of the path as
    given, not of a symbolic link's target (Kubernetes mounts config files behind links that
    change).
    """
    return path.absolute().parent


def read_config(path: Path, *, today: datetime.date) -> tuple[LoadedConfig, str]:
    """Read and check a config file with all its includes; also returns its text. Raises ConfigError
    or OSError.
    """
    return ConfigFile(path).read(today)


class ConfigFile:
    """One reading of a config file. Which files were read is recorded even where reading failed.

    `needs_libraries`: whether a missing file of a [[library]] is a problem.
    """

    def __init__(self, path: Path, *, needs_libraries: bool = True) -> None:
        self.path = path
        self._needs_libraries = needs_libraries
        self._included = IncludedFiles(path)
        self._content = b""
        self.certificates: tuple[Certificate, ...] = ()
        """For visitors; their bytes as they were read and checked."""
        self._referenced_files: dict[Path, Stamp] = {}

    def read(self, today: datetime.date) -> tuple[LoadedConfig, str]:
        """As `read_config`."""
        self._included.stamps[self.path] = stamp_of(self.path)
        self._content = self.path.read_bytes()
        text = decode_config(self._content, str(self.path))
        with gc_disabled():
            loaded = load_config(
                text,
                str(self.path),
                today=today,
                texts=known_texts(),
                includes=self._included.includes,
                environment=os.environ,
            )
        note_variables(loaded.variables)
        folder = folder_of(self.path)
        self._referenced_files = _referenced_files(loaded.config, folder)
        problems = [
            *_region_file(loaded, folder),
            *self._keys(loaded, folder),
            *_receipts(loaded, folder),
            *_upstream_tls(loaded, folder),
            *_maintenance_pages(loaded, folder),
            *(_libraries(loaded, folder) if self._needs_libraries else ()),
        ]
        certificates, wrong = _certificates(loaded, folder)
        self.certificates = tuple(certificates)
        problems += wrong
        if problems:
            raise ConfigError(problems, str(self.path))
        warnings = [*_exposed_keys(loaded, folder), *_certificate_warnings(loaded, certificates)]
        return _with_warnings(loaded, warnings), text

    def _keys(self, loaded: LoadedConfig, folder: Path) -> list[LocatedProblem]:
        source = key_source(loaded.config.preferences, folder)
        keys, where = source.folder, ("preferences", "keys")
        if source.variable:
            where = ("preferences", "keys_variable")
        # By name: while a file of the config is saved it may be gone for a moment.
        if source.is_folder and _plain(keys) in map(_plain, (self.path, *self._included.stamps)):
            return [_located(loaded, where, f"{keys}: not a folder, but a file of the config")]
        try:
            check_source(source)
        except KeyFileError as error:
            return [_located(loaded, where, error)]
        return []

    def track_files(self, config: Config) -> None:
        """Record the files that the config refers to (keys, region database) as just read or
        created.
        """
        self._referenced_files = _referenced_files(config, folder_of(self.path))

    def track_more_files(self, config: Config) -> None:
        """As `track_files`, besides what is tracked already: for the config that is still in force
        where this one is rejected.
        """
        in_force = _referenced_files(config, folder_of(self.path))
        self._referenced_files = in_force | self._referenced_files

    @property
    def folders(self) -> frozenset[Path]:
        """The folders in which a change may change the config."""
        beside = (path if path.is_dir() else path.parent for path in self._referenced_files)
        return frozenset(f for f in (*self._included.folders, *beside) if f.is_dir())

    @property
    def included(self) -> frozenset[Path]:
        """The included files that were read."""
        return frozenset(self._included.files)

    def changed(self) -> bool:
        """Whether a file has changed since it was read, or was created or removed."""
        stamps = self._included.stamps | self._referenced_files
        if any(stamp_of(path) != stamp for path, stamp in stamps.items()):
            return True
        return self._included.names_changed()

    def digest(self) -> bytes:
        """Equal for equal content of the config's files and unchanged referenced files."""
        found = hashlib.blake2b(self._content, digest_size=16)
        for name, content in sorted(self._included.files.items()):
            found.update(f"{name}\0{len(content)}\0".encode())
            found.update(content)
        found.update(repr(sorted(self._referenced_files.items())).encode())
        return found.digest()


def _libraries(loaded: LoadedConfig, folder: Path) -> Iterator[LocatedProblem]:
    config = loaded.config
    listed = libraries_in(config.libraries, config.proxy.prefix)
    for number, (_, one) in enumerate(listed.by_key.items()):
        try:
            read_library(one, folder / config.proxy.libraries)
        except LibraryFileError as error:
            yield _located(loaded, ("library", number, "url"), error)


def _receipts(loaded: LoadedConfig, folder: Path) -> list[LocatedProblem]:
    place = store_place(loaded.config, folder)
    try:
        if place is not None:
            check_place(place, writable=False)  # the proxy's own user may
    except ReceiptStoreError as error:
        return [_located(loaded, ("receipts", "store"), error)]
    return []


def _upstream_tls(loaded: LoadedConfig, folder: Path) -> Iterator[LocatedProblem]:
    for number, site in enumerate(loaded.config.sites):
        at, table = ("site", number, "upstream_tls"), site.upstream_tls
        named = {"ca": table.ca, "certificate": table.certificate, "key": table.key}
        if missing := list(_unreadable(loaded, folder, at, named)):
            yield from missing
            continue
        try:
            upstream_tls(site.upstream_tls, folder)
        except UpstreamTlsError as error:
            yield _located(loaded, ("site", number, "upstream_tls", error.key), error)


def _unreadable(
    loaded: LoadedConfig,
    folder: Path,
    table: tuple[str | int, ...],
    named: Mapping[str, str | None],
) -> Iterator[LocatedProblem]:
    """The files of a table that cannot be read, each at its key; `named` has their names by key."""
    for key, name in named.items():
        if name is None:
            continue
        try:
            (folder / name).open("rb").close()
        except OSError as error:
            text = f"{folder / name}: cannot be read: {error.strerror}"
            yield _located(loaded, (*table, key), text)


def _maintenance_pages(loaded: LoadedConfig, folder: Path) -> Iterator[LocatedProblem]:
    for number, site in enumerate(loaded.config.sites):
        if site.maintenance_page is None:
            continue
        try:
            read_maintenance_page(folder / site.maintenance_page)
        except MaintenancePageError as error:
            yield _located(loaded, ("site", number, "maintenance_page"), error)


def _exposed_keys(loaded: LoadedConfig, folder: Path) -> Iterator[LocatedProblem]:
    for number, site in enumerate(loaded.config.sites):
        for key, message in exposed_keys(site.upstream_tls, folder):
            problem = _located(loaded, ("site", number, "upstream_tls", key), message)
            yield replace(problem, severity="warning")


def _with_warnings(loaded: LoadedConfig, found: Iterable[LocatedProblem]) -> LoadedConfig:
    places = loaded.places
    every = sorted(
        (*loaded.problems, *found), key=lambda one: (places.order(one.file), one.line, one.column)
    )
    return replace(loaded, problems=tuple(every))


def _referenced_files(config: Config, folder: Path) -> dict[Path, Stamp]:
    """The files that a config refers to: signing keys, libraries, the region database, those of
    TLS, for visitors and to upstreams, and maintenance pages.
    """
    source = key_source(config.preferences, folder)
    found: list[Path] = []
    if source.is_folder:
        found = [source.folder, *key_files(source.folder), *revoked_files(source.folder)]
    libraries = folder / config.proxy.libraries
    found += (libraries / file_name(one.integrity) for one in config.libraries)
    found += (folder / name for one in config.tls.certificates for name in (one.file, one.key))
    if config.policy.region_from.database is not None:
        found.append(folder / config.policy.region_from.database)
    for site in config.sites:
        found += tls_files(site.upstream_tls, folder)
        if site.maintenance_page is not None:
            found += maintenance_files(folder / site.maintenance_page).values()
    return {path: stamp_of(path) for path in found}


def _certificates(
    loaded: LoadedConfig, folder: Path
) -> tuple[list[Certificate], list[LocatedProblem]]:
    found: list[Certificate] = []
    problems: list[LocatedProblem] = []
    for number, one in enumerate(loaded.config.tls.certificates):
        at = ("tls", "certificate", number)
        if missing := list(_unreadable(loaded, folder, at, {"file": one.file, "key": one.key})):
            problems += missing
            continue
        try:
            found.append(read_certificate(folder / one.file, folder / one.key))
        except CertificateFileError as error:
            key = "key" if str(error).startswith(f"{folder / one.key}:") else "file"
            problems.append(_located(loaded, ("tls", "certificate", number, key), error))
    return found, problems


def _certificate_warnings(
    loaded: LoadedConfig, certificates: list[Certificate]
) -> Iterator[LocatedProblem]:
    """What browsers refuse, though the proxy can serve it."""
    if not certificates:
        return
    for number, certificate in enumerate(certificates):
        if problem := certificate.time_problem(time.time()):
            where = ("tls", "certificate", number, "file")
            text = f"{problem}; browsers refuse the connection: renew it"
            yield replace(_located(loaded, where, text), severity="warning")
    for number, site in enumerate(loaded.config.sites):
        for at, host in enumerate(site.hosts):
            if host in uncovered(certificates, (host,)):
                text = f"no certificate of [tls] is for {quoted(host)}: browsers refuse it there"
                there = _located(loaded, ("site", number, "hosts", at), text)
                yield replace(there, message=f"hosts: {text}", severity="warning")


def _region_file(loaded: LoadedConfig, folder: Path) -> list[LocatedProblem]:
    database = loaded.config.policy.region_from.database
    if database is None:
        return []
    try:
        RegionFile(folder / database)
    except RegionFileError as error:
        return [_located(loaded, ("policy", "region_from", "database"), error)]
    return []


def _located(
    loaded: LoadedConfig, path: tuple[str | int, ...], error: Exception | str
) -> LocatedProblem:
    spot = loaded.places.value(path)
    return LocatedProblem(spot.line, spot.column, f"{path[-1]}: {error}", file=spot.file)


def _plain(path: Path) -> str:
    return os.path.normpath(path.absolute())
