"""Send a request to the upstream: streaming, deadlines, retries.

Memory per request is bounded by two stream buffers of `READ_BUFFER` bytes, whatever the sizes of
the bodies. Every wait has a deadline; aiohttp has none for reading a request body, writing a
request body or writing a response.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from aiohttp import hdrs, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict
from yarl import URL

from proxy.http.access_record import UPSTREAM_SECONDS
from proxy.http.adapters.writer import has_control
from proxy.http.media_types import media_type
from proxy.http.targets import split_target
from proxy.upstream.errors import UpstreamError, explain_error, failure_kind
from proxy.upstream.exchange import UpstreamRequest, UpstreamResponse, exchange
from proxy.upstream.interim import ON_INTERIM
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.timeouts import DEFAULT_TIMEOUTS, Timeouts

# A visitor's body must come at this rate on average once SLOW_BODY_GRACE seconds were spent
# waiting for it: one byte every 29 seconds would hold an upstream connection for ever.
SLOW_BODY_RATE = 240
SLOW_BODY_GRACE = 30.0


class DownstreamBody:
    """A request's body on its way to the upstream. Iterated once, after the connection is made."""

    def __init__(
        self,
        request: web.BaseRequest,
        timeouts: Timeouts,
        stall: asyncio.Timeout,
    ) -> None:
        self._request = request
        self._timeouts = timeouts
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
            except web.RequestPayloadError:
                self._fail(400, "the visitor's body is malformed")
            except (aiohttp.ClientError, OSError, RuntimeError) as exc:
                self._fail(
                    400, f"the visitor disconnected after {received} bytes ({failure_kind(exc)})"
                )
            if not chunk:
                return
            received += len(chunk)
            waited += loop.time() - asked_at
            if waited > SLOW_BODY_GRACE and received < waited * SLOW_BODY_RATE:
                self._fail(408, f"the visitor sends less than {SLOW_BODY_RATE} bytes a second")
            self._watch_upstream(loop.time() + self._timeouts.write)
            yield chunk
            self._watch_upstream(None)

    def _watch_upstream(self, deadline: float | None) -> None:
        # Once the response's head has arrived, its own deadlines apply.
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
    # Only while the response has not begun; written to the transport, as it is no part of it.
    if transport is not None and request.writer.output_size == 0:
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def send_request(
    pool: UpstreamPool,
    request: web.BaseRequest,
    origin: URL,
    headers: CIMultiDict[str],
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    upgrade: bool = False,
) -> AbstractAsyncContextManager[UpstreamResponse]:
    """Send `request` to `origin` (scheme, host and port) and yield the response, body unread.

    Method, path and query are forwarded byte for byte; the body is streamed. Raises
    `UpstreamError`: 502 and 504 for the upstream's failures, 400 and 408 for the visitor's. Leaving
    the block early closes the connection to the upstream.
    """
    return _Sent(pool, request, origin, headers, timeouts, upgrade)


@dataclass(slots=True)
class _Sent:
    """A class: an asynchronous generator costs each request 4 µs more."""

    pool: UpstreamPool
    request: web.BaseRequest
    origin: URL
    headers: CIMultiDict[str]
    timeouts: Timeouts
    upgrade: bool
    _response: UpstreamResponse | None = None
    _closed: asyncio.Future[None] | None = None

    async def __aenter__(self) -> UpstreamResponse:
        began = time.monotonic()
        try:
            response = await self._respond()
        finally:
            self.request[UPSTREAM_SECONDS] = time.monotonic() - began
        self._response = response
        try:
            self._check(response)
        except UpstreamError:
            response.release()
            raise
        # the body is complete, or there is none
        connection = response.connection
        if connection is None or connection.protocol is None:
            return response
        protocol = connection.protocol
        _set_body_deadline(response, protocol, self.timeouts.idle)
        # On a malformed chunk aiohttp closes the connection without an error for the body's reader,
        # which would wait for ever.
        self._closed = protocol.closed
        if self._closed is not None:
            self._closed.add_done_callback(self._fail_body)
        return response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._fail_body)
        if self._response is not None:
            self._response.release()

    async def _respond(self) -> UpstreamResponse:
        request, origin, timeouts = self.request, self.origin, self.timeouts
        sent = UpstreamRequest(
            request.method,
            origin,
            split_target(request.raw_path).path,
            _framed(self.headers, request),
            on_interim=request.get(ON_INTERIM),
        )
        if not request.body_exists:
            try:
                return await exchange(self.pool, sent, timeouts)
            except (aiohttp.ClientError, OSError, ValueError) as exc:
                raise explain_error(exc, request, origin, timeouts, stalled=False) from exc
        stall = asyncio.timeout(None)
        body = DownstreamBody(request, timeouts, stall)
        sent.body = aiter(body)
        try:
            async with stall:
                return await exchange(self.pool, sent, timeouts)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            if body.failure is not None:
                raise body.failure from exc
            raise explain_error(exc, request, origin, timeouts, stalled=stall.expired()) from exc

    def _check(self, response: UpstreamResponse) -> None:
        origin = self.origin
        if response.status == 101 and not self.upgrade:
            raise UpstreamError(502, f"{origin} switched protocols (101) without a request for it")
        codings = response.headers.getall(hdrs.TRANSFER_ENCODING, None)
        if codings and ", ".join(codings).strip().lower() != "chunked":
            # What we do not undo cannot be passed on: the field is removed (RFC 9112, 6.1).
            raise UpstreamError(
                502,
                f"{origin} sent its response in a transfer coding that was not asked for "
                "(Transfer-Encoding other than chunked): use Content-Encoding there",
            )
        if has_control(response.headers.values()):
            raise UpstreamError(502, f"{origin} sent a header with a control character in it")

    def _fail_body(self, closed: asyncio.Future[None]) -> None:
        """Fail the body when its connection ends before it does."""
        if not closed.cancelled():
            closed.exception()  # seen, so that asyncio does not complain
        content = None if self._response is None else self._response.content
        if content is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("its body is malformed"))


def _framed(headers: CIMultiDict[str], request: web.BaseRequest) -> CIMultiDict[str]:
    """The header fields as they are written: Host first (RFC 9110, 7.2), and a length of 0 where
    the method lets a server expect a body.
    """
    without_length = request.method not in _WITHOUT_BODY and hdrs.CONTENT_LENGTH not in headers
    if not without_length and not request.body_exists and next(iter(headers), "") == hdrs.HOST:
        return headers
    framed = CIMultiDict({hdrs.HOST: headers.get(hdrs.HOST, "")})
    framed.extend((name, value) for name, value in headers.items() if name.lower() != "host")
    if without_length and not request.body_exists:
        framed[hdrs.CONTENT_LENGTH] = "0"
    return framed


_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def _set_body_deadline(response: UpstreamResponse, protocol: ResponseHandler, idle: float) -> None:
    quiet = media_type(response.headers) == "text/event-stream"  # silence is normal in such a one
    protocol.read_timeout = None if quiet else idle
    protocol.start_timeout()
