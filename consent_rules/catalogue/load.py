"""Load the catalogue's TOML files into vendors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import tomli

from consent_rules.categories import Category
from consent_rules.vendors import BaaOffer, Vendor

_TUPLES = ("hosts", "paths", "inline", "cookies", "globals", "places")


def vendor_from_table(table: Mapping[str, Any]) -> Vendor:
    """Build a vendor from its TOML table.

    Raises TypeError on an unknown key, ValueError on an unknown category or offer.
    """
    values: dict[str, Any] = dict(table)
    for key in _TUPLES:
        values[key] = tuple(values.get(key, ()))
    values["category"] = Category(values["category"])
    values["serves"] = tuple(Category(c) for c in values.get("serves", ()))
    values["baa"] = BaaOffer(values.get("baa", BaaOffer.UNKNOWN))
    return Vendor(**values)


@cache
def consent_platforms() -> frozenset[str]:
    """The ids of vendors that show a consent dialog of their own."""
    file = files("consent_rules") / "catalogue" / "consent_platforms.toml"
    return frozenset(v["id"] for v in tomli.loads(file.read_text(encoding="utf-8"))["vendor"])


def _catalogue_tables() -> Iterator[Mapping[str, Any]]:
    folder = files("consent_rules") / "catalogue"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            yield from tomli.loads(entry.read_text(encoding="utf-8")).get("vendor", [])


@cache
def catalogue() -> Mapping[str, Vendor]:
    """The catalogue's vendors by id, in the order of its files."""
    found: dict[str, Vendor] = {}
    for table in _catalogue_tables():
        vendor = vendor_from_table(table)
        if vendor.id in found:
            raise ValueError(f"catalogue: vendor {vendor.id!r} stands twice")
        found[vendor.id] = vendor
    return found
