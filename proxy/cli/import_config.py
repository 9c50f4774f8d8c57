"""`import`: convert another consent tool's configuration."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import Config, all_vendors
from consent_rules.config.problems import did_you_mean
from consent_rules.importers.convert import (
    MAX_CHARACTERS,
    NO_VENDOR,
    as_config,
    read_foreign_config,
)
from consent_rules.importers.service import NothingToImportError, Tool
from consent_rules.wording import quoted
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    USAGE,
    JsonOption,
    MaybeConfigOption,
    open_config,
    print_json,
    stop,
    today,
)
from proxy.cli.tag import read_day

_MAX_BYTES = 4 * MAX_CHARACTERS
_SITE = "www"


def import_config(
    file: Annotated[Path, typer.Argument(help="The file (JS, JSON, HTML, PHP), - for stdin.")],
    tool: Annotated[Tool, typer.Option("--from", help="The tool that it is for.")],
    site: Annotated[
        str,
        typer.Option(
            "--site", "-s", help="The site's name in tags. Default: the config's one site, or www."
        ),
    ] = "",
    approved_by: Annotated[
        str,
        typer.Option("--approved-by", help="Who approves the tags. Without it: commented out."),
    ] = "",
    expires: Annotated[
        str, typer.Option("--expires", help="The day from which the tags are closed.")
    ] = "1 year",
    config: MaybeConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a configuration of Klaro, cookieconsent or tarteaucitron into ours, on stdout.

    Nothing is written. What the config has tags for already is left out.
    """
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        stop(f"{file}: cannot be read: {error.strerror}", USAGE)
    if len(content) > _MAX_BYTES:
        stop(f"{file}: larger than {_MAX_BYTES:,} bytes: that is no configuration", PROBLEMS)
    last = read_day(expires, "--expires")
    ours = _own_config(config)
    vendors = all_vendors(ours, catalogue()) if ours is not None else catalogue()
    site = _site(site, ours)
    try:
        found = read_foreign_config(content.decode("utf-8", "replace"), tool, vendors)
    except NothingToImportError as error:
        stop(f"{file}: {error}: is it really a configuration of {tool}?", PROBLEMS)
    text = as_config(
        found,
        vendors,
        site=site,
        approved_by=approved_by,
        today=today(),
        expires=last,
        approved=_approved(site, ours),
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


def _own_config(path: Path | None) -> Config | None:
    """The config, None where none is given and none is here."""
    if path is None and not CONFIG_FILE.exists():
        return None
    loaded, _ = open_config(path or CONFIG_FILE)
    return loaded.config


def _site(given: str, config: Config | None) -> str:
    if config is None:
        return given or _SITE
    names = [site.name for site in config.sites]
    if given and given not in names:
        listed = f"; the sites are {', '.join(names)}"
        stop(f"unknown site {quoted(given)}{did_you_mean(given, names, else_say=listed)}", USAGE)
    if not given and len(names) > 1:
        stop(f"--site is missing: on which site? The sites are {', '.join(names)}", USAGE)
    return given or names[0]


def _approved(site: str, config: Config | None) -> frozenset[str]:
    if config is None:
        return frozenset()
    return frozenset(tag.vendor for tag in config.tags if site in tag.sites)
