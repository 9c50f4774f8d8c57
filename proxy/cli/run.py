"""`run`, and `purge`, which talks to a running proxy."""

from __future__ import annotations

import json
import logging
import sys
import urllib.error
import urllib.request
from typing import Annotated
from urllib.parse import urlencode

import typer

from consent_rules.config.load import format_problem
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    USAGE,
    ConfigOption,
    JsonOption,
    open_config,
    stop,
)
from proxy.config.file import ConfigFile
from proxy.config.variables import LogLines, hidden

_log = logging.getLogger("consent_proxy.cli")


def run(config: ConfigOption = CONFIG_FILE) -> None:
    """Serve. A saved config is reloaded by itself, and on SIGHUP; SIGTERM drains and stops."""
    from proxy.observability.log_output import LogHandler, LogOutput
    from proxy.service import serve_config

    output = LogOutput(sys.stdout)
    handler = LogHandler(output)
    handler.setFormatter(LogLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    file = ConfigFile(config)
    loaded, _ = open_config(config, file)
    for problem in loaded.problems:
        _log.warning("%s", format_problem(problem, str(config)))
    code, message = serve_config(file, loaded, output)
    if message:
        stop(hidden(message), code)
    raise typer.Exit(code)


def purge(
    url: Annotated[
        str, typer.Argument(help="A URL, or the beginning of URLs with * at its end; * is all.")
    ],
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Purge a URL from the running proxy's cache."""
    loaded, _ = open_config(config)
    listen = loaded.config.proxy.admin_listen
    if listen.startswith("unix:"):
        stop(
            f"{config}: send it to {listen} yourself: POST /purge?{urlencode({'url': url})}", USAGE
        )
    host, _, port = listen.rpartition(":")
    host = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(  # noqa: S104
        host, host
    )
    there = f"http://{host}:{port}/purge?{urlencode({'url': url})}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(there, method="POST"), timeout=10) as reply:
            result = json.load(reply)
    except urllib.error.HTTPError as error:
        stop(error.read(1000).decode("utf-8", "replace").strip(), PROBLEMS)
    except (OSError, ValueError) as error:
        stop(f"{there}: no response ({error}): is the proxy running?", PROBLEMS)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        where = "on all nodes" if "nodes" in result else "in all workers"
        entries = "1 entry" if result["entries"] == 1 else f"{result['entries']} entries"
        typer.echo(f"{url}: purged {where} ({entries} in this worker)")
