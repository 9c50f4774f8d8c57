"""`check`, `diff`, `schema`: problems of a config, its changes, its JSON schema."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import ConfigError, format_problem, included_schema, json_schema
from consent_rules.review.diff import diff_configs
from proxy.cli.changes import print_changes
from proxy.cli.options import PROBLEMS, JsonOption, open_config, print_json, read_config, today


def check(
    config: Annotated[Path, typer.Argument(help="The config file.")], as_json: JsonOption = False
) -> None:
    """Check a config: every mistake at once, each with its line. Exit 1 if there is one."""
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


def diff(
    old: Annotated[Path, typer.Argument(help="The config as it is.")],
    new: Annotated[Path, typer.Argument(help="The config as it would be.")],
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
