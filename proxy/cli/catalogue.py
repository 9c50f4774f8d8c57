"""`catalogue`: list and search the known vendors."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from consent_rules.catalogue.cookie_details import details_of
from consent_rules.catalogue.load import catalogue
from consent_rules.config.vendor_search import closest_vendors, find_vendors
from consent_rules.vendors import Vendor
from proxy.cli.options import PROBLEMS, USAGE, JsonOption, console, stop
from proxy.cli.vendor_completion import catalogue_words


def catalogue_command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help='A vendor\'s id; or "search" and a name, host, cookie, id or code of it.',
            autocompletion=catalogue_words,
        ),
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
        found = [known[vendor] for vendor in find_vendors(" ".join(words[1:]), known)]
        if not found and not as_json:
            stop("no vendor like that; a [[vendor]] table adds one that is not known", PROBLEMS)
        _print_all(found, as_json)
    elif len(words) > 1:
        stop(f'to search for words: "consent-proxy catalogue search {" ".join(words)}"', USAGE)
    else:
        _print_one(words[0], as_json)


def _print_all(vendors: list[Vendor], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(vendor) for vendor in vendors], indent=2))
    else:
        _print_vendors(vendors)


def _print_one(vendor_id: str, as_json: bool) -> None:
    known = catalogue()
    vendor = known.get(vendor_id)
    if vendor is None:
        meant = closest_vendors(vendor_id, known)
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
