"""Where the receipts of a configuration are stored."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from consent_rules.config.load import Config
from proxy.receipts.errors import ReceiptStoreError

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a store and its key are, and the name of its log, should a new one begin."""

    path: Path
    key: Path
    origin: str


def store_place(config: Config, folder: Path) -> StorePlace | None:
    """The place of a configuration's receipts; None where it writes none. Relative paths are
    resolved against `folder`, that of the config file.
    """
    if not config.writes_receipts:
        return None
    path = folder / config.receipts.store.removeprefix(_SQLITE)
    key = folder / config.receipts.log_key if config.receipts.log_key else path.with_suffix(".pem")
    return StorePlace(path, key, log_origin(config))


def log_origin(config: Config) -> str:
    """The first part of a new log's name: its address without a scheme (C2SP tlog-tiles)."""
    host = config.sites[0].hosts[0].removeprefix("*.")
    return f"{host}{config.proxy.prefix}/log"


def check_place(place: StorePlace, *, writable: bool) -> None:
    """Raise ReceiptStoreError where a store can plainly not be made, or with `writable` not be
    written by this user. Writes nothing.
    """
    for path in (place.path, place.key):
        folder = next((one for one in path.parents if one.exists()), path.parent)
        if path.is_dir() or not folder.is_dir():
            raise ReceiptStoreError(
                f"{path}: no file can be made here; set store and log_key of [receipts]"
            )
        if writable and not _may_use(path, folder, writes=path == place.path):
            raise ReceiptStoreError(
                f"{path}: cannot be used by this user; let the proxy's user write to the file "
                "and its folder"
            )


def _may_use(path: Path, folder: Path, *, writes: bool) -> bool:
    if path.exists():
        return os.access(path, os.W_OK if writes else os.R_OK)
    return os.access(folder, os.W_OK)
