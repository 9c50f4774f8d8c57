"""The config's [[vendor]] tables laid over the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from consent_rules.categories import Category
from consent_rules.config_models import Config, VendorTable
from consent_rules.vendors import Vendor

_ADDED = ("hosts", "paths", "inline", "cookies", "globals")
_CHANGED = ("name", "category", "company", "embed", "policy_url")


def all_vendors(config: Config, catalogue: Mapping[str, Vendor]) -> Mapping[str, Vendor]:
    """Every vendor by id: the catalogue's, those of the config laid over them."""
    return lay_over(config.vendors, catalogue)


def lay_over(
    tables: Iterable[VendorTable], catalogue: Mapping[str, Vendor]
) -> Mapping[str, Vendor]:
    """As `all_vendors`. Tables that are not whole (a new id without a category) are left out."""
    vendors = dict(catalogue)
    for table in tables:
        vendor = merged(vendors.get(table.id), table)
        if vendor is not None:
            vendors[table.id] = vendor
    return vendors


def merged(known: Vendor | None, table: VendorTable) -> Vendor | None:
    """What a table makes of a vendor of the catalogue, or a new vendor (None if not whole).

    Lists are added to, single values replaced, what the table does not give stays.
    """
    if known is None and (table.category is None or table.name is None):
        return None
    base = known or Vendor(id=table.id, name=table.name or "", category=Category.NECESSARY)
    values: dict[str, Any] = {key: getattr(base, key) for key in Vendor.__dataclass_fields__}
    for key in _ADDED:
        values[key] = tuple(dict.fromkeys((*values[key], *getattr(table, key))))
    for key in _CHANGED:
        if getattr(table, key) is not None:
            values[key] = getattr(table, key)
    if table.serves:
        values["serves"] = table.serves
    return Vendor(**values)
