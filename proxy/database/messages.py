"""Messages to all nodes: rows of a table, and `NOTIFY` to say that there is one.

    await publish(url, "purge", "*")                              # on any node
    await listen(url, {"purge": cache.purge_place, ...})          # on each, until cancelled

`NOTIFY` alone would be lost on a node whose connection is broken at that moment. So each message is
a row, and whoever connects again reads what it has missed. A *lasting* message, such as that a key
is revoked, is delivered to each node also when it starts, however long ago it was sent: handlers
must bear to get it twice. Of the others a process that starts gets those of the last minutes: what
they are about, such as an entry of a cache, a node that starts does not have, but one whose worker
starts anew may.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from proxy.database.postgresql import (
    DatabaseError,
    check_packages,
    connect_async,
    database_error,
)
from proxy.database.versions import prepare

if TYPE_CHECKING:
    import psycopg

_log = logging.getLogger("consent_proxy.database")

CHANNEL = "consent_proxy"
_SEND_LOCK = 0x636E7372_0002
_SECONDS = 10.0
"""How long sending may take."""
_CHECK_SECONDS = 30.0
"""A connection that is quiet for so long is tried: a firewall may have dropped it."""
_MAX_PAUSE = 15.0
_RECENT = "sent_at > now() - interval '5 minutes'"

Handler = Callable[[str], object]


async def publish(url: str, topic: str, body: str, *, lasting: bool = False) -> None:
    """Send a message to all nodes, this one included. Returns once it is in the database. Raises
    DatabaseError where it is not: then no node gets it.
    """
    check_packages(url)
    import psycopg

    try:
        async with asyncio.timeout(_SECONDS):
            await asyncio.to_thread(prepare, url)
            async with await connect_async(url) as connection, connection.transaction():
                # In the order of their numbers: a listener reads on from the last one it has seen.
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SEND_LOCK,))
                await connection.execute(
                    "DELETE FROM message WHERE NOT lasting AND sent_at < now() - interval '1 day'"
                )
                await connection.execute(
                    "INSERT INTO message (topic, body, lasting) VALUES (%s, %s, %s)",
                    (topic, body, lasting),
                )
                await connection.execute(f"NOTIFY {CHANNEL}")
    except psycopg.Error as error:
        raise database_error(url, error) from error
    except TimeoutError as error:
        raise DatabaseError(f"the database took longer than {_SECONDS:.0f} s") from error


async def listen(url: str, handlers: Mapping[str, Handler]) -> None:
    """Call the handler of each message's topic with its body, until cancelled. Connects again by
    itself; a handler's exception is logged.
    """
    # Without an end: the first connection shows which is the newest message.
    seen: int | None = None
    pause, warned = 1.0, False
    while True:
        try:
            async for newest in _received(url, handlers, seen):
                seen = newest
                if warned:
                    _log.info("messages of other nodes are received again")
                pause, warned = 1.0, False
        except DatabaseError as error:
            if not warned:
                warned = True
                _log.warning("messages of other nodes arrive later: %s", error)
        # Nodes that lost the same server do not come back in one moment.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
        pause = min(pause * 2, _MAX_PAUSE)


async def _received(
    url: str, handlers: Mapping[str, Handler], seen: int | None
) -> AsyncIterator[int]:
    """Deliver over one connection; yields the number of the newest message each time."""
    await asyncio.to_thread(prepare, url)
    import psycopg

    connection = await connect_async(url)
    try:
        await connection.execute(f"LISTEN {CHANNEL}")
        seen = await _deliver(connection, handlers, seen)
        while True:
            yield seen
            async for _ in connection.notifies(timeout=_CHECK_SECONDS, stop_after=1):
                pass
            seen = await _deliver(connection, handlers, seen)
    except psycopg.Error as error:
        raise database_error(url, error) from error
    finally:
        with contextlib.suppress(psycopg.Error):
            await connection.close()


async def _deliver(
    connection: psycopg.AsyncConnection[tuple[Any, ...]],
    handlers: Mapping[str, Handler],
    seen: int | None,
) -> int:
    """Deliver the messages after `seen`; None: the lasting ones. The newest one's number."""
    where = "id > %s" if seen is not None else f"(lasting OR {_RECENT}) AND id > %s"
    # First: what is sent from here on is delivered the next time, and not lost between the two.
    newest = await (await connection.execute("SELECT max(id) FROM message")).fetchone()
    cursor = await connection.execute(
        # The condition is one of the two above.
        f"SELECT id, topic, body FROM message WHERE {where} ORDER BY id",  # noqa: S608
        (seen or 0,),
    )
    rows = await cursor.fetchall()
    if seen is None:
        seen = (newest and newest[0]) or 0
    for number, topic, body in rows:
        seen = max(seen, number)
        handler = handlers.get(topic)
        if handler is None:
            continue
        try:
            handler(body)
        except Exception:
            _log.exception("a message of another node (%s) could not be acted upon", topic)
    return seen
