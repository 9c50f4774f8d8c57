"""Send a request to the upstream: streaming, deadlines, retries.

Memory per request is bounded by two stream buffers of `READ_BUFFER` bytes, whatever the sizes of
the bodies. Every wait has a deadline; aiohttp has none for reading a request body, writing a
request body or writing a response.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache

import aiohttp
from aiohttp import ClientResponse, ClientSession, hdrs, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict
from yarl import URL

from proxy.http.access_record import UPSTREAM_SECONDS
from proxy.http.adapters.interim_connector import ON_INTERIM, interim_listener
from proxy.http.adapters.writer import has_control
from proxy.http.targets import split_target
from proxy.upstream.errors import UpstreamError, explain_error, failure_kind
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


@asynccontextmanager
async def send_request(
    session: ClientSession,
    request: web.BaseRequest,
    origin: URL,
    headers: CIMultiDict[str],
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    upgrade: bool = False,
) -> AsyncIterator[ClientResponse]:
    """Send `request` to `origin` (scheme, host and port) and yield the response, body unread.

    Method, path and query are forwarded byte for byte; the body is streamed. Raises
    `UpstreamError`: 502 and 504 for the upstream's failures, 400 and 408 for the visitor's. Leaving
    the block early closes the connection to the upstream.
    """
    url = origin.with_path(split_target(request.raw_path).path, encoded=True)
    stall = asyncio.timeout(None)
    body: DownstreamBody | None = None
    if request.body_exists:
        body = DownstreamBody(request, timeouts, stall)
    interim_listener.set(request.get(ON_INTERIM))
    loop = asyncio.get_running_loop()
    began = loop.time()
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
        raise explain_error(exc, request, origin, timeouts, stalled=stall.expired()) from exc
    finally:
        interim_listener.set(None)
        request[UPSTREAM_SECONDS] = loop.time() - began

    try:
        if response.status == 101 and not upgrade:
            raise UpstreamError(502, f"{origin} switched protocols (101) without a request for it")
        if has_control(response.headers.values()):
            raise UpstreamError(502, f"{origin} sent a header with a control character in it")
        connection = response.connection
        # the body is complete, or there is none
        if connection is None or connection.protocol is None:
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

    On a malformed chunk aiohttp closes the connection without an error for the body's reader, which
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
