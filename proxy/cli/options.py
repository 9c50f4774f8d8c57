"""Options, exit codes and error output that the commands share."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from consent_rules.config.countries import normal_region
from consent_rules.config.load import ConfigError, LoadedConfig
from consent_rules.wording import printable
from proxy.config.file import ConfigFile

if TYPE_CHECKING:
    from rich.console import Console

CONFIG_FILE = Path("consent-proxy.toml")
"""The config file of every command that is not given one."""

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The config file.")]
MaybeConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help=f"The config file. Default: {CONFIG_FILE}, and where there is none the catalogue "
        "without tags.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

USAGE, PROBLEMS = 2, 1
"""Exit codes: used wrongly; found problems."""


def stop(message: str, code: int) -> NoReturn:
    """End the command with a sentence on stderr."""
    typer.echo(printable(message, lines=True), err=True)
    raise typer.Exit(code)


def region_code(text: str) -> str:
    """The --region of a command as a code of ISO 3166, "" where none was given. Ends the command
    where it is none.
    """
    if not text:
        return ""
    try:
        return normal_region(text)
    except ValueError as error:
        stop(f"--region: {error}", USAGE)


def confirm(question: str) -> bool:
    """Ask for yes or no, until it is one of them; Enter is yes."""
    while True:
        answer = typer.prompt(f"{question} [Y/n]", default="y", show_default=False).strip().lower()
        if answer in {"y", "yes", "n", "no"}:
            return answer in {"y", "yes"}
        typer.echo("Say y or n.", err=True)


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def console(*, plain_width: int = 10_000) -> Console:
    """For text with colours. They come on a terminal only, and never under NO_COLOR.

    Without a terminal nothing is cut to its width: the lines go to a file or to grep.
    """
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(
        highlight=False,
        markup=False,
        soft_wrap=not is_terminal,
        width=None if is_terminal else plain_width,
    )


def read_config(path: Path, file: ConfigFile | None = None) -> tuple[LoadedConfig, str]:
    """The config and its text. Raises ConfigError; an unreadable file is a usage error."""
    try:
        return (file or ConfigFile(path)).read(today())
    except OSError as error:
        stop(f"{path}: cannot be read: {error.strerror}", USAGE)


def open_config(path: Path, file: ConfigFile | None = None) -> tuple[LoadedConfig, str]:
    """As `read_config`; problems end the command."""
    try:
        return read_config(path, file)
    except ConfigError as error:
        stop(str(error), PROBLEMS)
