"""`keys list` and `keys rotate`: the signing keys of the preference cookie."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer

from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    ConfigOption,
    JsonOption,
    open_config,
    print_json,
    stop,
)
from proxy.config.file import folder_of
from proxy.cookies.preference_cookie import KeyFileError
from proxy.cookies.signing_keys import NoKeysError, first_keys, make_key, read_keys

keys = typer.Typer(
    name="keys", help="The keys that sign visitors' choices.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip


@keys.command("list")
def list_keys(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """List the keys by their id, the `kid` of /.consent/jwks.json. The last one signs."""
    loaded, _ = open_config(config)
    folder = folder_of(config) / loaded.config.preferences.keys
    try:
        ring = read_keys(folder)
    except KeyFileError as error:
        stop(str(error), PROBLEMS)
    rows = [
        {"kid": kid, "file": str(folder / name), "signs": kid == ring.signing_id}
        for name, kid in ring.ids.items()
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['kid']}  {'signs ' if row['signs'] else 'reads '}  {row['file']}")


@keys.command()
def rotate(
    config: ConfigOption = CONFIG_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a new key, which signs from now on. The others still read the choices they signed.

    A running proxy takes it as it takes a saved config. Copy it to the other nodes at once: a node
    without it cannot read the choices that it signs.
    """
    loaded, _ = open_config(config)
    folder = folder_of(config) / loaded.config.preferences.keys
    now = datetime.datetime.now(datetime.UTC)
    try:
        try:
            before = read_keys(folder).ids
            make_key(folder, now)
        except NoKeysError:
            before = {}
            first_keys(folder, now)
        ring = read_keys(folder)
    except (KeyFileError, OSError) as error:
        stop(str(error), PROBLEMS)
    name, kid = next((name, kid) for name, kid in ring.ids.items() if name not in before)
    signs = kid == ring.signing_id
    if as_json:
        print_json({"kid": kid, "file": str(folder / name), "signs": signs})
    else:
        typer.echo(f"{folder / name}: made key {kid}")
    if not signs:
        last = list(ring.ids)[-1]
        stop(f"{folder / last}: still signs, as its name sorts after {name}; rename it", PROBLEMS)
