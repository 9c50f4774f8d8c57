"""`run`, and `purge`, which talks to a running proxy."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.config.load import format_problem
from consent_rules.wording import counted
from proxy.cli.admin_client import NoAnswerError, ask_admin
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    ConfigOption,
    JsonOption,
    open_config,
    stop,
)
from proxy.config.file import ConfigFile, folder_of
from proxy.config.variables import LogLines, hidden
from proxy.cookies.key_sources import KeySource, key_source, read_ring
from proxy.cookies.preference_cookie import KeyFileError, KeyRing
from proxy.cookies.signing_keys import key_files

_log = logging.getLogger("consent_proxy.cli")


def run(
    config: ConfigOption = CONFIG_FILE,
    only_check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Start nothing: say whether the proxy could start with this config, on this "
            "machine and as this user; its ports are not tried. Exit 1 if not.",
        ),
    ] = False,
) -> None:
    """Serve. A saved config is reloaded by itself, and on SIGHUP; SIGTERM drains and stops."""
    if only_check:
        _check_start(config)
        return
    gc.disable()  # until all that stays is made: `freeze_startup_objects`
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


def _check_start(config: Path) -> None:
    """What a start would say, without its ports: those of a running proxy are in use. Makes no key
    and no file.
    """
    from proxy.config.reload import NOT_STARTED
    from proxy.runtime import build_runtime
    from proxy.service import check_opening

    loaded, _ = open_config(config)
    for problem in loaded.problems:
        typer.echo(format_problem(problem, str(config)))
    folder = folder_of(config)
    try:
        check_opening(loaded.config, folder)
        source = key_source(loaded.config.preferences, folder)
        build_runtime(loaded.config, folder, partial(_keys_of_start, source), None, loaded.vendors)
    except NOT_STARTED as error:
        stop(hidden(f"{config}: {error}"), PROBLEMS)
    typer.echo(f"{config}: the proxy can start with it (whether its ports are free was not tried)")


def _keys_of_start(source: KeySource) -> KeyRing:
    """The keys; where a start would make the first one, one that is not written."""
    if not source.is_folder or key_files(source.folder):
        return read_ring(source)
    folder = next(one for one in (source.folder, *source.folder.parents) if one.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise KeyFileError(
            f"{source.folder}: has no key, and this user cannot make the first one in {folder}"
        )
    return KeyRing({"none yet": Ed25519PrivateKey.generate()}, source.revoked)


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
    try:
        status, body = ask_admin(listen, f"/purge?{urlencode({'url': url})}", "POST")
    except NoAnswerError as error:
        stop(str(error), PROBLEMS)
    if status != 200:
        stop(body[:1000].decode("utf-8", "replace").strip(), PROBLEMS)
    result = json.loads(body)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        where = "on all nodes" if "nodes" in result else "in all workers"
        entries = counted(result["entries"], "entry", "entries")
        typer.echo(f"{url}: purged {where} ({entries} in this worker)")
