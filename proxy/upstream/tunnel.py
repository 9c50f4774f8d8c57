"""WebSockets, relayed as bytes after the upgrade.

Frames are never parsed: extensions such as permessage-deflate are agreed end to end, a message may
have any size, pings and fragments keep their timing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import ClientSession, hdrs, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion11, StreamWriter
from multidict import CIMultiDict
from yarl import URL

from proxy.http.adapters.writer import ProxyResponse
from proxy.http.forwarding import response_headers
from proxy.responses.stream import stream
from proxy.upstream.errors import UpstreamError
from proxy.upstream.request import ask
from proxy.upstream.timeouts import DEFAULT_TIMEOUTS, Timeouts

# Both ends of a WebSocket usually ping more often; this ends those whose other end is gone.
IDLE_SECONDS = 600.0

_log = logging.getLogger("proxy.tunnel")


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether the request asks for a WebSocket: the only upgrade that is passed on.

    One with a body is not: where the body ends and the other protocol begins is what request
    smuggling by upgrade plays on.
    """
    headers = request.headers
    if headers.get(hdrs.UPGRADE, "").lower() != "websocket" or request.method != hdrs.METH_GET:
        return False
    tokens = ",".join(headers.getall(hdrs.CONNECTION, ())).lower().split(",")
    asked = any(token.strip() == "upgrade" for token in tokens)
    return asked and request.version >= HttpVersion11 and not request.body_exists


async def tunnel(
    session: ClientSession,
    request: web.BaseRequest,
    origin: URL,
    headers: CIMultiDict[str],
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    idle: float = IDLE_SECONDS,
) -> web.StreamResponse:
    """Pass an upgrade request on; after a 101 relay bytes both ways until either end is done.

    `headers` come from `request_headers`; the upgrade fields are put back here. Any answer but 101
    is relayed like that of any other request. Each tunnel keeps a connection of `session` for its
    whole life: give tunnels a session without a bound on connections. Raises `UpstreamError`.
    """
    headers[hdrs.CONNECTION] = "Upgrade"
    headers[hdrs.UPGRADE] = "websocket"
    async with ask(session, request, origin, headers, timeouts=timeouts, upgrade=True) as upstream:
        answer = response_headers(upstream)
        if upstream.status != 101:
            return await stream(request, upstream, answer, timeouts=timeouts)
        connection = upstream.connection
        if connection is None or connection.protocol is None or not connection.protocol.upgraded:
            raise UpstreamError(502, f"{origin} answered 101 without Upgrade and Connection fields")
        answer[hdrs.CONNECTION] = "Upgrade"
        answer[hdrs.UPGRADE] = upstream.headers.get(hdrs.UPGRADE, "websocket")
        response = ProxyResponse(status=101, reason=upstream.reason, headers=answer)
        try:
            await response.prepare(request)
        except ConnectionError:
            return response
        response.force_close()

        ended = asyncio.Event()
        clock = _Clock()
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


class _Clock:
    """When a byte last moved, in either direction."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def touch(self) -> None:
        self._last = self._loop.time()

    async def watch(self, ended: asyncio.Event, idle: float) -> None:
        """Return once the tunnel has ended or nothing has moved for `idle` seconds."""
        while not ended.is_set():
            left = self._last + idle - self._loop.time()
            if left <= 0:
                _log.debug("a tunnel was silent for %g s: closed", idle)
                return
            try:
                async with asyncio.timeout(left):
                    await ended.wait()
            except TimeoutError:
                continue


class _Direction:
    """Bytes from one connection to the other, in the shape of an aiohttp payload parser.

    aiohttp hands each protocol's incoming bytes to such a parser after an upgrade.
    """

    def __init__(
        self,
        source: BaseProtocol,
        sink: BaseProtocol,
        clock: _Clock,
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
        """Read on once the other side has taken what it got: memory stays bounded."""
        try:
            await self._writer.drain()
        except ConnectionError:
            self._on_end()
            return
        self._resuming = None
        self._clock.touch()
        self._source.resume_reading()

    def feed_eof(self) -> None:
        """The source sends no more: tell the sink, which may still have something to say."""
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
