"""The root command. Exit codes: 0 fine, 1 problems found, 2 wrong usage."""

from __future__ import annotations

from typing import Annotated

import typer

from proxy import __version__
from proxy.cli.audit import audit
from proxy.cli.catalogue import catalogue_command
from proxy.cli.check import check, diff, schema
from proxy.cli.completion import completion
from proxy.cli.config_show import config_commands
from proxy.cli.discovered import discovered
from proxy.cli.import_config import import_config
from proxy.cli.init import init
from proxy.cli.keys import keys
from proxy.cli.library import libraries
from proxy.cli.page import explain, rewrite
from proxy.cli.receipts import receipts
from proxy.cli.run import purge, run
from proxy.cli.tag import tags
from proxy.cli.top import top

app = typer.Typer(
    name="consent-proxy",
    help="A reverse proxy that makes the visitor's cookie choice true.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"consent-proxy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and stop.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


app.command()(init)
app.command()(run)
app.command()(check)
app.command()(diff)
app.add_typer(config_commands)
app.add_typer(tags)
app.add_typer(keys)
app.add_typer(receipts)
app.add_typer(libraries)
app.command()(rewrite)
app.command()(explain)
app.command()(audit)
app.command()(schema)
app.command("catalogue")(catalogue_command)
app.command()(discovered)
app.command("import")(import_config)
app.command()(purge)
app.command()(top)
app.command()(completion)


def main() -> None:
    """The console script."""
    # By this name, also as `python -m proxy`: it stands in the scripts of --show-completion.
    app(prog_name="consent-proxy")
