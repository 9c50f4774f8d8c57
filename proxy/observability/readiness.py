"""Whether a worker can serve: what a load balancer asks before it sends visitors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.recorder import Recorder
from proxy.upstream.group import UpstreamGroup
from proxy.upstream.server import Server

_SECONDS = 2.0


async def unready(
    upstreams: Iterable[UpstreamGroup], recorder: Recorder | None, *, stopping: bool
) -> list[str]:
    """What keeps this worker from serving, a line each; none where it can.

    It can while one server at least that this worker holds for up takes connections: another site's
    visitors must not lose theirs.
    """
    if stopping:
        return ["it is stopping"]
    found: list[str] = []
    if recorder is not None:
        try:
            # With a database a choice is recorded in the outbox, whether the database is there or
            # not: else its fault would take all nodes out at once.
            if await recorder.outbox_items() is None:
                await recorder.call(lambda store: store.checkpoint())
        except ReceiptStoreError as error:
            found.append(f"receipts cannot be written: {error}")
    names: set[str] = set()
    servers: dict[str, Server] = {}
    for group in upstreams:
        for member in group.members:
            names.add(member.server.name)
            if member.health.is_up or member.health.is_last_resort:
                servers[member.server.name] = member.server
    reachable = await asyncio.gather(*map(takes_connections, servers.values()))
    if names and not any(reachable):
        found.append(f"no upstream takes connections: {', '.join(sorted(names))}")
    return found


async def takes_connections(server: Server) -> bool:
    """Whether a connection to a server can be opened, within two seconds."""
    try:
        async with asyncio.timeout(_SECONDS):
            if server.socket:
                _, writer = await asyncio.open_unix_connection(server.socket)
            else:
                _, writer = await asyncio.open_connection(server.url.host, server.url.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
