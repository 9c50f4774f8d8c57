"""`keys list`, `keys rotate` and `keys revoke`: the signing keys of the preference cookie."""

from __future__ import annotations

import asyncio
import datetime
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from consent_rules.config.load import LoadedConfig, PreferenceStore
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    USAGE,
    ConfigOption,
    JsonOption,
    open_config,
    print_json,
    stop,
)
from proxy.config.file import folder_of
from proxy.cookies.key_sources import KeySource, key_source, read_ring, revoked_now
from proxy.cookies.preference_cookie import KeyFileError, KeyRing, signs_from
from proxy.cookies.signing_keys import NoKeysError, first_keys, make_key, read_keys, revoke_key
from proxy.database.postgresql import DatabaseError
from proxy.receipts.place import store_place

keys = typer.Typer(
    name="keys", help="The keys that sign visitors' choices.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip

_DAY = 86_400
_MAX_AHEAD_HOURS = 24 * 30


def _source(config: Path) -> tuple[KeySource, PreferenceStore]:
    loaded, _ = open_config(config)
    preferences = loaded.config.preferences
    return key_source(preferences, folder_of(config)), preferences


@keys.command("list")
def list_keys(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """List the keys by their id, the `kid` of /.consent/jwks.json, and what each does.

    One that only reads can be removed once every choice that it signed has ended.
    """
    loaded, _ = open_config(config)
    preferences, max_age = loaded.config.preferences, loaded.config.policy.max_age_days
    source = key_source(preferences, folder_of(config))
    try:
        ring = read_ring(source)
    except KeyFileError as error:
        stop(str(error), PROBLEMS)
    rows = _rows(source, ring, preferences.rotate_days, max_age)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        line = f"{row['kid']}  {row['state']:7}  {row['file']}"
        if row["due"]:
            line += f"  a new key is due on {row['due']}"
        if row["unused_after"]:
            line += f"  can be removed after {row['unused_after']}"
        typer.echo(line)


def _rows(
    source: KeySource, ring: KeyRing, rotate_days: int, max_age_days: int
) -> list[dict[str, Any]]:
    now = time.time()
    signing = ring.signing_id(now)
    rows: list[dict[str, Any]] = []
    next_from: float | None = None  # since when the one behind it signs
    for name, kid in reversed(list(ring.ids.items())):
        since = signs_from(name)
        row = _row(kid, "revoked" if kid in ring.revoked else "reads", since)
        row["file"] = str(source.folder / name)
        if not source.is_folder:
            row["file"] = f"{source.name}, block {int(name)}"
        if kid == signing and ring.usable:
            row |= {"state": "signs", "signs": True}
            row["due"] = _day(since + rotate_days * _DAY) if since and rotate_days else None
        elif row["state"] == "reads" and since is not None and since > now:
            row["state"] = "waits"
        elif row["state"] == "reads" and next_from is not None:
            row["unused_after"] = _day(next_from + max_age_days * _DAY)
        if kid not in ring.revoked:
            next_from = since
        rows.insert(0, row)
    others = sorted(revoked_now(source).difference(ring.ids.values()))
    return [*rows, *(_row(kid, "revoked", None) for kid in others)]


def _row(kid: str, state: str, since: float | None) -> dict[str, Any]:
    return {
        "kid": kid, "file": "", "signs": False, "state": state, "signs_from": _time(since),
        "due": None, "unused_after": None,
    }  # fmt: skip


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _day(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%d", time.gmtime(seconds))


@keys.command()
def rotate(
    config: ConfigOption = CONFIG_FILE,
    ahead: Annotated[
        float,
        typer.Option(
            "--ahead",
            min=0,
            max=_MAX_AHEAD_HOURS,
            help="Hours until the new key signs. It is read, and published, at once: time to copy "
            "it to the other nodes.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a new key, which signs from now on. The others still read the choices they signed.

    A running proxy takes it as it takes a saved config. Copy it to the other nodes before it signs
    (--ahead), or at once: a node without it cannot read the choices that it signs.
    """
    source, _ = _source(config)
    folder = _folder(source, "put a new key behind the others there")
    now = datetime.datetime.now(datetime.UTC)
    starts = now + datetime.timedelta(hours=ahead)
    try:
        try:
            read_keys(folder, source.revoked)
            name = make_key(folder, starts).name
        except NoKeysError:
            if ahead:
                stop(f"{folder}: holds no key yet; the first one signs at once", USAGE)
            name = next(iter(first_keys(folder, now, source.revoked).ids))
        ring = read_keys(folder, source.revoked)
    except (KeyFileError, OSError) as error:
        stop(str(error), PROBLEMS)
    if not ahead:
        _wait_until_it_signs(name)
    kid, since = ring.ids[name], signs_from(name) or starts.timestamp()
    signs = kid == ring.signing_id(since)
    if as_json:
        print_json({
            "kid": kid, "file": str(folder / name), "signs": signs,
            "signs_from": _time(since),
        })  # fmt: skip
    else:
        when = f", which signs from {_time(since)} on" if ahead else ""
        typer.echo(f"{folder / name}: made key {kid}{when}")
    if not signs:
        last = list(ring.ids)[-1]
        stop(f"{folder / last}: still signs, as its name sorts after {name}; rename it", PROBLEMS)


def _wait_until_it_signs(name: str) -> None:
    """A key signs from the next second on where another was made in this one."""
    time.sleep(max(0.0, (signs_from(name) or 0.0) - time.time()))


@keys.command()
def revoke(
    kid: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key that others may have: choices that it signed count for nothing from now on.

    Its private key is removed for good, and a file of its id says so. Where it signed, another is
    made first. Whoever chose under it is asked again.
    """
    loaded, _ = open_config(config)
    preferences, max_age = loaded.config.preferences, loaded.config.policy.max_age_days
    source = key_source(preferences, folder_of(config))
    database = _database(loaded, config)
    folder = _folder(source, f"remove the key there, add {kid!r} to revoked_keys, and reload")
    now = datetime.datetime.now(datetime.UTC)
    made: Path | None = None
    try:
        ring = read_ring(source)
        if kid in ring.revoked:
            if database:  # the first attempt may not have reached the others
                _tell_nodes(database, kid)
                return
            stop(f"{kid}: is revoked already", PROBLEMS)
        if kid not in ring.ids.values():
            stop(f"{kid}: no key in {folder} has this id; see `consent-proxy keys list`", PROBLEMS)
        asked = _asked_again(ring, kid, now, max_age)
        if not ring.without([kid]).usable or kid == ring.signing_id(now.timestamp()):
            made = make_key(folder, now)
            _wait_until_it_signs(made.name)
        removed = revoke_key(folder, kid, now)
    except (KeyFileError, OSError) as error:
        stop(str(error), PROBLEMS)
    if as_json:
        print_json(
            {
                "kid": kid,
                "removed": [str(path) for path in removed],
                "made": made and str(made),
                "asked_again": asked,
            }
        )
        return
    if made is not None:
        typer.echo(f"{made}: made a key in its place")
    for path in removed:
        typer.echo(f"{path}: removed")
    if database:
        typer.echo(f"revoked {kid}. {asked}.")
        typer.echo("A running proxy that watches the folder takes it at once")
        _tell_nodes(database, kid)
        return
    typer.echo(f"revoked {kid}. {asked}.")
    typer.echo(
        "A running proxy that watches the folder takes it at once, in all workers. "
        f"Nodes with a folder of their own need {folder / kid}.revoked, too"
    )


def _asked_again(ring: KeyRing, kid: str, now: datetime.datetime, max_age_days: int) -> str:
    """Who has to choose again once a key is revoked, as a sentence without its full stop."""
    usable = [(name, one) for name, one in ring.ids.items() if one not in ring.revoked]
    at = next(number for number, (_, one) in enumerate(usable) if one == kid)
    since = signs_from(usable[at][0])
    # The next that signs already; each signs until then.
    later = (signs_from(name) for name, _ in usable[at + 1 :])
    until = next((start for start in later if start is not None and start <= now.timestamp()), None)
    if since is not None and since > now.timestamp():
        return "It has not signed yet: nobody is asked again"
    if until is not None and until + max_age_days * _DAY < now.timestamp():
        return "Every choice that it signed has ended: nobody is asked again because of it"
    when = f" from {_day(since)}" if since is not None else ""
    when += f" to {_day(until)}" if until is not None else " until now" if when else ""
    return (
        f"Visitors who chose while it signed{when or ', which may be all,'} see the banner again; "
        "until they choose, what needs their consent stays closed. Who chose under another key is "
        "not asked"
    )


def _database(loaded: LoadedConfig, config: Path) -> str:
    """The address of the database that nodes share; "" for none."""
    place = store_place(loaded.config, folder_of(config))
    return "" if place is None else place.url


def _tell_nodes(database: str, kid: str) -> None:
    from proxy.nodes import send_revocation

    try:
        asyncio.run(send_revocation(database, kid))
    except DatabaseError as error:
        stop(
            f"the other nodes do not know yet that {kid} is revoked: {error}\n"
            f"Run `consent-proxy keys revoke {kid}` once more",
            PROBLEMS,
        )
    typer.echo("All nodes take it from the database, those that start later too")


def _folder(source: KeySource, instead: str) -> Path:
    """The folder of a source that is one; else the command ends with what to do there."""
    if not source.is_folder:
        stop(f"the keys come from {source.name}: {instead}", USAGE)
    return source.folder
