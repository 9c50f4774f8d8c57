"""Where the receipts of a configuration are stored."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from consent_rules.config.load import Config
from proxy.database.postgresql import DatabaseError, check_packages
from proxy.receipts.errors import ReceiptStoreError

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a store and its key are, and the name of its log, should a new one begin.

    `url` is the address of a database, "" for a store in a file. `path` is the file that this node
    writes: the store, or the outbox on the way to the database.
    """

    path: Path
    key: Path
    origin: str
    url: str = field(default="", repr=False)


def store_place(config: Config, folder: Path) -> StorePlace | None:
    """The place of a configuration's receipts; None where it writes none. Relative paths are
    resolved against `folder`, that of the config file.
    """
    if not config.writes_receipts:
        return None
    settings, url = config.receipts, ""
    if settings.store.startswith(_SQLITE):
        path = folder / settings.store.removeprefix(_SQLITE)
        key = path.with_suffix(".pem")
    else:
        url, path = settings.store, folder / settings.outbox
        key = path.with_name("receipts.pem")
    if settings.log_key:
        key = folder / settings.log_key
    return StorePlace(path, key, log_origin(config), url)


def log_origin(config: Config) -> str:
    """The first part of a new log's name: its address without a scheme (C2SP tlog-tiles)."""
    host = config.sites[0].hosts[0].removeprefix("*.")
    return f"{host}{config.proxy.prefix}/log"


def check_place(place: StorePlace, *, writable: bool) -> None:
    """Raise ReceiptStoreError where a store can plainly not be made, or with `writable` not be
    written by this user. Writes nothing, and connects to no database.
    """
    if place.url:
        try:
            check_packages(place.url)
        except DatabaseError as error:
            raise ReceiptStoreError(str(error)) from error
    for path in (place.path, place.key):
        folder = next((one for one in path.parents if one.exists()), path.parent)
        if path.is_dir() or not folder.is_dir():
            raise ReceiptStoreError(
                f"{path}: no file can be made here; set {_setting(place)} and log_key of [receipts]"
            )
        if writable and not _may_use(path, folder, writes=path == place.path):
            raise ReceiptStoreError(
                f"{path}: cannot be used by this user; let the proxy's user write to the file "
                "and its folder"
            )


def _setting(place: StorePlace) -> str:
    return "outbox" if place.url else "store"


def _may_use(path: Path, folder: Path, *, writes: bool) -> bool:
    if path.exists():
        return os.access(path, os.W_OK if writes else os.R_OK)
    return os.access(folder, os.W_OK)
