"""One request and its response (RFC 9112) on a connection of the pool.

aiohttp's parser and connector without its client session, whose redirects, cookies, URLs and timers
a proxy has no use for: they were a third of the cost of a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import dataclass

import aiohttp
from aiohttp import hdrs
from aiohttp.connector import Connection
from aiohttp.http import HttpVersion, RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.http.adapters.writer import ExactWriter, head_of
from proxy.http.request_fields import authenticates_connection
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.interim import OnInterim
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.server import Server
from proxy.upstream.slots import Slot, Slots
from proxy.upstream.timeouts import Timeouts

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
IDEMPOTENT = SAFE | {"PUT", "DELETE"}
"""Methods of which the effect of several requests is that of one (RFC 9110, 9.2.2)."""


_RESTART_SECONDS = 0.25


class UnansweredError(aiohttp.ClientError):
    """The connection ended before the response."""


class MalformedResponseError(aiohttp.ClientError):
    """What the upstream sent is no response of HTTP/1. The cause says why."""


class _NotSentError(aiohttp.ServerDisconnectedError):
    """The connection was unusable before a byte of the request was written."""


@dataclass(slots=True)
class UpstreamRequest:
    """A request to an upstream. `target` and `headers` are written as given, but for what frames
    the body: `headers` has Content-Length where the length is known.

    `body` can be iterated again where `body_repeats`. `held_back` is whether it is still arriving,
    at the visitor's pace. `is_alone`: there is no other server that could be asked. `reused` is set
    where it was last sent on a connection that had already served another one: only then can "the
    upstream closed the connection" mean "it never saw this request". `was_repeated` is set where it
    was then sent again though the upstream may have acted on it. `had_interim` is set once an
    interim response came.
    """

    method: str
    server: Server
    target: str
    headers: CIMultiDict[str]
    body: AsyncIterable[bytes] | None = None
    body_repeats: bool = False
    held_back: bool = False
    on_interim: OnInterim | None = None
    is_alone: bool = True
    reused: bool = False
    was_repeated: bool = False
    had_interim: bool = False

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again though the upstream may have acted on it."""
        return self.method in IDEMPOTENT and (self.body is None or self.body_repeats)


@dataclass(slots=True, eq=False)
class BegunExchange:
    """A request that was sent already, of which `head` are the bytes; `slot` is its place. `asked`
    is when that was (seconds since 1970, and CLOCK_MONOTONIC).
    """

    server: Server
    head: bytes
    connection: Connection
    slot: Slot
    slots: Slots
    asked: tuple[float, float]
    is_over: bool = False

    def take(self, request: UpstreamRequest) -> bool:
        """Whether this is the exchange that would begin with a request: then it is the taker's."""
        if self.is_over or request.body is not None or request.server is not self.server:
            return False
        line = f"{request.method} {request.target} HTTP/1.1"
        self.is_over = head_of(line, request.headers) == self.head
        return self.is_over

    def drop(self) -> None:
        """Give it up, unless it was taken: its response is not awaited."""
        if not self.is_over:
            self.is_over = True
            self.slots.release(self.slot)
            self.connection.close()


class UpstreamResponse:
    """A response whose body is still to be read from `content`.

    `connection` is None once the body has ended: then it serves other requests. `release` closes
    the connection where the body was left unread. `begun` is what was read of it, and is to be read
    again.
    """

    __slots__ = (
        "_slot", "_slots", "_upload", "begun", "connection", "content", "headers", "method",
        "reason", "request", "server", "status", "version",
    )  # fmt: skip

    def __init__(
        self,
        request: UpstreamRequest,
        message: RawResponseMessage,
        content: StreamReader,
        connection: Connection,
        upload: asyncio.Task[None] | None,
        slots: Slots,
        slot: Slot,
    ) -> None:
        self._slots = slots
        self._slot: Slot | None = slot
        slot.may_move = True
        self.request = request
        self.method = request.method
        self.server = request.server
        self.version: HttpVersion = message.version
        self.status: int = message.code
        self.reason: str = message.reason
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.begun = b""
        self.connection: Connection | None = connection
        self._upload = upload
        content.on_eof(self._body_ended)

    @property
    def content_length(self) -> int | None:
        length = self.headers.get(hdrs.CONTENT_LENGTH)
        return None if length is None else int(length)

    def move_to_streams(self) -> bool:
        """Hold the connection as a stream. False where there are streams enough."""
        return self._slot is None or self._slots.move_to_streams(self._slot)

    def _body_ended(self) -> None:
        protocol = self.connection and self.connection.protocol
        if protocol is None or not protocol.upgraded:
            self._release_connection()

    def release(self) -> None:
        """To be called when the response is no longer needed, at any time."""
        content = self.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientConnectionError("the response was released"))
        self._release_connection()

    def _release_connection(self) -> None:
        slot, self._slot = self._slot, None
        connection, self.connection = self.connection, None
        if slot is not None:
            self._slots.release(slot)
        if connection is None:
            return
        if self._upload is not None and not self._upload.done():
            # The upstream answered before it had the whole body: what is left of it would be taken
            # for the next request.
            self._upload.cancel()
            connection.close()
        else:
            connection.release()


async def exchange(
    pool: UpstreamPool,
    request: UpstreamRequest,
    timeouts: Timeouts,
    begun: BegunExchange | None = None,
) -> UpstreamResponse:
    """Send a request and return its response, body unread. Where it was sent already, `begun` is
    that exchange.

    Only what the upstream cannot have acted on is sent again. That is a request whose connection
    could not be made (once, unless there is another server: after a pause where it was refused, by
    an upstream that restarts; at once where it took too long) or was found unusable before it was
    written to, and one of an idempotent method on a reused connection that was just being closed,
    or on which bytes arrived that are no response: they may be the last one's (RFC 9112, 9.3.1).

    Raises `aiohttp.ClientError` (`BusyError` among them), OSError; ValueError for what cannot be
    written as a head.
    """
    if begun is None:
        name, is_long = request.server.name, request.held_back
        slot = await pool.slots.acquire(name, timeouts.queue, is_long=is_long)
    else:
        slot = begun.slot
    slot.may_move = request.held_back
    try:
        return await _send_until_seen(pool, request, timeouts, slot, begun)
    except BaseException:
        pool.slots.release(slot)
        raise


async def _send_until_seen(
    pool: UpstreamPool,
    request: UpstreamRequest,
    timeouts: Timeouts,
    slot: Slot,
    begun: BegunExchange | None,
) -> UpstreamResponse:
    failed = stale = 0
    sent = None if begun is None else begun.connection
    while True:
        try:
            connection = sent or await pool.connect(request.server, timeouts)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as cause:
            failed += 1
            if failed > 1 or not request.is_alone:
                raise
            # A full backlog drops SYNs, which the kernel repeats after 1, 3 and 7 s only. And where
            # this process got no time meanwhile, uvloop looks at the clock before the sockets.
            if not isinstance(cause, aiohttp.ConnectionTimeoutError):
                await asyncio.sleep(_RESTART_SECONDS)
            continue
        try:
            was_sent, sent = sent is not None, None
            return await _exchange(pool, request, connection, timeouts, slot, was_sent=was_sent)
        except (
            aiohttp.ClientOSError,
            aiohttp.ServerDisconnectedError,
            ConnectionError,
            MalformedResponseError,
        ) as cause:
            unseen = isinstance(cause, _NotSentError)
            stale += 1
            repeatable = request.may_repeat and request.reused and not request.had_interim
            if repeatable and request.method not in SAFE:
                repeatable = not request.was_repeated  # once (RFC 9110, 9.2.2)
            if (unseen or repeatable) and stale <= 3:
                request.was_repeated |= not unseen
                continue
            if isinstance(cause, MalformedResponseError):
                raise
            raise UnansweredError(str(cause)) from cause


async def _exchange(
    pool: UpstreamPool,
    request: UpstreamRequest,
    connection: Connection,
    timeouts: Timeouts,
    slot: Slot,
    *,
    was_sent: bool,
) -> UpstreamResponse:
    upload: asyncio.Task[None] | None = None
    try:
        if was_sent:
            protocol = _own_protocol(connection)
            request.reused = True
        else:
            protocol = _protocol(request, connection)
            pool.expect_response(protocol, request.server, request.method, timeouts)
            upload = await _send(request, protocol)
        message, content = await _response_head(request, protocol)
        return UpstreamResponse(request, message, content, connection, upload, pool.slots, slot)
    except BaseException:
        if upload is not None:
            upload.cancel()
        connection.close()
        raise


def _own_protocol(connection: Connection) -> UpstreamConnection:
    protocol = connection.protocol
    assert isinstance(protocol, UpstreamConnection)
    return protocol


def _protocol(request: UpstreamRequest, connection: Connection) -> UpstreamConnection:
    protocol = _own_protocol(connection)
    request.reused = protocol.served_before
    protocol.served_before = True
    if protocol.should_close:
        # Bytes arrived while the connection was idle, such as the body of a response to HEAD. They
        # would be taken for the response to this request: another visitor's, perhaps.
        raise _NotSentError("the upstream sent bytes without a request")
    if any(map(authenticates_connection, request.headers.getall(hdrs.AUTHORIZATION, ()))):
        # Whatever follows on this connection would be answered in this visitor's name.
        protocol.force_close()
    return protocol


async def _send(
    request: UpstreamRequest, protocol: UpstreamConnection
) -> asyncio.Task[None] | None:
    """Write the request; its body in a task of its own, for an upstream may answer before it has
    the whole.
    """
    line, headers = f"{request.method} {request.target} HTTP/1.1", request.headers
    body = request.body
    if body is None:
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise _NotSentError("the upstream closed the connection")
        transport.write(head_of(line, headers))
        protocol.start_timeout()
        return None
    loop = asyncio.get_running_loop()
    writer = ExactWriter(protocol, loop)
    if hdrs.CONTENT_LENGTH in headers:
        writer.length = int(headers[hdrs.CONTENT_LENGTH])
    else:
        headers[hdrs.TRANSFER_ENCODING] = "chunked"
        writer.enable_chunking()
    await writer.write_headers(line, headers)
    return loop.create_task(_upload(body, writer, protocol))


async def _upload(
    body: AsyncIterable[bytes], writer: ExactWriter, protocol: UpstreamConnection
) -> None:
    """Write a body, and the head before it. A failure is that of the response's reader."""
    try:
        async for chunk in body:
            await writer.write(chunk)
        await writer.write_eof()
    except OSError as error:
        _fail(protocol, aiohttp.ClientOSError(error.errno, "cannot write the body"), error)
    except Exception as error:
        _fail(protocol, aiohttp.ClientConnectionError("the body was truncated"), error)
    else:
        protocol.start_timeout()


def _fail(protocol: UpstreamConnection, failure: Exception, cause: Exception) -> None:
    failure.__cause__ = cause
    protocol.set_exception(failure, cause)


async def _response_head(
    request: UpstreamRequest, protocol: UpstreamConnection
) -> tuple[RawResponseMessage, StreamReader]:
    """The final response's head; interim ones before it are reported."""
    while True:
        try:
            message, content = await protocol.read()
        except HttpProcessingError as error:
            raise MalformedResponseError(type(error).__name__) from error
        if not 100 <= message.code < 200 or message.code == 101:
            return message, content
        request.had_interim = True
        if request.on_interim is not None:
            request.on_interim(message)
