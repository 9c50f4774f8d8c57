"""The inventory: every third party of a site in one list, whoever saw it: the audit, the pages that
the proxy served, or visitors' browsers by their reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from consent_rules.vendors import Vendor


class SeenBy(StrEnum):
    """Who saw a third party."""

    AUDIT = "audit"
    PAGES = "served pages"
    REPORTS = "visitors' browsers"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the proxy saw of one vendor (by its id) or host; the other one is "". Days are in ISO
    8601, "" where not known.
    """

    host: str
    vendor: str
    pages: tuple[str, ...]
    by: tuple[SeenBy, ...]
    first_seen: str
    last_seen: str


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """A third party. `id` is the vendor's, "" for a host that none has. `pages` and days are those
    of the sightings, not of the audit.
    """

    id: str
    name: str
    by: tuple[SeenBy, ...]
    pages: tuple[str, ...] = ()
    first_seen: str = ""
    last_seen: str = ""


def inventory_of(
    audited: Iterable[tuple[str, str]],
    sightings: Iterable[Sighting],
    vendors: Mapping[str, Vendor],
) -> tuple[InventoryRow, ...]:
    """One row for each third party. `audited` are the id ("" for a host) and the name of those that
    the audit saw.
    """
    rows: dict[str, InventoryRow] = {}
    for vendor, name in audited:
        rows[vendor or name] = InventoryRow(vendor, name, (SeenBy.AUDIT,))
    for one in sightings:
        key = one.vendor or one.host
        known = rows.get(key)
        name = vendors[one.vendor].name if one.vendor in vendors else key
        before = (
            InventoryRow(one.vendor, name, (), (), one.first_seen, one.last_seen)
            if known is None
            else known
        )
        by = {*before.by, *one.by}
        days = [day for day in (before.first_seen, one.first_seen) if day]
        rows[key] = InventoryRow(
            before.id,
            before.name,
            tuple(who for who in SeenBy if who in by),
            tuple(dict.fromkeys((*before.pages, *one.pages))),
            min(days, default=""),
            max(before.last_seen, one.last_seen),
        )
    return tuple(sorted(rows.values(), key=lambda row: (SeenBy.AUDIT in row.by, row.name.lower())))
