"""Whether a worker can serve: what a load balancer asks before it sends visitors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.recorder import Recorder
from proxy.upstream.server import Server

_SECONDS = 2.0


async def unready(
    upstreams: Iterable[Server], recorder: Recorder | None, *, stopping: bool
) -> list[str]:
    """What keeps this worker from serving, a line each; none where it can.

    It can while one upstream at least takes connections: another site's visitors must not lose
    theirs.
    """
    if stopping:
        return ["it is stopping"]
    found: list[str] = []
    if recorder is not None:
        try:
            await recorder.call(lambda store: store.checkpoint())
        except ReceiptStoreError as error:
            found.append(f"receipts cannot be written: {error}")
    servers = {server.name: server for server in upstreams}
    reachable = await asyncio.gather(*map(takes_connections, servers.values()))
    if servers and not any(reachable):
        found.append(f"no upstream takes connections: {', '.join(sorted(servers))}")
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
