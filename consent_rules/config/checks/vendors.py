"""Checks of `[[vendor]]`: ids, required keys, and hosts that belong to another vendor."""

from __future__ import annotations

from collections.abc import Iterator

from consent_rules.categories import PATIENT_CATEGORIES, SALE_OR_SHARING
from consent_rules.config.checks.context import CheckContext, vendor_name
from consent_rules.config.checks.public_suffixes import icann_suffixes, is_wide
from consent_rules.config.partial import PartialTable
from consent_rules.config.problems import Problem
from consent_rules.config.toml.positions import Path
from consent_rules.config.vendor_search import closest_vendors
from consent_rules.matching.hosts import HostClaims, host_covers
from consent_rules.wording import category_words, quoted


def check_ids(context: CheckContext) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for vendor in context.tables.vendors:
        key = vendor.get("id")
        if key is None:
            continue
        if key in seen:
            yield Problem(
                vendor.at("id"),
                f"id: {quoted(key)} already stands at {context.line(seen[key], vendor.at('id'))}; "
                "put both into one [[vendor]]",
            )
        seen.setdefault(key, vendor.at("id"))


def check_new_vendors(context: CheckContext) -> Iterator[Problem]:
    seen: set[str] = set()
    for table in context.tables.vendors:
        key = table.get("id")
        if key is None or key in context.catalogue or key in seen:
            continue
        seen.add(key)
        for name, example in (("name", '"Acme Chat"'), ("category", '"functional"')):
            # An invalid value is not in the table, and reported already.
            if name in table.values and table.get(name) is None:
                yield Problem(
                    table.path,
                    f"[[vendor]] {quoted(key)} is not in the catalogue, so it needs a {name}; "
                    f"add {name} = {example}{_known_vendor_hint(table, context)}",
                    at="key",
                )
        lists = ("hosts", "paths", "inline")
        if all(name in table.values and not table.values[name] for name in lists):
            yield Problem(
                table.path,
                f"[[vendor]] {quoted(key)} has no hosts, paths or inline texts: nothing on a page "
                "would be known as its own; add at least one",
                at="key",
            )


def _known_vendor_hint(table: PartialTable, context: CheckContext) -> str:
    """The vendors that may be meant. Searches the whole catalogue: only for a vendor with a
    problem.
    """
    if "name" not in table.values:
        return ""
    near = closest_vendors(table.get("id"), context.catalogue)[:1]
    return f'; to add to {vendor_name(near[0], context)} write id = "{near[0]}"' if near else ""


def check_loosened_vendors(context: CheckContext) -> Iterator[Problem]:
    for table in context.tables.vendors:
        known = context.catalogue.get(table.get("id") or "")
        category = table.get("category")
        if known is None or category is None:
            continue
        if known.category in SALE_OR_SHARING and category in PATIENT_CATEGORIES:
            yield Problem(
                table.at("category"),
                f"category: {known.name} is {category_words(known.category)} in the catalogue and "
                f"cannot be made {category_words(category)}: it could then act without consent, or "
                "for patients",
            )


def check_wide_hosts(context: CheckContext) -> Iterator[Problem]:
    for table in context.tables.vendors:
        for path, host in table.items("hosts"):
            if is_wide(host, icann_suffixes):
                yield Problem(
                    path,
                    f'hosts: "{host}" would cover the sites of others; write the hosts of the '
                    "vendor",
                )


def check_claims(context: CheckContext) -> Iterator[Problem]:
    """A host, path or inline text has one vendor, and a vendor's host is not the site's own."""
    if not context.tables.vendors:
        return
    owners = HostClaims((h, v.id) for v in context.catalogue.values() for h in v.hosts)
    texts = {
        (key, text): vendor.id
        for vendor in context.catalogue.values()
        for key in ("paths", "inline")
        for text in getattr(vendor, key)
    }
    own = [
        (path, host)
        for site in context.tables.sites
        for key in ("hosts", "first_party")
        for path, host in site.items(key)
    ]
    for table in context.tables.vendors:
        vendor_id = table.get("id")
        if vendor_id is None:
            continue
        for path, host in table.items("hosts"):
            if is_wide(host, icann_suffixes):
                continue  # reported already; it would overlap half of the catalogue
            other = next((o for o in owners.overlapping(host) if o != vendor_id), None)
            if other is not None:
                yield Problem(
                    path,
                    f'hosts: "{host}" belongs to {vendor_name(other, context)}'
                    f"{_add_to(other, context, path)}",
                )
            hider = next((p for p, mine in own if host_covers(mine, host)), None)
            if hider is not None:
                yield Problem(
                    path,
                    f'hosts: "{host}" is a host of your own site ({context.line(hider, path)}), '
                    "where nothing is a third party; name what is the vendor's there: "
                    'paths = ["/path/*"]',
                )
        for key in ("paths", "inline"):
            for path, text in table.items(key):
                other = texts.get((key, text))
                if other is not None and other != vendor_id:
                    yield Problem(
                        path,
                        f"{key}: {quoted(text)} belongs to {vendor_name(other, context)}"
                        f"{_add_to(other, context, path)}",
                    )
                texts.setdefault((key, text), vendor_id)
        owners.add((host, vendor_id) for _, host in table.items("hosts"))


def _add_to(vendor_id: str, context: CheckContext, path: Path) -> str:
    if vendor_id not in context.catalogue:
        there = next(v.path for v in context.tables.vendors if v.get("id") == vendor_id)
        return f" at {context.header_line(there, path)}; one of the two must let go of it"
    return f'; to change that vendor, write id = "{vendor_id}"'
