"""What a visitor's choice costs: without receipts, and with each store that they are written to."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import proxy
from bench.load import Request
from bench.processes import Server

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

STORES: Mapping[str, str] = {
    "no receipts": "",
    "SQLite": "sqlite:///{folder}/receipts.db",
}
"""Name -> `store` of [receipts]; "" for no such table. Each is measured in a proxy of its own."""


def proxies(folder: Path, origin_port: int) -> Iterator[tuple[str, Server]]:
    """A proxy for each store, one after the other, with the store's name."""
    for name, store in STORES.items():
        own = folder / name.replace(" ", "-").lower()
        with proxy.consent_proxy(own, origin_port, store=store) as server:
            yield name, server
