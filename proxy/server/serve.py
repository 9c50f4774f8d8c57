"""Listen, serve and drain: the life of one worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from consent_rules.wording import quoted
from proxy.http.access_record import REQUEST_ID, AccessHook
from proxy.http.error_pages import error_response
from proxy.http.handler import Handler
from proxy.http.request_id import RequestIdOf, request_id_of
from proxy.http.targets import requested_host
from proxy.server.connection import FastPathLookup, FrontServer, KnownRequests, ProxyRequest
from proxy.server.listener import open_listener
from proxy.server.proxy_protocol import accept_proxied
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


def no_hsts() -> str:
    """No Strict-Transport-Security."""
    return ""


@dataclass(frozen=True, slots=True)
class Front:
    """What stands between the visitors and the HTTP of their listener.

    `tls` is the context of the listener, `hsts` the value of Strict-Transport-Security. With
    `takes_proxy_header` connections begin with a PROXY header; it says which peers may send one.
    """

    tls: ssl.SSLContext | None = None
    hsts: Callable[[], str] = no_hsts
    takes_proxy_header: Callable[[str], bool] | None = None


NOTHING_IN_FRONT = Front()
Listening = str | socket.socket | Sequence[socket.socket]


async def serve(
    handler: Handler,
    listen: Listening,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None] | None = None,
    reuse_port: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    access: AccessHook | None = None,
    fast_path: FastPathLookup | None = None,
    known: KnownRequests | None = None,
    id_of: RequestIdOf = request_id_of,
    ids_on_hits: bool = True,
    admin: tuple[Handler, Listening] | None = None,
    front: Front = NOTHING_IN_FRONT,
    redirect: tuple[Handler, Listening] | None = None,
    replaced: Callable[[], bool] = lambda: False,
) -> None:
    """Serve until `stop` is set, then finish the requests in flight within `limits.grace`.

    `handler` sees only requests in good order; its exceptions become error pages. A response that
    `fast_path` finds is sent without calling it, named by `id_of` where `ids_on_hits`; `known`
    requests are not even parsed. `admin` is a second listener with a handler of its own, up until
    the drain is over; `redirect` one of plain HTTP beside a listener with TLS. `ready` is called
    when all accept connections. Where `replaced` says that another process takes the new
    connections, visitors are moved there gently: see `_drain`.
    """

    def sockets(of: Listening) -> Sequence[socket.socket]:
        if isinstance(of, str):
            of = open_listener(of, reuse_port=reuse_port, backlog=limits.backlog)
        return (of,) if isinstance(of, socket.socket) else of

    async with contextlib.AsyncExitStack() as stack:
        if admin is not None:
            own = _server(admin[0], limits)
            admin_listener = await _start(stack, own, sockets(admin[1]), limits, NOTHING_IN_FRONT)
        server = _server(handler, limits, access, fast_path, known, front.hsts, id_of, ids_on_hits)
        listeners = [await _start(stack, server, sockets(listen), limits, front)]
        servers = [server]
        if redirect is not None:
            plain = _server(redirect[0], limits, access, id_of=id_of)
            only_proxied = Front(takes_proxy_header=front.takes_proxy_header)
            listeners.append(await _start(stack, plain, sockets(redirect[1]), limits, only_proxied))
            servers.append(plain)
        if ready is not None:
            ready()
        await stop.wait()
        if replaced() and admin is not None:
            listeners.append(admin_listener)  # `/readyz` is the other's to answer
        for listener in listeners:
            listener.close()
        await _drain(servers, limits.grace, gently=replaced())


def _server(
    handler: Handler,
    limits: Limits,
    access: AccessHook | None = None,
    fast_path: FastPathLookup | None = None,
    known: KnownRequests | None = None,
    hsts: Callable[[], str] = no_hsts,
    id_of: RequestIdOf = request_id_of,
    ids_on_hits: bool = True,
) -> FrontServer:
    return FrontServer(
        _guarded(handler, access),
        access=access,
        fast_path=fast_path,
        known=known,
        id_of=id_of,
        ids_on_hits=ids_on_hits,
        hsts=hsts,
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


async def _start(
    stack: contextlib.AsyncExitStack,
    server: FrontServer,
    sockets: Sequence[socket.socket],
    limits: Limits,
    front: Front,
) -> contextlib.ExitStack:
    """Accept connections until the returned stack is closed, or `stack` is left."""
    # The drain has waited already; connections that are still open are closed.
    runner = web.ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    listeners = contextlib.ExitStack()
    stack.push(listeners)
    tls = front.tls
    for sock in sockets:
        sock.setblocking(False)
        if front.takes_proxy_header is not None:
            may_send = front.takes_proxy_header
            listeners.callback(accept_proxied(sock, server, may_send, tls, limits.head))
            continue
        accepting = await asyncio.get_running_loop().create_server(
            server,
            sock=sock,
            backlog=limits.backlog,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else limits.head,
            ssl_shutdown_timeout=None if tls is None else limits.linger,
        )
        listeners.callback(accepting.close)
    return listeners


_GENTLE_SECONDS = 3.0
"""What connections have at least that are accepted, but in the middle of a TLS handshake."""


async def _drain(servers: Sequence[FrontServer], grace: float, *, gently: bool) -> None:
    """Wait for the requests in flight. Idle connections are closed at once, or `gently`: they have
    half of the time for one more request, whose response says that they close. A request that
    arrives as a connection is closed would be lost.

    Not aiohttp's own shutdown: that stops reading from every connection at once, so an upload
    under way would never end.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    end = began + grace
    await asyncio.sleep(0)  # connections just accepted get to send their first request
    while True:
        idle_may_stay = gently and loop.time() < began + grace / 2
        for server in servers:
            server.drain(close_idle=not idle_may_stay)
        left = sum(len(server.connections) for server in servers)
        if not left and not (gently and loop.time() < min(end, began + _GENTLE_SECONDS)):
            return
        if loop.time() >= end:
            _log.warning("%d connections closed after a grace period of %g s", left, grace)
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
