"""The commands, each imported when it is asked for: a proxy that starts need not wait for the
audit's reports.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from proxy import __version__
from proxy.gc_tuning import gc_disabled


def _init(app: typer.Typer) -> None:
    from proxy.cli.init import init

    app.command()(init)


def _run(app: typer.Typer) -> None:
    from proxy.http.adapters.importing import import_aiohttp

    import_aiohttp()
    from proxy.cli.run import run

    app.command()(run)


def _check(app: typer.Typer) -> None:
    from proxy.cli.check import check

    app.command()(check)


def _diff(app: typer.Typer) -> None:
    from proxy.cli.check import diff

    app.command()(diff)


def _config(app: typer.Typer) -> None:
    from proxy.cli.config_show import config_commands

    app.add_typer(config_commands)


def _tag(app: typer.Typer) -> None:
    from proxy.cli.tag import tags

    app.add_typer(tags)


def _keys(app: typer.Typer) -> None:
    from proxy.cli.keys import keys

    app.add_typer(keys)


def _receipts(app: typer.Typer) -> None:
    from proxy.cli.receipts import receipts

    app.add_typer(receipts)


def _library(app: typer.Typer) -> None:
    from proxy.cli.library import libraries

    app.add_typer(libraries)


def _rewrite(app: typer.Typer) -> None:
    from proxy.cli.page import rewrite

    app.command()(rewrite)


def _explain(app: typer.Typer) -> None:
    from proxy.cli.page import explain

    app.command()(explain)


def _audit(app: typer.Typer) -> None:
    from proxy.cli.audit import audit

    app.command()(audit)


def _receivers(app: typer.Typer) -> None:
    from proxy.cli.receivers import receivers_command

    app.command("receivers")(receivers_command)


def _schema(app: typer.Typer) -> None:
    from proxy.cli.check import schema

    app.command()(schema)


def _catalogue(app: typer.Typer) -> None:
    from proxy.cli.catalogue import catalogue_command

    app.command("catalogue")(catalogue_command)


def _discovered(app: typer.Typer) -> None:
    from proxy.cli.discovered import discovered

    app.command()(discovered)


def _import(app: typer.Typer) -> None:
    from proxy.cli.import_config import import_config

    app.command("import")(import_config)


def _purge(app: typer.Typer) -> None:
    from proxy.cli.run import purge

    app.command()(purge)


def _top(app: typer.Typer) -> None:
    from proxy.cli.top import top

    app.command()(top)


def _completion(app: typer.Typer) -> None:
    from proxy.cli.completion import completion

    app.command()(completion)


COMMANDS: Mapping[str, Callable[[typer.Typer], None]] = {
    "init": _init,
    "run": _run,
    "check": _check,
    "diff": _diff,
    "config": _config,
    "tag": _tag,
    "keys": _keys,
    "receipts": _receipts,
    "library": _library,
    "rewrite": _rewrite,
    "explain": _explain,
    "audit": _audit,
    "receivers": _receivers,
    "schema": _schema,
    "catalogue": _catalogue,
    "discovered": _discovered,
    "import": _import,
    "purge": _purge,
    "top": _top,
    "completion": _completion,
}
"""What adds each command, by its name, in the order of `--help`."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"consent-proxy {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and stop.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


def make_app(only: str | None = None) -> typer.Typer:
    """The root command with all commands, or with one of `COMMANDS` alone. Exit codes: 0 fine,
    1 problems found, 2 wrong usage.
    """
    app = typer.Typer(
        name="consent-proxy",
        help="A reverse proxy that makes the visitor's cookie choice true.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    for name in COMMANDS if only is None else (only,):
        COMMANDS[name](app)
    return app


def main() -> None:
    """The console script."""
    # Looking for plugins reads the metadata of each installed package, and none is to see a config.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    # `completion` completes all commands. Modules make few cycles and many objects.
    one = first if first in COMMANDS and first != "completion" else None
    with gc_disabled():
        app = make_app(one)
        # Else the first collection after it looks at all of them.
        gc.freeze()
    # By this name, also as `python -m proxy`: it stands in the scripts of --show-completion.
    app(prog_name="consent-proxy")
