"""`top`: what the running proxy does, from its metrics."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from consent_rules.wording import counted
from proxy.cli.admin_client import NoAnswerError, ask_admin
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    ConfigOption,
    JsonOption,
    console,
    open_config,
    print_json,
    stop,
)
from proxy.observability.readings import Activity, Reading, activity, read_metrics


def top(
    config: ConfigOption = CONFIG_FILE,
    interval: Annotated[
        float, typer.Option("--interval", "-n", min=1, max=3600, help="Seconds between two looks.")
    ] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print what happens within one interval, and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Watch requests, upstreams and choices of the running proxy. Ctrl-C ends it.

    In a pipe each look is some lines of text, with --json a line each.
    """
    loaded, _ = open_config(config)
    listen = loaded.config.proxy.admin_listen
    looks = _looks(listen, interval)
    try:
        if once:
            look = next(looks)
            if isinstance(look, str):
                stop(look, PROBLEMS)
            if as_json:
                print_json(asdict(look))
            else:
                console(plain_width=120).print(frame(look))
        elif as_json:
            _print_lines(looks)
        elif sys.stdout.isatty():
            _watch(looks)
        else:
            _print_frames(looks)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # such as of `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _looks(listen: str, interval: float) -> Iterator[Activity | str]:
    """What happened in each interval, or why it is not known."""
    before: Reading | None = None
    while True:
        try:
            now = _read(listen)
        except NoAnswerError as error:
            before = None
            yield str(error)
        else:
            if before is not None:
                yield activity(before, now, time.time())
            before = now
        time.sleep(interval)


def _read(listen: str) -> Reading:
    status, body = ask_admin(listen, "/metrics")
    if status != 200:
        raise NoAnswerError(f"http://{listen}/metrics: {status}: {body[:200].decode('latin-1')}")
    try:
        return read_metrics(body.decode(), time.monotonic())
    except ValueError as error:
        raise NoAnswerError(f"http://{listen}/metrics: no metrics ({error})") from error


def _watch(looks: Iterable[Activity | str]) -> None:
    with console().screen() as screen:
        for look in looks:
            screen.update(Text(look) if isinstance(look, str) else frame(look))


def _print_frames(looks: Iterable[Activity | str]) -> None:
    out = Console(width=120, highlight=False, markup=False)
    for look in looks:
        with out.capture() as shown:  # rich would end the command itself where nobody reads on
            out.print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            out.print(Text(look) if isinstance(look, str) else frame(look))
        typer.echo(shown.get())


def _print_lines(looks: Iterable[Activity | str]) -> None:
    for look in looks:
        fields = {"error": look} if isinstance(look, str) else asdict(look)
        typer.echo(json.dumps({"at": int(time.time()), **fields}))


def frame(look: Activity) -> RenderableType:
    """A look as tables."""
    config = "config in force" if look.takes_config else "the config was REJECTED: see the log"
    lines = [
        f"consent-proxy {look.version}, {counted(look.workers, 'worker')}, up "
        f"{_duration(look.up_seconds)}, {look.resident_bytes / 2**20:.0f} MiB, "
        f"{counted(look.open_files, 'descriptor')}, {config}",
        f"{look.requests_per_second:.1f} requests a second"
        + (
            f", {look.unknown_hosts_per_second:.1f} of them for hosts of no site"
            if look.unknown_hosts_per_second
            else ""
        ),
    ]
    parts: list[RenderableType] = [Text("\n".join(lines)), Text()]
    parts.append(_sites(look) if look.sites else Text("no requests yet"))
    if look.upstreams:
        parts += [Text(), _upstreams(look)]
    if look.choices:
        parts += [Text(), _choices(look)]
    return Group(*parts)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _sites(look: Activity) -> Table:
    table = _table("SITE", "REQ/S", "HITS", "4XX", "5XX", "MS", "95% MS", "PAGES/S", "CLOSED/S")
    for one in look.sites:
        slow = "" if one.milliseconds is None else "slow"
        if one.slow_milliseconds is not None:
            slow = f"<={one.slow_milliseconds:g}"
        table.add_row(
            one.site, f"{one.requests_per_second:.1f}", _share(one.hits),
            _share(one.client_errors), _share(one.server_errors),
            "" if one.milliseconds is None else f"{one.milliseconds:.1f}", slow,
            f"{one.pages_per_second:.1f}", f"{one.closed_per_second:.1f}",
            style="red" if one.server_errors else "",
        )  # fmt: skip
    return table


def _upstreams(look: Activity) -> Table:
    table = _table("UPSTREAM", "STATE", "ACTIVE", "LIMIT", "STREAMS", "WAITING", "FAILED")
    for one in look.upstreams:
        table.add_row(
            one.upstream, {None: "", True: "up", False: "DOWN"}[one.is_up], str(one.active),
            "" if one.active_limit is None else str(one.active_limit), str(one.streams),
            str(one.waiting), str(one.failures),
            style="red" if one.is_up is False else "",
        )  # fmt: skip
    return table


def _choices(look: Activity) -> Table:
    table = _table("CHOICES", "SINCE THE START", "NEW")
    for one in look.choices:
        name = f"{one.site} {one.action.replace('_', ' ')}"
        table.add_row(name, str(one.number), str(one.new) if one.new else "")
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _duration(seconds: float) -> str:
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
