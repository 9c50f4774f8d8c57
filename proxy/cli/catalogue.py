"""`catalogue`: list and search the known vendors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from consent_rules.catalogue.cookie_details import details_of
from consent_rules.catalogue.load import catalogue
from consent_rules.catalogue.search import meant_vendors
from consent_rules.vendors import Vendor
from proxy.cli.options import PROBLEMS, USAGE, JsonOption, console, stop


def catalogue_command(
    words: Annotated[
        list[str] | None,
        typer.Argument(help='A vendor\'s id; or "search" and a name, company, host or cookie.'),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the vendors that we know, show one of them, or search them."""
    known = catalogue()
    if not words:
        _print_all(list(known.values()), as_json)
    elif words[0] == "search":
        if not words[1:]:
            stop('name what to search for: "consent-proxy catalogue search facebook"', USAGE)
        found = search(" ".join(words[1:]), known.values())
        if not found and not as_json:
            stop("no vendor like that; a [[vendor]] table adds one that is not known", PROBLEMS)
        _print_all(found, as_json)
    elif len(words) > 1:
        stop(f'to search for words: "consent-proxy catalogue search {" ".join(words)}"', USAGE)
    else:
        _print_one(words[0], as_json)


def search(query: str, vendors: Iterable[Vendor]) -> list[Vendor]:
    """The vendors that hold every word in id, name, company, hosts, paths or cookies; who is named
    so comes first. If there is none: those that may be meant.
    """
    words = query.casefold().split()
    every = list(vendors)
    found = [vendor for vendor in every if all(_holds(vendor, word) for word in words)]
    if not found:
        by_id = {vendor.id: vendor for vendor in every}
        return [by_id[vendor] for vendor in meant_vendors(query, by_id)]
    return sorted(
        found, key=lambda v: -sum(word in f"{v.id} {v.name}".casefold() for word in words)
    )


def _holds(vendor: Vendor, word: str) -> bool:
    named = (vendor.id, vendor.name, vendor.company, *vendor.hosts, *vendor.paths)
    if any(word in text.casefold() for text in named):
        return True
    return any(_is_cookie(pattern, word) for pattern in vendor.cookies)


def _is_cookie(pattern: str, word: str) -> bool:
    glob = ".*".join(map(re.escape, pattern.casefold().split("*")))
    return re.fullmatch(glob, word) is not None


def _print_all(vendors: list[Vendor], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(vendor) for vendor in vendors], indent=2))
    else:
        _print_vendors(vendors)


def _print_one(vendor_id: str, as_json: bool) -> None:
    known = catalogue()
    vendor = known.get(vendor_id)
    if vendor is None:
        meant = meant_vendors(vendor_id, known)
        hint = f"; did you mean {' or '.join(meant)}?" if meant else ""
        stop(f"no vendor {vendor_id!r} in the catalogue{hint}", PROBLEMS)
    details = details_of(vendor)
    if as_json:
        row = {**asdict(vendor), "cookie_details": [asdict(detail) for detail in details]}
        typer.echo(json.dumps(row, indent=2))
        return
    for name, value in asdict(vendor).items():
        if name == "cookie_details":
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if shown:
            typer.echo(f"{name.ljust(11)} {shown}")
    for detail in details:
        if detail.lifetime or detail.purpose:
            typer.echo(f"{'cookie'.ljust(11)} {detail.name}: {detail.purpose} ({detail.lifetime})")


def _print_vendors(vendors: list[Vendor]) -> None:
    table = Table(box=None, pad_edge=False, show_header=len(vendors) > 20, header_style="bold")
    for column in ("id", "name", "category", "hosts"):
        table.add_column(column, overflow="fold")
    for vendor in vendors:
        hosts = [*vendor.hosts, *vendor.paths]
        shown = ", ".join(hosts[:3]) + (f" +{len(hosts) - 3}" if len(hosts) > 3 else "")
        table.add_row(vendor.id, vendor.name, vendor.category, shown)
    console(plain_width=160).print(table)
