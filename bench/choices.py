"""What a visitor's choice costs: without receipts, and with each store that they are written to."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bench import proxy
from bench.load import Request
from bench.processes import MissingPeerError, Server
from tests.support.postgresql import postgresql, postgresql_folder

CHOICE = Request(
    kind="choice",
    case="a choice",
    path="/.consent/choice",
    headers={
        "Host": proxy.HOST,
        "Sec-Fetch-Site": "same-origin",
        "Accept": "application/json",
        "Accept-Language": "en",
        "Content-Type": "application/x-www-form-urlencoded",
    },
    body=urllib.parse.urlencode({"action": "accept_all", "source": "banner", "lang": "en"}),
)

StoreOf = Callable[[Path], AbstractContextManager[str]]
"""The `store` of [receipts] for a proxy in a folder; "" for no such table."""


@contextlib.contextmanager
def _none(_: Path) -> Iterator[str]:
    yield ""


@contextlib.contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/receipts.db"


@contextlib.contextmanager
def _postgresql(_: Path) -> Iterator[str]:
    """A server of its own, whose CPU time is not the proxy's."""
    try:
        postgresql_folder()
    except FileNotFoundError as error:
        raise MissingPeerError(str(error)) from error
    with postgresql() as server:
        yield server.new_database()


STORES: dict[str, StoreOf] = {
    "none": _none,
    "SQLite": _sqlite,
    "PostgreSQL, behind the outbox": _postgresql,
}
"""Each is measured in a proxy of its own."""


@contextlib.contextmanager
def proxy_with(store: str, folder: Path, origin_port: int) -> Iterator[Server]:
    """A proxy that writes its receipts to a store of `STORES`. Raises MissingPeerError."""
    own = folder / store.split(",")[0].lower()
    with STORES[store](own) as url, proxy.consent_proxy(own, origin_port, store=url) as server:
        yield server
