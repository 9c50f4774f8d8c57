"""`import`: convert another consent tool's configuration."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from consent_rules.catalogue.load import catalogue
from consent_rules.importers.convert import (
    MAX_CHARACTERS,
    NO_VENDOR,
    as_config,
    read_foreign_config,
)
from consent_rules.importers.service import NothingToImportError, Tool
from proxy.cli.options import PROBLEMS, USAGE, JsonOption, print_json, stop, today
from proxy.cli.tag import read_day

_MAX_BYTES = 4 * MAX_CHARACTERS


def import_config(
    file: Annotated[Path, typer.Argument(help="The file (JS, JSON, HTML, PHP), - for stdin.")],
    tool: Annotated[Tool, typer.Option("--from", help="The tool that it is for.")],
    site: Annotated[str, typer.Option("--site", "-s", help="The site's name in tags.")] = "www",
    approved_by: Annotated[
        str,
        typer.Option("--approved-by", help="Who approves the tags. Without it: commented out."),
    ] = "",
    expires: Annotated[
        str, typer.Option("--expires", help="The day from which the tags are closed.")
    ] = "1 year",
    as_json: JsonOption = False,
) -> None:
    """Turn a configuration of Klaro, cookieconsent or tarteaucitron into ours, on stdout."""
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        stop(f"{file}: cannot be read: {error.strerror}", USAGE)
    if len(content) > _MAX_BYTES:
        stop(f"{file}: larger than {_MAX_BYTES:,} bytes: that is no configuration", PROBLEMS)
    last = read_day(expires, "--expires")
    try:
        found = read_foreign_config(content.decode("utf-8", "replace"), tool, catalogue())
    except NothingToImportError as error:
        stop(f"{file}: {error}: is it really a configuration of {tool}?", PROBLEMS)
    text = as_config(
        found, catalogue(), site=site, approved_by=approved_by, today=today(), expires=last
    )
    if as_json:
        print_json(
            {
                "toml": text,
                "services": [asdict(service) for service in found.services],
                "left_out": found.left_out,
            }
        )
    else:
        typer.echo(text, nl=False)
    if not found.services:
        stop(f"{file}: {NO_VENDOR[0].lower()}{NO_VENDOR[1:]}", PROBLEMS)
