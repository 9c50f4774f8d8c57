"""Tunnel an upgraded connection (WebSocket, RFC 6455) as bytes.

Frames are never parsed: extensions such as permessage-deflate are agreed end to end, a message may
have any size, pings and fragments keep their timing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion11, StreamWriter
from multidict import CIMultiDict, MultiMapping

from proxy.http.adapters.writer import ProxyResponse
from proxy.http.draining import ON_DRAIN
from proxy.upstream.errors import UpstreamError
from proxy.upstream.exchange import UpstreamResponse

# Both ends of a WebSocket usually ping more often; this ends those whose other end is gone.
IDLE_SECONDS = 600.0

_log = logging.getLogger("consent_proxy.upstream")


_PROTOCOL = "websocket"


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether a request is the handshake of a WebSocket (RFC 6455, 4.1): the only one that is
    forwarded as an upgrade. In any other the Upgrade field is removed.

    A GET of HTTP/1.1 without a body, `upgrade` among the options of Connection, and the protocol
    `websocket` among those of Upgrade, which is a list of names that may have a version behind a
    slash (RFC 9110, 7.8); RFC 6455 gives this one none. Where one server sees an upgrade and the
    next one does not, what follows is a tunnel to one and a second request to the other.
    """
    if request.method != hdrs.METH_GET or request.version != HttpVersion11 or request.body_exists:
        return False
    headers = request.headers
    if hdrs.UPGRADE not in headers:
        return False
    return _PROTOCOL in _members(headers, hdrs.UPGRADE) and "upgrade" in _members(
        headers, hdrs.CONNECTION
    )


def _members(headers: MultiMapping[str], name: str) -> set[str]:
    """The members of a list of tokens, which are compared without regard to case."""
    values = ",".join(headers.getall(name, ())).lower()
    return {member.strip(" \t") for member in values.split(",")}


def handshake_headers(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """The upstream's request headers with the fields of the handshake, which are hop-by-hop."""
    headers[hdrs.CONNECTION] = "Upgrade"
    headers[hdrs.UPGRADE] = _PROTOCOL
    return headers


async def relay_tunnel(
    request: web.BaseRequest,
    upstream: UpstreamResponse,
    headers: CIMultiDict[str],
    *,
    idle: float = IDLE_SECONDS,
) -> web.StreamResponse:
    """Relay a 101, then bytes both ways until either end closes. `headers` are those of the 101
    after enforcement.

    Each tunnel holds a connection of the upstream's pool for its whole life. Raises UpstreamError
    for a 101 that switches to nothing, or to another protocol.
    """
    connection = upstream.connection
    if connection is None or connection.protocol is None or not connection.protocol.upgraded:
        raise UpstreamError(
            502, f"{upstream.server} sent 101 without Upgrade and Connection fields"
        )
    if _members(upstream.headers, hdrs.UPGRADE) != {_PROTOCOL}:
        raise UpstreamError(502, f"{upstream.server} switched to another protocol than requested")
    headers[hdrs.CONNECTION] = "Upgrade"
    headers[hdrs.UPGRADE] = _PROTOCOL
    response = ProxyResponse(status=101, reason=upstream.reason, headers=headers)
    try:
        await response.prepare(request)
    except ConnectionError:
        return response
    response.force_close()

    ended = asyncio.Event()
    request[ON_DRAIN] = ended.set
    clock = _IdleTimer()
    visitor, far = request.protocol, connection.protocol
    to_upstream = _Direction(visitor, far, clock, ended.set)
    to_visitor = _Direction(far, visitor, clock, ended.set)
    far.set_parser(to_visitor, None)
    visitor.set_parser(to_upstream)  # type: ignore[arg-type]
    try:
        await clock.watch(ended, idle)
    finally:
        to_upstream.stop()
        to_visitor.stop()
    return response


class _IdleTimer:
    """When a byte was last transferred, in either direction."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def touch(self) -> None:
        self._last = self._loop.time()

    async def watch(self, ended: asyncio.Event, idle: float) -> None:
        """Return once the tunnel has ended or was idle for `idle` seconds."""
        while not ended.is_set():
            left = self._last + idle - self._loop.time()
            if left <= 0:
                _log.debug("a tunnel was idle for %g s: closed", idle)
                return
            try:
                async with asyncio.timeout(left):
                    await ended.wait()
            except TimeoutError:
                continue


class _Direction:
    """Bytes from one connection to the other, as an aiohttp payload parser, to which aiohttp feeds
    each protocol's incoming bytes after an upgrade.
    """

    def __init__(
        self,
        source: BaseProtocol,
        sink: BaseProtocol,
        clock: _IdleTimer,
        on_end: Callable[[], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._clock = clock
        self._on_end = on_end
        self._writer = StreamWriter(sink, asyncio.get_running_loop())
        self._resuming: asyncio.Task[None] | None = None
        self._finished = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._clock.touch()
        transport = self._sink.transport
        if transport is not None and not transport.is_closing() and not self._finished:
            transport.write(data)
            if self._sink.writing_paused and self._resuming is None:
                self._source.pause_reading()
                self._resuming = asyncio.get_running_loop().create_task(self._resume())
        return False, b""

    async def _resume(self) -> None:
        """Resume reading once the other side has read its bytes: memory stays bounded."""
        try:
            await self._writer.drain()
        except ConnectionError:
            self._on_end()
            return
        self._resuming = None
        self._clock.touch()
        self._source.resume_reading()

    def feed_eof(self) -> None:
        """The source has closed its sending side: half-close the sink, which may still send."""
        if self._finished:
            return
        self._finished = True
        transport = self._sink.transport
        source_gone = self._source.transport is None or self._source.transport.is_closing()
        if source_gone or transport is None or transport.is_closing():
            self._on_end()
        elif transport.can_write_eof():
            transport.write_eof()
        else:
            self._on_end()

    def stop(self) -> None:
        self._finished = True
        if self._resuming is not None:
            self._resuming.cancel()
