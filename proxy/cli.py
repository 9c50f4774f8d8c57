"""The commands. Exit codes: 0 fine, 1 found faults, 2 used wrongly."""

from __future__ import annotations

import typer

from proxy.commands.checking import check, diff, schema
from proxy.commands.found import discovered
from proxy.commands.importing import import_config
from proxy.commands.pages import explain, rewrite
from proxy.commands.serving import purge, run
from proxy.commands.tags import tags
from proxy.commands.vendors import catalogue_command

app = typer.Typer(
    name="consent-proxy",
    help="A reverse proxy that makes the visitor's cookie choice true.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(run)
app.command()(check)
app.command()(diff)
app.add_typer(tags)
app.command()(rewrite)
app.command()(explain)
app.command()(schema)
app.command("catalogue")(catalogue_command)
app.command()(discovered)
app.command("import")(import_config)
app.command()(purge)


def main() -> None:
    """The console script."""
    app()
