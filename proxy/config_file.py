"""A config file from the disk, with what only the machine it lies on can tell of it."""

from __future__ import annotations

import datetime
from pathlib import Path

from consent_rules.config import (
    Config,
    ConfigError,
    Fault,
    LoadedConfig,
    decode_config,
    load_config,
)
from consent_rules.toml_lines import TomlLines
from proxy.consent.texts import known_texts
from proxy.regions import RegionFile, RegionFileError


def read_config(path: Path, *, today: datetime.date) -> tuple[LoadedConfig, str]:
    """Read and check a config file; also give its text. Raises ConfigError or OSError."""
    text = decode_config(path.read_bytes(), str(path))
    loaded = load_config(text, str(path), today=today, texts=known_texts())
    faults = _region_file(loaded.config, path.resolve().parent, text)
    if faults:
        raise ConfigError(faults, str(path))
    return loaded, text


def _region_file(config: Config, folder: Path, text: str) -> list[Fault]:
    database = config.policy.region_from.database
    if database is None:
        return []
    try:
        RegionFile(folder / database)
    except RegionFileError as error:
        line, column = TomlLines(text).value(("policy", "region_from", "database"))
        return [Fault(line, column, f"database: {error}")]
    return []
