"""What one node tells the others, where they have a database: purges, and keys that are revoked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from proxy.cache.purge import TellNodes, purge_url
from proxy.cookies.key_sources import key_source
from proxy.cookies.signing_keys import mark_revoked
from proxy.database.messages import listen, publish
from proxy.database.postgresql import DatabaseError
from proxy.runtime import Runtime

_log = logging.getLogger("consent_proxy.nodes")

PURGE = "purge"
KEY_REVOKED = "key-revoked"
_LOOK_SECONDS = 2.0
"""How long the address of a database that was changed goes unnoticed."""


def database_url(runtime: Runtime) -> str:
    """The address of the database that the nodes share; "" for none."""
    return "" if runtime.receipts is None else runtime.receipts.place.url


def purge_sender(runtime: Runtime) -> TellNodes | None:
    """Sends purges to all nodes; None where there is no database."""
    url = database_url(runtime)
    return partial(_send_purge, url) if url else None


async def _send_purge(url: str, purged: str) -> str:
    try:
        await publish(url, PURGE, purged)
    except DatabaseError as error:
        return str(error)
    return ""


async def send_revocation(url: str, kid: str) -> None:
    """Tell all nodes, also those that start later, that a key is revoked. Raises DatabaseError."""
    await publish(url, KEY_REVOKED, kid, lasting=True)


async def follow_other_nodes(current: Callable[[], Runtime], folder: Path) -> None:
    """Do what other nodes say, until cancelled. Relative paths are resolved against `folder`."""
    handlers = {
        PURGE: lambda purged: _purge(current(), purged),
        KEY_REVOKED: lambda kid: _revoke(current(), folder, kid),
    }
    while True:
        url = database_url(current())
        listening = asyncio.create_task(listen(url, handlers)) if url else None
        try:
            while database_url(current()) == url:  # noqa: ASYNC110 - a reload sets no event
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            if listening is not None:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening


def _purge(runtime: Runtime, purged: str) -> None:
    if runtime.cache is not None:
        purge_url(runtime.cache.store, purged)


def _revoke(runtime: Runtime, folder: Path, kid: str) -> None:
    """Mark the key in the folder of keys: the workers watch it."""
    source = key_source(runtime.config.preferences, folder)
    if kid in runtime.keys.revoked:
        return
    if not source.is_folder:
        _log.error(
            "another node revoked the key %s: add it to revoked_keys of [preferences], since the "
            "keys come from %s", kid, source.name,
        )  # fmt: skip
        return
    try:
        if mark_revoked(source.folder, kid):
            _log.warning("another node revoked the key %s: it counts for nothing from now on", kid)
    except OSError as error:
        _log.error(
            "another node revoked the key %s, and %s cannot be written (%s): put a file %s.revoked "
            "there", kid, source.folder, error.strerror, kid,
        )  # fmt: skip
