"""`check`, `diff`, `schema`: problems of a config, its changes, its JSON schema."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import ConfigError, format_problem, included_schema, json_schema
from consent_rules.review.diff import diff_configs
from proxy.cli.changes import print_changes
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    ConfigOption,
    JsonOption,
    open_config,
    print_json,
    read_config,
    stop,
    today,
)
from proxy.config.file import ConfigFile


def check(
    file: Annotated[
        Path | None, typer.Argument(help="The config file, or one that it includes.")
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Check a config: all mistakes of its text at once, then those of the files that it names, each
    with its line. Exit 1 if there is one.
    """
    config = _config_to_check(file or config)
    try:
        loaded, _ = read_config(config)
        problems = loaded.problems
    except ConfigError as error:
        problems = error.problems
    wrong = [problem for problem in problems if problem.severity != "warning"]
    if as_json:
        rows = [{**asdict(problem), "file": problem.file or str(config)} for problem in problems]
        typer.echo(json.dumps({"ok": not wrong, "faults": rows}, indent=2))
    else:
        for problem in problems:
            typer.echo(format_problem(problem, str(config)))
        if not problems:
            typer.echo(f"{config}: fine")
    if wrong:
        raise typer.Exit(PROBLEMS)


_TABLES_OF_ONE_FILE = re.compile(r"^\s*\[+\s*(?!tag\b|vendor\b)\w", re.MULTILINE)


def _config_to_check(file: Path) -> Path:
    """`file`, or the config that includes it where it has tags and vendors only."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return file  # told by whoever reads it
    if _TABLES_OF_ONE_FILE.search(text) or not re.search(r"^\s*\[\[", text, re.MULTILINE):
        return file
    real = file.resolve()
    beside = (one for folder in real.parents for one in sorted(folder.glob("*.toml")))
    config = next((one for one in beside if one != real and _includes(one, real)), None)
    if config is None:
        stop(
            f"{file}: has tags or vendors only, and no config here includes it. Put its name into "
            f'include of the config, such as include = ["{file.name}"], and check that one',
            PROBLEMS,
        )
    shown = _near(config)
    typer.echo(f"{file} is included by {shown}: checked together with it", err=True)
    return shown


def _includes(config: Path, file: Path) -> bool:
    try:
        if "include" not in config.read_text(encoding="utf-8", errors="replace"):
            return False
        reading = ConfigFile(config)
        with contextlib.suppress(ConfigError):
            reading.read(today())
    except OSError:
        return False
    return file in {path.resolve() for path in reading.included}


def _near(path: Path) -> Path:
    """The path as a person here would write it."""
    here = Path.cwd().resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path


def diff(
    old: Annotated[Path, typer.Argument(help="The config as it is.")],
    new: Annotated[Path, typer.Argument(help="The config as it would be.")] = CONFIG_FILE,
    fail_on_new: Annotated[
        bool,
        typer.Option("--fail-on-new", help="Exit 1 if a vendor newly receives data."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a new config changes for visitors: which pages newly send data to whom."""
    (was, _), (will, _) = open_config(old), open_config(new)
    changes = diff_configs(was.config, will.config, catalogue(), today=today())
    more = any(change.effect == "more" for change in changes)
    if as_json:
        print_json({"new": more, "changes": [asdict(change) for change in changes]})
    else:
        print_changes(changes)
    if more and fail_on_new:
        raise typer.Exit(PROBLEMS)


def schema(
    included: Annotated[
        bool, typer.Option("--included", help="Of a file that a config includes.")
    ] = False,
) -> None:
    """Print the JSON Schema of the config file, for editors."""
    found = included_schema() if included else json_schema()
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
