"""`discovered`: hosts that were closed for want of an approval."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from typing import Annotated

import typer

from consent_rules.catalogue.load import catalogue
from consent_rules.config.build_rules import build_rules
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    ConfigOption,
    JsonOption,
    open_config,
    stop,
    today,
)
from proxy.config.file import folder_of
from proxy.observability.discovered import as_config, read_discovered
from proxy.review.looks_plan import own_host
from proxy.review.observe_report import as_text, report


def discovered(
    config: ConfigOption = CONFIG_FILE,
    site: Annotated[str, typer.Option("--site", help="Only this site.")] = "",
    as_report: Annotated[
        bool, typer.Option("--report", help="Show what enforcing would close, site by site.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what was closed for want of an approval, as config that is ready to paste."""
    loaded, _ = open_config(config)
    name = loaded.config.proxy.discovered
    if not name:
        stop(f"{config}: proxy.discovered is empty, so nothing is counted", PROBLEMS)
    try:
        found = read_discovered(folder_of(config) / name, site)
    except sqlite3.Error as error:
        stop(f"{name}: cannot be read: {error}", PROBLEMS)
    if as_report:
        rules = build_rules(loaded.config, catalogue())
        reports = report(loaded.config, rules, found, today())
        wanted = [one for one in reports if site in {"", one.site}]
        typer.echo(
            json.dumps([asdict(one) for one in wanted], indent=2) if as_json else as_text(wanted)
        )
    elif as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    elif found:
        hosts = {one.name: own_host(one) for one in loaded.config.sites}
        shown = (as_config(one, today(), hosts.get(one.site, "")) for one in found)
        typer.echo("\n\n".join(shown))
    else:
        typer.echo("nothing yet")
