"""A config file from the disk, with what only the machine it lies on can tell of it."""

from __future__ import annotations

import datetime
import hashlib
import os
from pathlib import Path

from consent_rules.config import (
    ConfigError,
    Fault,
    LoadedConfig,
    decode_config,
    load_config,
)
from proxy.consent.texts import known_texts
from proxy.included_files import IncludedFiles
from proxy.regions import RegionFile, RegionFileError


def folder_of(path: Path) -> Path:
    """What relative paths in a config file count from: the folder in which it is named, not the
    one that a link to it leads to (Kubernetes puts config files behind links that change).
    """
    return path.absolute().parent


def read_config(path: Path, *, today: datetime.date) -> tuple[LoadedConfig, str]:
    """Read and check a config file with all that it includes; also give its text.

    Raises ConfigError or OSError.
    """
    return ConfigFile(path).read(today)


class ConfigFile:
    """One reading of a config file. What was looked at is known afterwards, whatever came of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._included = IncludedFiles(path)
        self._content = b""
        self._keys: set[Path] = set()

    def read(self, today: datetime.date) -> tuple[LoadedConfig, str]:
        """As `read_config`."""
        self._content = self._path.read_bytes()
        text = decode_config(self._content, str(self._path))
        loaded = load_config(
            text,
            str(self._path),
            today=today,
            texts=known_texts(),
            includes=self._included.includes,
            environment=os.environ,
        )
        folder = folder_of(self._path)
        self._keys = {folder / loaded.config.preferences.keys}
        faults = _region_file(loaded, folder)
        if faults:
            raise ConfigError(faults, str(self._path))
        return loaded, text

    @property
    def folders(self) -> frozenset[Path]:
        """The folders in which a change may be one of the config."""
        return frozenset(f for f in (*self._included.folders, *self._keys) if f.is_dir())

    def digest(self) -> bytes:
        """Equal for equal content of the files."""
        found = hashlib.blake2b(self._content)
        for name, content in sorted(self._included.files.items()):
            found.update(f"{name}\0{len(content)}\0".encode())
            found.update(content)
        return found.digest()


def _region_file(loaded: LoadedConfig, folder: Path) -> list[Fault]:
    database = loaded.config.policy.region_from.database
    if database is None:
        return []
    try:
        RegionFile(folder / database)
    except RegionFileError as error:
        spot = loaded.places.value(("policy", "region_from", "database"))
        return [Fault(spot.line, spot.column, f"database: {error}")]
    return []
