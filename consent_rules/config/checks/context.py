"""CheckContext: what checks read of a config, and how messages name its tables."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from consent_rules.config.partial import PartialTable, PartialTables
from consent_rules.config.problems import Places, Spot
from consent_rules.config.toml.positions import Path
from consent_rules.vendors import Vendor
from consent_rules.wording import quoted


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The tables, catalogue and positions that the checks read."""

    tables: PartialTables
    catalogue: Mapping[str, Vendor]
    vendors: Mapping[str, Vendor]
    today: datetime.date
    places: Places
    site_names_given: frozenset[str]
    vendor_ids_given: frozenset[str]
    """Names as the files give them, valid or not: one mistake is reported once."""
    filename: str = ""
    whole: bool = True
    """False where an included file could not be read: what is missing may stand there."""

    def line(self, path: Path, seen_from: Path) -> str:
        """The line of a value, as a message about another value names it."""
        return self._line(self.places.value(path), seen_from)

    def header_line(self, path: Path, seen_from: Path) -> str:
        return self._line(self.places.key(path), seen_from)

    def _line(self, spot: Spot, seen_from: Path) -> str:
        if spot.file == self.places.value(seen_from).file:
            return f"line {spot.line}"
        return f"line {spot.line} of {spot.file or self.filename}"


def site_name(site: PartialTable) -> str:
    return quoted(site.get("name") or "?")


def vendor_name(vendor_id: str, context: CheckContext) -> str:
    vendor = context.vendors.get(vendor_id)
    return f'"{vendor_id}" ({vendor.name})' if vendor else f'"{vendor_id}"'
