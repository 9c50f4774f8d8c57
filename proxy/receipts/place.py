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


def check_place(place: StorePlace) -> None:
    """Raise ReceiptStoreError where a store can plainly not be made or written. Writes nothing."""
    for path in (place.path, place.key):
        folder = path.parent
        if not folder.is_dir():  # `open_store` makes one folder, not a path of them
            folder = folder.parent
        if not folder.is_dir() or path.is_dir():
            raise ReceiptStoreError(
                f"{path}: no file can be made here; create the folder and let the proxy's user "
                "write to it, or set store and log_key of [receipts]"
            )
        if not os.access(
            path if path.exists() else folder, os.W_OK if path == place.path else os.R_OK
        ):
            raise ReceiptStoreError(
                f"{path}: cannot be used by this user; let the proxy's user write to the file "
                "and its folder"
            )
