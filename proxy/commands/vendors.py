"""`catalogue`: the vendors that we know."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from consent_rules.vendors import Vendor, catalogue
from proxy.commands.options import FAULTS, JsonOption, stop


def catalogue_command(
    vendor_id: Annotated[str | None, typer.Argument(help="A vendor's id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the vendors that we know, or show one of them."""
    known = catalogue()
    if vendor_id is None:
        if as_json:
            typer.echo(json.dumps([asdict(vendor) for vendor in known.values()], indent=2))
        else:
            _print_vendors(list(known.values()))
        return
    vendor = known.get(vendor_id)
    if vendor is None:
        from consent_rules.config_faults import did_you_mean

        stop(f"no vendor {vendor_id!r} in the catalogue{did_you_mean(vendor_id, known)}", FAULTS)
    if as_json:
        typer.echo(json.dumps(asdict(vendor), indent=2))
        return
    for name, value in asdict(vendor).items():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if shown:
            typer.echo(f"{name.ljust(11)} {shown}")


def _print_vendors(vendors: list[Vendor]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "name", "category", "hosts"):
        table.add_column(column, overflow="fold")
    for vendor in vendors:
        hosts = [*vendor.hosts, *vendor.paths]
        shown = ", ".join(hosts[:3]) + (f" +{len(hosts) - 3}" if len(hosts) > 3 else "")
        table.add_row(vendor.id, vendor.name, vendor.category, shown)
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)
