"""The config's [[vendor]] tables laid over the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from consent_rules.config.models import Config, CookieTable, VendorTable
from consent_rules.config.partial import PartialTables
from consent_rules.vendors import BaaOffer, CookieDetail, Vendor

_ADDED = ("hosts", "paths", "inline", "cookies", "globals")
_CHANGED = (
    "name", "category", "company", "signal", "embed", "policy_url", "records_sessions", "baa",
    "baa_source",
)  # fmt: skip


def all_vendors(config: Config, catalogue: Mapping[str, Vendor]) -> Mapping[str, Vendor]:
    """Every vendor by id: the catalogue's, with those of the config laid over them."""
    return overlay_vendors(config.vendors, catalogue)


def partial_vendors(tables: PartialTables, catalogue: Mapping[str, Vendor]) -> Mapping[str, Vendor]:
    """As `all_vendors`, of an invalid file; an incomplete vendor is left out."""
    vendors = dict(catalogue)
    for table in tables.vendors:
        if table.get("id") is None:
            continue
        values: dict[str, Any] = {
            name: tuple(item for item in value if item is not None)
            if isinstance(value, tuple)
            else value
            for name, value in table.values.items()
        }
        vendor = merged(vendors.get(values["id"]), VendorTable.model_construct(**values))
        if vendor is not None:
            vendors[vendor.id] = vendor
    return vendors


def overlay_vendors(
    tables: Iterable[VendorTable], catalogue: Mapping[str, Vendor]
) -> Mapping[str, Vendor]:
    """As `all_vendors`. Incomplete tables (a new id without a category) are left out."""
    vendors = dict(catalogue)
    for table in tables:
        vendor = merged(vendors.get(table.id), table)
        if vendor is not None:
            vendors[table.id] = vendor
    return vendors


def merged(known: Vendor | None, table: VendorTable) -> Vendor | None:
    """A table merged into a vendor of the catalogue, or a new vendor (None if incomplete).

    Lists are extended, single values replaced, absent ones unchanged.
    """
    if known is None:
        return _new(table)
    values: dict[str, Any] = {}
    for key in _ADDED:
        more = getattr(table, key)
        if more:
            values[key] = tuple(dict.fromkeys((*getattr(known, key), *more)))
    for key in _CHANGED:
        if (value := getattr(table, key)) is not None:
            values[key] = value
    if table.serves:
        values["serves"] = table.serves
    if table.cookie_details:
        named = (*values.get("cookies", known.cookies), *_names(table.cookie_details))
        values["cookies"] = tuple(dict.fromkeys(named))
        values["cookie_details"] = _details(table.cookie_details)
    return replace(known, **values)


def _new(table: VendorTable) -> Vendor | None:
    if table.category is None or table.name is None:
        return None
    return Vendor(
        id=table.id,
        name=table.name,
        category=table.category,
        company=table.company or "",
        hosts=table.hosts,
        paths=table.paths,
        inline=table.inline,
        cookies=tuple(dict.fromkeys((*table.cookies, *_names(table.cookie_details)))),
        globals=table.globals,
        signal=table.signal or "",
        serves=table.serves,
        embed=table.embed or "",
        policy_url=table.policy_url or "",
        cookie_details=_details(table.cookie_details),
        records_sessions=bool(table.records_sessions),
        baa=table.baa or BaaOffer.UNKNOWN,
        baa_source=table.baa_source or "",
    )


def _names(tables: Iterable[CookieTable]) -> Iterable[str]:
    return (table.name for table in tables)


def _details(tables: Iterable[CookieTable]) -> tuple[CookieDetail, ...]:
    return tuple(
        CookieDetail(table.name, table.lifetime or "", table.purpose or "") for table in tables
    )
