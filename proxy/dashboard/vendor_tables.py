"""The tables of third parties: what was closed for want of an approval, and the approved tags."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import Config, Mode, all_vendors
from consent_rules.review.tag_summary import WHAT_IT_DOES
from consent_rules.vendors import Vendor
from consent_rules.wording import category_words, printable
from proxy.dashboard.statistics import shown_or_small
from proxy.dashboard.tables import Table, Value, numbers, texts
from proxy.observability.discovered import Discovery, as_config, read_discovered
from proxy.review.inventory import inventory
from proxy.review.looks_plan import own_host

MOST_ROWS = 300
"""Rows that a page shows. Its files have all."""

_NEW_FOR = datetime.timedelta(days=7)
"""So long after it was first seen a third party is marked as new, and stands first."""

_COLUMNS = (
    *texts(
        ("site", "Site"),
        ("name", "Host or vendor"),
        ("vendor", "Id"),
        ("what", "What it is"),
        ("state", "State"),
        ("kinds", "What pages have of it"),
        ("pages", "Pages"),
    ),
    *numbers(("in_pages", "In pages"), ("in_reports", "Reported by browsers")),
    *texts(("first_seen", "First seen"), ("last_seen", "Last seen"), ("config", "Config to paste")),
)


def third_party_table(config: Config, folder: Path, today: datetime.date) -> Table:
    """What was closed, as `discovered` lists it. Reads the file; for a thread."""
    name, problem = config.proxy.discovered, ""
    found: list[Discovery] = []
    if not name:
        problem = "proxy.discovered is empty, so nothing is counted."
    else:
        try:
            found = read_discovered(folder / name)
        except (sqlite3.Error, OSError) as error:
            problem = f"{name}: cannot be read: {error}"
    sites = {site.name: site for site in config.sites}
    observed = {site.name for site in config.sites if site.mode is Mode.OBSERVE}
    hosts = {name: own_host(site) for name, site in sites.items()}
    vendors = all_vendors(config, catalogue())
    found.sort(key=lambda one: not _is_new(one, today))
    rows = tuple(_row(one, vendors.get(one.owner), hosts, observed, today) for one in found)
    return Table(
        "third-parties",
        "Closed for want of an approval",
        _COLUMNS,
        rows,
        empty=problem or "Nothing yet.",
        note=problem
        or "Of this node. In pages: how often it was found in a page that was "
        "compiled; reported: how often browsers reported it.",
    )


def _row(
    one: Discovery,
    vendor: Vendor | None,
    hosts: Mapping[str, str],
    observed: set[str],
    today: datetime.date,
) -> tuple[Value, ...]:
    reports = shown_or_small(one.in_reports)
    return (
        one.site,
        one.name if vendor is None else vendor.name,
        one.owner or None,
        _what(one, vendor),
        f"{'new, ' if _is_new(one, today) else ''}"
        f"{'observed, not closed' if one.site in observed else 'closed'}",
        tuple(f"{number} {kind}" for kind, number in one.kinds),
        one.pages,
        one.in_pages,
        reports,
        one.first_seen or None,
        one.last_seen,
        as_config(one, today, hosts.get(one.site, ""), reported=str(reports)),
    )


def _is_new(one: Discovery, today: datetime.date) -> bool:
    return one.first_seen > (today - _NEW_FOR).isoformat()


def _what(one: Discovery, vendor: Vendor | None) -> str:
    if one.script:
        return "changed inline script"
    if vendor is None:
        return "known vendor" if one.owner else "unknown host"
    return f"{category_words(vendor.category)}: {WHAT_IT_DOES[vendor.category]}"


def tag_table(config: Config, today: datetime.date) -> Table:
    """The inventory: owner, approver, end, and what opens each tag. Takes a while; for a thread."""
    rows: list[Sequence[Value]] = [
        (
            row["site"],
            row["name"],
            row["vendor"],
            category_words(row["category"]),
            row["state"],
            row["days_left"],
            row["expires"],
            row["owner"] or None,
            row["approved_by"],
            row["approved_on"],
            _pages(row),
            row["opens"],
            row["patient_pages"],
            tuple(one["name"] for one in row["cookies"]),
            tuple(row["hosts"]),
            row["baa"],
            row["purpose"] or None,
        )
        for row in inventory(config, today)
    ]
    return Table(
        "tags",
        "Approved tags",
        (
            *texts(
                ("site", "Site"),
                ("name", "Vendor"),
                ("vendor", "Id"),
                ("category", "Category"),
                ("state", "State"),
            ),
            *numbers(("days_left", "Days left")),
            *texts(
                ("expires", "Expires"),
                ("owner", "Owner"),
                ("approved_by", "Approved by"),
                ("approved_on", "Approved on"),
                ("pages", "Pages"),
                ("opens", "Opens"),
                ("patient_pages", "On patient pages"),
                ("cookies", "Cookies"),
                ("sends_data_to", "Sends data to"),
                ("baa", "Business associate agreement"),
                ("purpose", "Purpose"),
            ),
        ),
        tuple(tuple(map(_printable, row)) for row in rows),
        empty="No tags: every third party is closed, whatever the visitor chooses.",
    )


def _pages(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (*row["pages"], *(f"!{page}" for page in row["not_on"]))


def _printable(value: Value) -> Value:
    return printable(value) if isinstance(value, str) else value
