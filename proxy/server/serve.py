"""Listen, serve and drain: the life of one worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from consent_rules.wording import quoted
from proxy.http.access_record import REQUEST_ID, AccessHook
from proxy.http.error_pages import error_response
from proxy.http.handler import Handler
from proxy.http.request_id import RequestIdOf, request_id_of
from proxy.http.targets import requested_host
from proxy.server.connection import FastPathLookup, FrontServer, ProxyRequest
from proxy.server.listener import open_listener
from proxy.server.validation import rejection_status
from proxy.server.workers import Worker, run_workers
from proxy.upstream.pool import READ_BUFFER

__all__ = ["REQUEST_ID", "Handler", "Limits", "Worker", "open_listener", "run_workers", "serve"]

_log = logging.getLogger("consent_proxy.server")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and seconds on the visitor's side."""

    line: int = 16 * 1024  # the request line
    field: int = 32 * 1024  # one header field; browsers send cookies of 9 KB and more
    fields: int = 200
    head_bytes: int = 64 * 1024  # of a whole head
    head: float = 15.0  # for the whole head of a request, trickled or not
    keepalive: float = 75.0  # idle between requests; longer than nginx's 60 s in front of us
    write: float = 60.0  # for a visitor who reads nothing of a response
    linger: float = 5.0  # reading on after a response that was sent before the request's end
    grace: float = 25.0  # for requests in flight when the server stops
    backlog: int = 1024


DEFAULT_LIMITS = Limits()


async def serve(
    handler: Handler,
    listen: str | socket.socket,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None] | None = None,
    reuse_port: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    access: AccessHook | None = None,
    fast_path: FastPathLookup | None = None,
    id_of: RequestIdOf = request_id_of,
    ids_on_hits: bool = True,
    admin: tuple[Handler, str | socket.socket] | None = None,
) -> None:
    """Serve until `stop` is set, then finish the requests in flight within `limits.grace`.

    `handler` sees only requests in good order; its exceptions become error pages. A response that
    `fast_path` finds is sent without calling it, named by `id_of` where `ids_on_hits`. `admin` is a
    second listener with a handler of its own, up until the drain is over. `ready` is called when
    both accept connections.
    """
    async with contextlib.AsyncExitStack() as stack:
        if admin is not None:
            await _start(stack, admin[0], admin[1], limits, None, None, reuse_port)
        site, server = await _start(
            stack, handler, listen, limits, access, fast_path, reuse_port, id_of, ids_on_hits
        )
        if ready is not None:
            ready()
        await stop.wait()
        await site.stop()
        await _drain(server, limits.grace)


async def _start(
    stack: contextlib.AsyncExitStack,
    handler: Handler,
    listen: str | socket.socket,
    limits: Limits,
    access: AccessHook | None,
    fast_path: FastPathLookup | None,
    reuse_port: bool,
    id_of: RequestIdOf = request_id_of,
    ids_on_hits: bool = True,
) -> tuple[web.BaseSite, FrontServer]:
    if isinstance(listen, str):
        listen = open_listener(listen, reuse_port=reuse_port, backlog=limits.backlog)
    listen.setblocking(False)
    server = FrontServer(
        _guarded(handler, access),
        access=access,
        fast_path=fast_path,
        id_of=id_of,
        ids_on_hits=ids_on_hits,
        max_head=limits.head_bytes,
        head_seconds=limits.head,
        write_seconds=limits.write,
        keepalive_timeout=limits.keepalive,
        lingering_time=limits.linger,
        max_line_size=limits.line,
        max_field_size=limits.field,
        max_headers=limits.fields,
        read_bufsize=READ_BUFFER,
        auto_decompress=False,
        access_log=None,
    )
    # The drain has waited already; connections that are still open are closed.
    runner = web.ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.SockSite(runner, listen, backlog=limits.backlog)
    await site.start()
    return site, server


async def _drain(server: FrontServer, grace: float) -> None:
    """Wait for the requests in flight.

    Not aiohttp's own shutdown: that stops reading from every connection at once, so an upload
    under way would never end.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + grace
    await asyncio.sleep(0)  # connections just accepted get to send their first request
    while True:
        server.drain()
        if not server.connections:
            return
        if loop.time() >= end:
            _log.warning(
                "%d connections closed after a grace period of %g s", len(server.connections), grace
            )
            return
        await asyncio.sleep(0.05)


def _guarded(handler: Handler, access: AccessHook | None) -> Handler:
    async def guarded(request: web.BaseRequest) -> web.StreamResponse:
        try:
            status = rejection_status(request)
            if status is None:
                return await handler(request)
        except asyncio.CancelledError:
            if access is not None and isinstance(request, ProxyRequest):
                access(request.accessed(499, asyncio.get_running_loop().time()))
            raise
        if status == 508:
            _log.warning(
                "a request for %s came from this proxy itself: an upstream of the config leads "
                "back to it; name the server that makes the pages",
                quoted(requested_host(request)),
            )
        if status == 204:
            return web.Response(status=204, headers={"Allow": "GET, HEAD, POST, OPTIONS"})
        if isinstance(request, ProxyRequest) and request.version.major != 1:
            request.answer_in_http_1_1()
        return error_response(request, status, request[REQUEST_ID])

    return guarded
