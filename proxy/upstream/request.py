"""Asking the upstream and relaying its answer: streaming, deadlines, retries.

Memory per request is bounded by two stream buffers of `READ_BUFFER` bytes, whatever the sizes of
the bodies. Every wait has a deadline; aiohttp has none for reading a request body, writing a
request body or writing a response.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession, hdrs, web
from aiohttp import http_parser as _parsers
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict
from yarl import URL

from proxy.http.adapters.interim_connector import HEAR, HearingConnector, hearing
from proxy.http.adapters.writer import ExactRequest, NotSentError, ProxyResponse, has_control
from proxy.http.forwarding import requested_host, split_target

READ_BUFFER = 64 * 1024

_log = logging.getLogger("proxy.upstream")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Each but `connect` and `queue` restarts whenever a byte moves."""

    connect: float = 5.0
    queue: float = 10.0  # for a free connection, when the upstream's are all in use
    first_byte: float = 60.0
    idle: float = 60.0  # between two reads of the upstream's body; not for event streams
    body_idle: float = 30.0  # between two reads of the visitor's body
    write: float = 60.0  # for an upstream that does not take what is sent


DEFAULT_TIMEOUTS = Timeouts()

# A visitor's body must come at this rate on average once SLOW_BODY_GRACE seconds were spent
# waiting for it: one byte every 29 seconds would hold an upstream connection for ever.
SLOW_BODY_RATE = 240
SLOW_BODY_GRACE = 30.0


class UpstreamError(Exception):
    """There is no upstream answer. `status` is for the visitor, `reason` only for the log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What was read of a body. Unless `ending` is "whole", there may be more to stream."""

    body: bytes
    ending: Literal["whole", "too_large", "slow", "stalled", "broken"]

    @property
    def whole(self) -> bool:
        return self.ending == "whole"


def open_session(
    *,
    connections: int = 256,
    max_line: int = 32 * 1024,
    max_field: int = 64 * 1024,
    max_fields: int = 400,
    verify_tls: bool = True,
) -> ClientSession:
    """A pool of connections to upstreams; call inside a running loop, close it at the end.

    `connections` bounds those to one upstream, so that a slow one cannot take all; 0 is without
    bound, which is right for tunnels: they hold a connection for hours. The limits on answers are
    wider than those on requests: an upstream that sets large cookies must still get through.
    """
    _require_c_parser()
    connector = HearingConnector(
        limit=0,
        limit_per_host=connections,
        # Node and uvicorn close an idle connection after 5 s. Ours must be the shorter time, or
        # requests go out on connections that are being closed.
        keepalive_timeout=4.0,
        ttl_dns_cache=30,
        ssl=verify_tls,
        socket_factory=_upstream_socket,
    )
    return ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),  # a real one hands cookies from visitor to visitor
        auto_decompress=False,
        trust_env=False,
        raise_for_status=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        request_class=ExactRequest,
        middlewares=(_retry,),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=READ_BUFFER,
        max_line_size=max_line,
        max_field_size=max_field,
        max_headers=max_fields,
    )


def _require_c_parser() -> None:
    if _parsers.HttpRequestParser is _parsers.HttpRequestParserPy:
        raise RuntimeError(
            "aiohttp runs on its pure Python HTTP parser, which is slow and has had request "
            "smuggling faults of its own. Install a wheel of aiohttp with extensions and unset "
            "AIOHTTP_NO_EXTENSIONS."
        )


def _upstream_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices a dead peer: event streams and tunnels have no read deadline."""
    family, kind, protocol, _, _ = info
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock


class _Unanswered(aiohttp.ClientError):
    """The connection ended before the answer; kept from aiohttp, which would resend even a PUT."""

    def __init__(self, cause: BaseException, *, reused: bool) -> None:
        super().__init__(str(cause))
        self.reused = reused


async def _retry(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Send again only what the upstream cannot have acted on.

    That is a request whose connection could not be made (once, after a pause: an upstream that
    restarts) or was found unusable before it was written to, and a GET or HEAD without a body that
    met a kept-alive connection just being closed.
    """
    assert isinstance(request, ExactRequest)
    refused = stale = 0
    while True:
        try:
            return await send(request)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise
        except aiohttp.ClientConnectorError:
            refused += 1
            if refused > 1:
                raise
            await asyncio.sleep(0.25)
        except (
            aiohttp.ClientOSError,
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientConnectionResetError,
        ) as cause:
            unseen = isinstance(cause, NotSentError)
            repeatable = request.method in ("GET", "HEAD") and not request.body
            stale += 1
            if not (unseen or (repeatable and request.reused)) or stale > 3:
                raise _Unanswered(cause, reused=request.reused) from cause


class _VisitorBody:
    """A request's body on its way to the upstream. Iterated once, after the connection is made."""

    def __init__(
        self,
        request: web.BaseRequest,
        timeouts: Timeouts,
        max_bytes: int | None,
        stall: asyncio.Timeout,
    ) -> None:
        self._request = request
        self._timeouts = timeouts
        self._max_bytes = max_bytes
        self._stall = stall
        self.failure: UpstreamError | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        await answer_expectation(self._request)
        content = self._request.content
        loop = asyncio.get_running_loop()
        received = 0
        waited = 0.0
        while True:
            asked_at = loop.time()
            try:
                async with asyncio.timeout(self._timeouts.body_idle):
                    chunk = await content.readany()
            except TimeoutError:
                self._fail(408, f"the visitor sent nothing for {self._timeouts.body_idle:g} s")
            except web.RequestPayloadError as exc:
                self._fail(400, f"the visitor's body is malformed: {exc}")
            except (aiohttp.ClientError, OSError, RuntimeError) as exc:
                self._fail(400, f"the visitor went away after {received} bytes: {exc!r}")
            if not chunk:
                return
            received += len(chunk)
            waited += loop.time() - asked_at
            if self._max_bytes is not None and received > self._max_bytes:
                self._fail(413, f"the body is larger than the {self._max_bytes} bytes allowed")
            if waited > SLOW_BODY_GRACE and received < waited * SLOW_BODY_RATE:
                self._fail(408, f"the visitor sends less than {SLOW_BODY_RATE} bytes a second")
            self._watch_upstream(loop.time() + self._timeouts.write)
            yield chunk
            self._watch_upstream(None)

    def _watch_upstream(self, deadline: float | None) -> None:
        # Once the answer's head is here, its own deadlines take over and this one is spent.
        if not self._stall.expired():
            try:
                self._stall.reschedule(deadline)
            except RuntimeError:
                return

    def _fail(self, status: int, reason: str) -> None:
        self.failure = UpstreamError(status, reason)
        raise self.failure


async def answer_expectation(request: web.BaseRequest) -> None:
    """Send `100 Continue` to a visitor who waits for it; call before reading a body."""
    expects = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
    if not expects or request.version < HttpVersion11:
        return
    transport = request.transport
    # Only while the answer has not begun; straight to the transport, as it is no part of it.
    if transport is not None and request.writer.output_size == 0:
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@asynccontextmanager
async def ask(
    session: ClientSession,
    request: web.BaseRequest,
    origin: URL,
    headers: CIMultiDict[str],
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    max_body: int | None = None,
    upgrade: bool = False,
) -> AsyncIterator[ClientResponse]:
    """Send `request` to `origin` (scheme, host and port) and yield the answer, body unread.

    Method, path and query go as they came, byte for byte; the body is streamed. Raises
    `UpstreamError`: 502 and 504 for the upstream's failures, 400, 408 and 413 for the visitor's.
    Leaving the block early closes the connection to the upstream.
    """
    declared = request.headers.get(hdrs.CONTENT_LENGTH)
    if max_body is not None and declared is not None and int(declared) > max_body:
        raise UpstreamError(413, f"the body of {declared} bytes is over the {max_body} allowed")

    url = origin.with_path(split_target(request.raw_path).path, encoded=True)
    stall = asyncio.timeout(None)
    body: _VisitorBody | None = None
    if request.body_exists:
        body = _VisitorBody(request, timeouts, max_body, stall)
    hearing.set(request.get(HEAR))
    try:
        async with stall:
            response = await session.request(
                request.method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=_client_timeout(timeouts),
            )
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        if body is not None and body.failure is not None:
            raise body.failure from exc
        raise _explain(exc, request, origin, timeouts, stalled=stall.expired()) from exc
    finally:
        hearing.set(None)

    try:
        if response.status == 101 and not upgrade:
            raise UpstreamError(502, f"{origin} switched protocols (101) although not asked to")
        if has_control(response.headers.values()):
            raise UpstreamError(502, f"{origin} sent a header with a control character in it")
        connection = response.connection
        if connection is None or connection.protocol is None:  # the body is here, or there is none
            yield response
            return
        protocol = connection.protocol
        _set_body_deadline(response, protocol, timeouts.idle)
        with _end_with_connection(response, protocol):
            yield response
    finally:
        response.release()


@lru_cache(maxsize=64)
def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,  # a download may take as long as it likes, as long as it moves
        connect=timeouts.connect + timeouts.queue,
        sock_connect=timeouts.connect,
        sock_read=timeouts.first_byte,
    )


def _set_body_deadline(response: ClientResponse, protocol: ResponseHandler, idle: float) -> None:
    quiet = response.content_type == "text/event-stream"  # silence is normal in an event stream
    protocol.read_timeout = None if quiet else idle
    protocol.start_timeout()


@contextmanager
def _end_with_connection(response: ClientResponse, protocol: ResponseHandler) -> Iterator[None]:
    """Fail the body when its connection ends before it does.

    On a malformed chunk aiohttp closes the connection but tells the body's reader nothing: it
    would wait for ever.
    """
    content = response.content

    def on_closed(closed: asyncio.Future[None]) -> None:
        if not closed.cancelled():
            closed.exception()  # seen, so that asyncio does not complain
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("its body is malformed"))

    closed = protocol.closed
    if closed is None:
        yield
        return
    closed.add_done_callback(on_closed)
    try:
        yield
    finally:
        closed.remove_done_callback(on_closed)


def _explain(
    exc: Exception, request: web.BaseRequest, origin: URL, timeouts: Timeouts, *, stalled: bool
) -> UpstreamError:
    """What failed, where, and what to look at, for the operator's log."""
    if stalled:
        return UpstreamError(
            504, f"{origin} took none of the request's body for {timeouts.write:g} s"
        )
    match exc:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamError(
                504,
                f"no connection to {origin} within {timeouts.connect:g} s, or all its connections "
                f"were in use for {timeouts.queue:g} s: check that it is up and not overloaded",
            )
        case aiohttp.ServerTimeoutError():
            return UpstreamError(
                504,
                f"{origin} sent no response head within {timeouts.first_byte:g} s: "
                "look at its own log for a slow request",
            )
        case aiohttp.ClientConnectorCertificateError():
            return UpstreamError(
                502,
                f"{origin} has a certificate that is not valid for its name "
                f"({exc.certificate_error}): fix it, or name the upstream as it is certified",
            )
        case aiohttp.ClientConnectorSSLError():
            return UpstreamError(502, f"{origin} does not speak TLS properly: {exc.os_error}")
        case aiohttp.ClientConnectorDNSError():
            return UpstreamError(502, f"the name of {origin} cannot be resolved: {exc.os_error}")
        case aiohttp.ClientConnectorError():
            return UpstreamError(
                502, f"cannot connect to {origin} ({exc.os_error}): check that it is running"
            )
        case aiohttp.ClientResponseError():
            detail = " ".join(exc.message.split())[:300]
            return UpstreamError(502, f"{origin} answered with malformed HTTP: {detail}")
        case _Unanswered():
            return UpstreamError(
                502, f"{origin} closed the connection before it answered ({exc}): see its own log"
            )
        case ValueError():
            return UpstreamError(
                400, f"the request for host {requested_host(request)!r} cannot be sent on: {exc}"
            )
    return UpstreamError(502, f"asking {origin} failed: {exc!r}")


async def read_body(
    upstream: ClientResponse,
    limit: int,
    idle_timeout: float,
    total_timeout: float,
    patience: float | None = None,
) -> ReadResult:
    """Read a body that is to be rewritten: up to about `limit` bytes, within the given seconds;
    within `patience` once the first bytes are here.

    Unless all of it came, hand what was read to `stream(..., already_read=...)`, which goes on
    from there (or, where the upstream broke off, cuts the visitor's connection as well).
    """
    content = upstream.content
    length = upstream.content_length
    if length is not None and length > limit and upstream.method != hdrs.METH_HEAD:
        return ReadResult(b"", "too_large")
    loop = asyncio.get_running_loop()
    protocol = upstream.connection.protocol if upstream.connection else None
    chunks: list[bytes] = []
    size = 0
    end = loop.time() + total_timeout
    ending: Literal["whole", "too_large", "slow", "stalled", "broken"] = "whole"
    try:
        async with asyncio.timeout_at(min(end, loop.time() + idle_timeout)) as clock:
            while chunk := await content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    ending = "too_large"
                    break
                now = loop.time()
                if patience is not None and len(chunks) == 1:
                    end = min(end, now + patience)
                clock.reschedule(min(end, now + idle_timeout))
    except TimeoutError:
        ending = "stalled" if patience is None or not chunks else "slow"
    except (aiohttp.ClientError, OSError):
        ending = "broken"
    if ending == "whole" and _cut_off(upstream, protocol):
        ending = "broken"
    return ReadResult(b"".join(chunks), ending)


async def stream(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    status: int | None = None,
    *,
    already_read: bytes = b"",
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> web.StreamResponse:
    """Relay the answer as it comes; `already_read` is the part of the body that `read_body` took.

    When the upstream breaks off, so does the visitor's connection, by a reset: no client can take
    the part for the whole, not even one of HTTP/1.0, to which an orderly close means the end.
    """
    response = ProxyResponse(
        status=upstream.status if status is None else status,
        reason=upstream.reason if status in (None, upstream.status) else None,
        headers=headers,
    )
    content = upstream.content
    protocol = upstream.connection.protocol if upstream.connection else None
    promised = _promised(request, response.status, headers)
    sent = 0
    try:
        chunk = already_read or content.read_nowait()
        if chunk or content.at_eof():
            response.hold_headers()
        await _begin(request, response)
        while True:
            if chunk:
                sent += len(chunk)
                await _send(response, chunk)
            elif content.at_eof():
                break
            chunk = await content.readany()
        if _cut_off(upstream, protocol):
            raise ConnectionResetError("reset while it sent a body without a length")
        if promised is not None and sent != promised:
            raise aiohttp.ClientPayloadError(f"{promised} bytes were promised")
        await _end(response)
    except _VisitorLostError as exc:
        _give_up(request, response, sent, f"the visitor {exc}", logging.DEBUG)
    except TimeoutError:
        what = f"{upstream.url.origin()} fell silent for {timeouts.idle:g} s"
        _give_up(request, response, sent, what, logging.WARNING)
    except (aiohttp.ClientError, OSError) as exc:
        what = f"{upstream.url.origin()} broke off: {exc}"
        _give_up(request, response, sent, what, logging.WARNING)
    return response


class _VisitorLostError(Exception):
    """The visitor is gone."""


async def _begin(request: web.BaseRequest, response: web.StreamResponse) -> None:
    try:
        await response.prepare(request)
    except ConnectionError as exc:
        raise _VisitorLostError("went away before the answer") from exc


async def _send(response: web.StreamResponse, chunk: bytes) -> None:
    # Waits when the visitor is slow; a visitor who takes nothing at all is cut off by
    # `proxy.connection`, for every kind of answer alike.
    try:
        await response.write(chunk)
    except ConnectionError as exc:
        raise _VisitorLostError("went away") from exc


async def _end(response: web.StreamResponse) -> None:
    try:
        await response.write_eof()
    except ConnectionError as exc:
        raise _VisitorLostError("went away at the end") from exc


def _promised(request: web.BaseRequest, status: int, headers: CIMultiDict[str]) -> int | None:
    if request.method == hdrs.METH_HEAD or status in (204, 304):
        return None
    length = headers.get(hdrs.CONTENT_LENGTH, "")
    return int(length) if length.isascii() and length.isdigit() else None


def _cut_off(upstream: ClientResponse, protocol: object) -> bool:
    """Whether a body without a length ended by a reset, which aiohttp takes for its end."""
    headers = upstream.headers
    if (
        protocol is None or hdrs.CONTENT_LENGTH in headers or hdrs.TRANSFER_ENCODING in headers
    ):  # these say themselves where they end
        return False
    failure = getattr(protocol, "exception", lambda: None)()
    return isinstance(failure, aiohttp.ClientOSError | ConnectionError)


def _give_up(
    request: web.BaseRequest, response: web.StreamResponse, sent: int, what: str, level: int
) -> None:
    _log.log(
        level,
        "%s for %s cut off after %d bytes of the body: %s",
        request.method,
        requested_host(request),
        sent,
        what,
    )
    reset(request)
    response.force_close()


def reset(request: web.BaseRequest) -> None:
    """End the visitor's connection so that nobody takes the answer for complete."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        # Closing with no time to linger sends a reset instead of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
