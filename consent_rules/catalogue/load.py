"""Load the catalogue's TOML files into vendors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain
from typing import Any

import tomli

from consent_rules.catalogue import prepared
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


def catalogue_tables(folder: Traversable) -> Iterable[Mapping[str, Any]]:
    """The vendors' tables of a folder, in the order of its files."""
    named = {entry.name: entry for entry in folder.iterdir()}
    sources = [(name, named[name].read_bytes()) for name in sorted(named) if name.endswith(".toml")]
    if prepared.NAME in named:
        tables = prepared.read_prepared(named[prepared.NAME].read_bytes(), sources)
        if tables is not None:
            return tables
    return chain.from_iterable(
        tomli.loads(content.decode()).get("vendor", []) for _, content in sources
    )


@cache
def catalogue() -> Mapping[str, Vendor]:
    """The catalogue's vendors by id, in the order of its files."""
    found: dict[str, Vendor] = {}
    for table in catalogue_tables(files("consent_rules") / "catalogue"):
        vendor = vendor_from_table(table)
        if vendor.id in found:
            raise ValueError(f"catalogue: vendor {vendor.id!r} stands twice")
        found[vendor.id] = vendor
    return found
