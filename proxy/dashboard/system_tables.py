"""The tables of what runs: config, upstreams, traffic and cache, workers, versions."""

from __future__ import annotations

import datetime
import platform
import sqlite3
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from proxy import __version__
from proxy.dashboard.tables import Table, Value, numbers, texts
from proxy.observability.metrics import Counts
from proxy.runtime import Runtime


def config_table(status: Mapping[str, Any]) -> Table:
    """The faults of a config that was refused, one a row; each begins with its file and line."""
    rows = tuple((str(one),) for one in status.get("faults", ()))
    return Table(
        "config-faults",
        "Faults of the config file",
        texts(("fault", "File, line and fault")),
        rows,
        empty="None: the proxy serves the config file as it is.",
        note="" if status.get("taken", True) else "The last good config is still served.",
    )


def upstream_table(runtime: Runtime, reachable: Mapping[str, bool]) -> Table:
    """`reachable` has the upstreams that were tried just now."""
    rows = []
    for site in runtime.config.sites:
        for member in runtime.sites[site.name].upstream.members:
            name, is_up = member.server.name, member.health.is_up
            rows.append(
                (site.name, site.hosts, name, reachable.get(name), is_up, str(site.mode))
            )  # fmt: skip
    return Table(
        "upstreams",
        "Sites and upstreams",
        texts(
            ("site", "Site"),
            ("hosts", "Hosts"),
            ("upstream", "Upstream"),
            ("takes_connections", "Takes connections"),
            ("in_use", "In use"),
            ("mode", "Mode"),
        ),
        tuple(rows),
        note="Tried from this worker, a moment ago. In use: not taken out by its health checks.",
    )


def traffic_table(runtime: Runtime, total: Counts) -> Table:
    """By site, since the start: requests, cache, pages, gates."""
    rows: list[tuple[Value, ...]] = []
    for site in runtime.sites:
        requests = failed = hits = asked = 0
        for (family, labels), number in total.counters.items():
            if family != "requests" or labels[0] != site:
                continue
            _, status, cache = labels
            requests += int(number)
            failed += int(number) if status == "5xx" else 0
            hits += int(number) if cache == "hit" else 0
            asked += int(number) if cache else 0
        closed = _sum(total, "gates", site, "closed")
        opened = _sum(total, "gates", site, "open")
        pages = _sum(total, "pages", site)
        share = round(100 * hits / asked) if asked else None
        rows.append((site, requests, failed, hits, share, pages, closed, opened))
    return Table(
        "traffic",
        "Traffic and cache",
        (
            *texts(("site", "Site")),
            *numbers(
                ("requests", "Requests"),
                ("errors", "Errors (5xx)"),
                ("cache_hits", "Cache hits"),
                ("cache_hit_percent", "Percent of hits"),
                ("pages", "Pages"),
                ("closed", "Resources closed"),
                ("open", "Resources open"),
            ),
        ),
        tuple(rows),
        note="Since the start, all workers of this node.",
    )


def _sum(total: Counts, family: str, site: str, last: str = "") -> int:
    return int(
        sum(
            number
            for (name, labels), number in total.counters.items()
            if name == family and labels[0] == site and (not last or labels[-1] == last)
        )
    )


def worker_table(workers: Mapping[int, Counts]) -> Table:
    """One row a worker of this node."""
    rows: list[tuple[Value, ...]] = []
    for index, counts in sorted(workers.items()):
        rows.append(
            (
                index,
                _time(_gauge(counts, "worker_start_timestamp_seconds")),
                _time(_gauge(counts, "config_last_good_timestamp_seconds")),
                _gauge(counts, "config_last_reload_successful") == 1,
                int(_gauge(counts, "cache_entries") or 0),
                int(_gauge(counts, "cache_bytes") or 0),
            )
        )
    return Table(
        "workers",
        "Workers and their caches",
        (
            *numbers(("worker", "Worker")),
            *texts(
                ("started", "Started"),
                ("config_loaded", "Config loaded"),
                ("config_is_current", "Serves the file as it is"),
            ),
            *numbers(("cache_entries", "Cache entries"), ("cache_bytes", "Cache bytes")),
        ),
        tuple(rows),
    )


def version_table(status: Mapping[str, Any]) -> Table:
    """What runs, for reports of faults."""
    rows = (
        ("consent-proxy", __version__),
        ("Python", platform.python_version()),
        ("aiohttp", aiohttp.__version__),
        ("OpenSSL", ssl.OPENSSL_VERSION),
        ("SQLite", sqlite3.sqlite_version),
        ("System", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("Config file", str(status.get("file", ""))),
        ("Config in force since", _same_form(str(status.get("in_force_since", "")))),
    )
    return Table("versions", "Versions", texts(("part", "Part"), ("version", "Version")), rows)


def sum_of(workers: Iterable[Counts]) -> Counts:
    """The counters of all workers."""
    total = Counts()
    for counts in workers:
        total.add(counts)
    return total


def _gauge(counts: Counts, name: str) -> float | None:
    """The value of a gauge without labels."""
    return counts.gauges.get(name, {}).get(())


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _same_form(time: str) -> str:
    """A time of RFC 3339 as `_time` writes it; "" stays."""
    return (_time(datetime.datetime.fromisoformat(time).timestamp()) or "") if time else ""
