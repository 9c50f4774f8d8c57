"""A dashboard on a free port, with a store of receipts, third parties and tags to show."""

from __future__ import annotations

import contextlib
import datetime
import json
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from consent_rules.config.load import load_config
from consent_rules.receipts.canonical import canonical
from consent_rules.receipts.receipt import ConsentState, Receipt
from proxy.cookies.signing_keys import first_keys
from proxy.dashboard.access import Gatekeeper
from proxy.dashboard.choices import ChoiceStatistics
from proxy.dashboard.handler import Sources, make_dashboard
from proxy.dashboard.sessions import Sessions
from proxy.observability.admin import admin_host_names, make_admin
from proxy.observability.discovered import Sightings
from proxy.observability.metrics import Metrics
from proxy.receipts.opening import open_place
from proxy.receipts.place import StorePlace, store_place
from proxy.runtime import Runtime, build_runtime
from tests.support.receipt_logs import RECEIPT

TOKEN = "a-token-of-the-tests"
DAY = 86_400

CONFIG = """
[proxy]
admin_listen = "{listen}"
admin_hosts = ["admin.example.com"]
trusted_proxies = ["10.0.0.0/8"]
discovered = "discovered.db"
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
{more}
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
[[site]]
name = "shop"
hosts = ["shop.example.com"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
mode = "observe"
[[tag]]
vendor = "google-analytics"
sites = ["www", "shop"]
approved_by = "marketing@example.com"
approved_on = 2020-01-01
expires = 2999-01-01
owner = "=HYPERLINK(1)"
purpose = "counts visits"
"""
RECEIPTS = '[receipts]\nstore = "sqlite:///receipts.db"\n'


def notice(language: str) -> tuple[str, bytes]:
    """A notice in a language: its hash, and its content."""
    content = canonical({"format": 1, "language": language})
    return sha256(content).hexdigest(), content


def receipt_of(
    number: int,
    day: int,
    *,
    site: str = "www",
    categories: Mapping[str, bool] | None = None,
    language: str = "en",
    **more: Any,
) -> tuple[Receipt, bytes]:
    """A receipt with its notice. `day` counts from 1970."""
    name, content = notice(language)
    opened = {"analytics": True} if categories is None else categories
    state = ConsentState({"necessary": True, **opened}, {})
    one = replace(
        RECEIPT,
        receipt_id=f"id-{number}",
        made_at=day * DAY + number % DAY,
        site=site,
        notice=name,
        after=state,
        **more,
    )
    return one, content


def write(place: StorePlace, made: Iterable[tuple[Receipt, bytes]]) -> None:
    """Into the store, which is made where there is none."""
    store = open_place(place)
    try:
        store.append(list(made))
    finally:
        store.close()


def today() -> int:
    """Days since 1970."""
    return int(time.time()) // DAY


def many_receipts(number: int = 900) -> list[tuple[Receipt, bytes]]:
    """Of the last ten weeks, of two sites, most of them of few regions and languages."""
    pick = random.Random(7)
    made = []
    for index in range(number):
        asked = ("functional", "analytics", "advertising")
        kind = pick.random()
        categories = {name: kind < 0.4 or (kind < 0.6 and pick.random() < 0.5) for name in asked}
        made.append(
            receipt_of(
                index,
                today() - 1 - pick.randrange(70),
                site=pick.choice(["www"] * 4 + ["shop"]),
                categories=categories,
                language=pick.choice(["en"] * 5 + ["de"] * 3 + ["es"]),
                region=pick.choice(["DE"] * 6 + ["US-CA"] * 5 + ["FR"] * 3 + ["AT", ""]),
                device=pick.choice(["phone"] * 5 + ["desktop"] * 4 + ["tablet"]),
                gpc=pick.random() < 0.1,
                regime=pick.choice(["opt_in", "opt_in", "opt_out"]),
                action="accept_all" if kind < 0.4 else "save" if kind < 0.6 else "reject_all",
            )
        )
    return made


HOSTILE = '"><script src=//evil.example></script>'


@dataclass
class Board:
    """A dashboard. `status` may be changed."""

    url: str
    runtime: Runtime
    place: StorePlace | None
    metrics: Metrics
    status: dict[str, Any] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def serving(
    folder: Path,
    *,
    listen: str = "127.0.0.1:8081",
    more: str = RECEIPTS,
    receipts: Iterable[tuple[Receipt, bytes]] = (),
    sightings: Iterable[tuple[str, str]] = (("https.example", "/"),),
) -> AsyncIterator[Board]:
    """On a free port of 127.0.0.1, whatever `listen` says. `more` is config, `sightings` are hosts
    and pages.
    """
    text = CONFIG.format(listen=listen, more=more)
    environment = {"DASHBOARD_TOKEN": TOKEN}
    day = datetime.datetime.now(datetime.UTC).date()
    loaded = load_config(text, "c.toml", today=day, environment=environment)
    now = datetime.datetime.now(datetime.UTC)
    runtime = build_runtime(loaded.config, folder, lambda: first_keys(folder / "keys", now))
    place = store_place(loaded.config, folder)
    if place is not None:
        write(place, receipts)
    counted = Sightings(folder / "discovered.db")
    for host, page in sightings:
        counted.add("www", page, host=host, seen="page")
        counted.add("www", page, host=host, seen="report")
    counted.add("www", "/", vendor="meta-pixel", seen="page")
    counted.write()
    metrics = Metrics()
    metrics.begin(0)
    metrics.config_accepted()
    board = Board("", runtime, place, metrics, {"taken": True, "faults": [], "file": "c.toml"})
    choices = ChoiceStatistics(lambda: place)
    dashboard = make_dashboard(
        Sources(lambda: runtime, lambda: board.status, metrics, choices, folder),
        Gatekeeper(listen, Sessions(), lambda: runtime.config, folder),
    )
    names = admin_host_names(listen, loaded.config.proxy.admin_hosts)
    handler = make_admin(
        lambda: runtime.cache,
        metrics,
        lambda: board.status,
        lambda: names,
        dashboard=dashboard,
    )
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    board.url = f"http://127.0.0.1:{port}"
    try:
        yield board
    finally:
        await choices.close()
        await runner.cleanup()
        if runtime.receipts is not None:
            await runtime.receipts.close()


def rows_of(text: str) -> list[dict[str, Any]]:
    """The rows of a table's JSON."""
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows
