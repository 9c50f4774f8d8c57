"""The pool of upstream connections."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache, partial
from types import TracebackType
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp import ClientRequest, TCPConnector, UnixConnector, hdrs
from aiohttp import http_parser as _parsers
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.request_buffer import DiskBudget
from proxy.upstream.resolver import Resolver
from proxy.upstream.server import Server
from proxy.upstream.slots import DEFAULT_LIMITS, Slots, UpstreamLimits
from proxy.upstream.timeouts import Timeouts
from proxy.upstream.tls import default_tls

READ_BUFFER = 64 * 1024
_MAX_UPSTREAMS = 4096
_KEEP_SECONDS = 4.0
"""How long an idle connection is kept. Node and uvicorn close one after 5 s: ours must be the
shorter time, or requests are sent on connections that are being closed.
"""
_EXCESS_SECONDS = 3600.0
"""How long it is remembered of an upstream that it sends bytes after its responses."""

_log = logging.getLogger("consent_proxy.upstream")


class UpstreamPool:
    """Connections to upstreams, kept alive between requests; call inside a running loop, close it
    at the end, or use it as a block.

    `limits` returns the bounds in force: those to one upstream, so that a slow one cannot take all.
    The limits on responses are wider than those on requests: an upstream that sets large cookies
    must still get through.
    """

    def __init__(
        self,
        *,
        limits: Callable[[], UpstreamLimits] = lambda: DEFAULT_LIMITS,
        max_line: int = 32 * 1024,
        max_field: int = 64 * 1024,
        max_fields: int = 400,
        verify_tls: bool = True,
        resolver: Resolver | None = None,
    ) -> None:
        _require_c_parser()
        self.connector = TCPConnector(
            limit=0,
            limit_per_host=0,  # that is for `slots`
            keepalive_timeout=_KEEP_SECONDS,
            use_dns_cache=False,
            resolver=resolver or Resolver(),
            ssl=verify_tls,  # of an upstream by TLS: `_tls_to`
            socket_factory=_upstream_socket,
        )
        self._verify_tls = verify_tls
        self._sockets: dict[str, UnixConnector] = {}
        self.limits = limits
        self.slots = Slots(limits)
        self.disk = DiskBudget()
        loop = self._loop = asyncio.get_running_loop()
        self._make_connection = partial(UpstreamConnection, loop)
        self.connector._factory = self._make_connection  # type: ignore[assignment]
        self._parser_limits = {
            "max_line_size": max_line,
            "max_field_size": max_field,
            "max_headers": max_fields,
        }
        self._excess: dict[str, float] = {}
        # With a server goes its TLS context: each reload makes others.
        self._known: WeakKeyDictionary[Server, ClientRequest] = WeakKeyDictionary()
        self._places: WeakKeyDictionary[Server, ConnectionKey] = WeakKeyDictionary()

    def _as_aiohttp_asks(self, server: Server) -> ClientRequest:
        known = self._known.get(server)
        if known is None:
            known = self._known[server] = ClientRequest(
                hdrs.METH_GET,
                server.url,
                loop=self._loop,
                ssl=self._tls_to(server),
                server_hostname=server.tls_name or None,
            )
        return known

    def _tls_to(self, server: Server) -> ssl.SSLContext | bool:
        """Never aiohttp's own context: `run` leaves that without certificates."""
        if server.tls is not None:
            return server.tls
        return default_tls() if self._verify_tls and server.url.scheme == "https" else True

    async def connect(self, server: Server, timeouts: Timeouts) -> Connection:
        """A connection to a server. Raises `aiohttp.ClientConnectorError` and
        `aiohttp.ConnectionTimeoutError`.
        """
        idle = self.idle_connection(server)
        if idle is not None:
            return idle
        # All that the connector reads of the request is where it goes.
        where = self._as_aiohttp_asks(server)
        connector = self._on_socket(server.socket) if server.socket else self.connector
        try:
            return await connector.connect(where, [], _connect_timeout(timeouts))
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"no connection to {server}") from error

    def idle_connection(self, server: Server) -> Connection | None:
        """A connection to a server that is open and unused, if there is one. None for a server that
        sends bytes after its responses.
        """
        connector = self._sockets.get(server.socket) if server.socket else self.connector
        if connector is None or (self._excess and not self._may_keep(server.name)):
            return None
        place = self._places.get(server)
        if place is None:
            place = self._places[server] = self._as_aiohttp_asks(server).connection_key
        getting = connector._get(place, [])
        try:
            getting.send(None)
        except StopIteration as found:
            connection: Connection | None = found.value
            return connection
        raise RuntimeError("aiohttp's connector waits where it has nothing to wait for")

    def _on_socket(self, path: str) -> UnixConnector:
        found = self._sockets.get(path)
        if found is None:
            found = UnixConnector(path, keepalive_timeout=_KEEP_SECONDS, limit=0)
            found._factory = self._make_connection  # type: ignore[assignment]
            self._sockets[path] = found
        return found

    def expect_response(
        self, connection: UpstreamConnection, server: Server, method: str, timeouts: Timeouts
    ) -> None:
        """Make a connection read the next response, to a request of this method."""
        if self._excess and not self._may_keep(server.name):
            connection.force_close()
        connection.on_excess = partial(self._note_excess, server.name)
        connection.expect_response(
            has_body=method != hdrs.METH_HEAD,
            first_byte=timeouts.first_byte,
            buffer=READ_BUFFER,
            limits=self._parser_limits,
        )

    def _may_keep(self, name: str) -> bool:
        """Whether a connection to a server may serve another request after the present one."""
        seen = self._excess.get(name)
        return seen is None or self._loop.time() - seen > _EXCESS_SECONDS

    def _note_excess(self, name: str) -> None:
        if self._may_keep(name):
            _log.warning(
                "%s sends bytes after its responses (a body in answer to HEAD, of a 204 or 304, or "
                "more than Content-Length says): they are dropped, and for an hour each connection "
                "to it is closed after its response; correct it there",
                name,
            )
        if len(self._excess) < _MAX_UPSTREAMS or name in self._excess:
            self._excess[name] = self._loop.time()

    async def close(self) -> None:
        for connector in (self.connector, *self._sockets.values()):
            await connector.close()

    async def __aenter__(self) -> UpstreamPool:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


@lru_cache(maxsize=64)
def _connect_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=timeouts.connect, sock_connect=timeouts.connect)


def _require_c_parser() -> None:
    if _parsers.HttpRequestParser is _parsers.HttpRequestParserPy:
        raise RuntimeError(
            "aiohttp runs on its pure Python HTTP parser, which is slow and has had request "
            "smuggling faults of its own. Install a wheel of aiohttp with extensions and unset "
            "AIOHTTP_NO_EXTENSIONS."
        )


def _upstream_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket with TCP keep-alive, to detect a dead peer: event streams and tunnels have no read
    deadline.
    """
    family, kind, protocol, _, _ = info
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock
