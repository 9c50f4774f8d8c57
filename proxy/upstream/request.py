"""Send a request to the upstream: streaming, deadlines, retries.

Memory per request is bounded by two stream buffers of `READ_BUFFER` bytes and a `RequestBuffer`,
whatever the sizes of the bodies. Every wait has a deadline; aiohttp has none for reading a request
body, writing a request body or writing a response.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn

import aiohttp
from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict

from proxy.http.access_record import UPSTREAM, UPSTREAM_SECONDS
from proxy.http.adapters.writer import has_control
from proxy.http.draining import ON_DRAIN
from proxy.http.media_types import media_type
from proxy.http.request_trace import TRACE
from proxy.http.targets import split_target
from proxy.tracebacks import drop_frames
from proxy.upstream.errors import UpstreamError, explain_error, failure_kind
from proxy.upstream.exchange import (
    IDEMPOTENT,
    BegunExchange,
    MalformedResponseError,
    UnansweredError,
    UpstreamRequest,
    UpstreamResponse,
    exchange,
)
from proxy.upstream.group import Member, UpstreamGroup
from proxy.upstream.interim import ON_INTERIM
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.request_buffer import DiskBudget, RequestBuffer
from proxy.upstream.retries import is_fault_of_server, may_send_again, was_not_sent
from proxy.upstream.server import Server
from proxy.upstream.slots import UpstreamLimits
from proxy.upstream.timeouts import DEFAULT_TIMEOUTS, Timeouts

# A visitor's body must come at this rate on average once SLOW_BODY_GRACE seconds were spent
# waiting for it: one byte every 29 seconds would hold an upstream connection for ever.
SLOW_BODY_RATE = 240
SLOW_BODY_GRACE = 30.0


PAUSE_SECONDS = 1.0
"""A visitor's pause after which what was read of a body is sent on: perhaps it waits for an answer
to the first part.
"""


class TotalTimeoutError(aiohttp.ClientError):
    """A response took longer than `Timeouts.total`."""


class StoppingError(aiohttp.ClientError):
    """The server stops: an event stream ends here, and its browser connects again."""


class DownstreamBody:
    """A request's body on its way to the upstream: `gather`, then iterate; once, or again after
    `keep`.

    `stall` is rescheduled while the upstream reads. A failure of the visitor's is kept in
    `failure`; it is raised, and fails the iteration.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        timeouts: Timeouts,
        limits: UpstreamLimits,
        disk: DiskBudget,
    ) -> None:
        self._request = request
        self._timeouts = timeouts
        self.stall = asyncio.timeout(None)
        self._limits = limits
        self._disk = disk
        self._buffer = RequestBuffer(disk)
        self._received = 0
        self._waited = 0.0
        self.ended = False
        """Whether all of it was read."""
        self.failure: UpstreamError | None = None

    async def gather(self) -> None:
        """Read as much as is to be read before a connection is taken."""
        most = self._limits.request_body
        length = self._request.content_length
        if most and length is not None and length > most:
            self._fail(413, f"a body of {length} bytes, more than max_request_bytes ({most})")
        await answer_expectation(self._request)
        buffer, end = self._buffer, self._limits.request_buffer
        while buffer.size < end and not self._disk.is_spent:
            chunk = await self._next(PAUSE_SECONDS)
            if chunk is None or self.ended:
                return
            try:
                await buffer.add(chunk)
            except OSError as error:
                self._fail(503, f"no room for the body of a request ({failure_kind(error)})")

    def keep(self) -> bool:
        """Keep what is sent of the body, so that it can be sent again, until `forget`. False where
        not all of it is at hand.
        """
        self._buffer.rereadable = self.ended
        return self.ended

    def forget(self) -> None:
        """The body is not needed again."""
        self._buffer.forget()

    def close(self) -> None:
        self._buffer.close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        async for chunk in self._buffer.read():
            self._watch_upstream(loop.time() + self._timeouts.write)
            yield chunk
            self._watch_upstream(None)
        while not self.ended:
            more = await self._next(None)
            if not more:
                return
            self._watch_upstream(loop.time() + self._timeouts.write)
            yield more
            self._watch_upstream(None)

    async def _next(self, pause: float | None) -> bytes | None:
        """The next bytes; b"" at the end; None where none came for `pause` seconds, if given."""
        timeouts, loop = self._timeouts, asyncio.get_running_loop()
        idle = timeouts.body_idle
        asked_at = loop.time()
        try:
            async with asyncio.timeout(idle if pause is None else min(pause, idle)):
                chunk = await self._request.content.readany()
        except TimeoutError:
            self._waited += loop.time() - asked_at
            if pause is not None and pause < idle:
                return None
            self._fail(408, f"the visitor sent nothing for {idle:g} s")
        except web.RequestPayloadError:
            self._fail(400, "the visitor's body is malformed")
        except (aiohttp.ClientError, OSError, RuntimeError) as exc:
            kind = failure_kind(exc)
            self._fail(400, f"the visitor disconnected after {self._received} bytes ({kind})")
        if not chunk:
            self.ended = True
            return b""
        self._received += len(chunk)
        self._waited += loop.time() - asked_at
        if self._waited > SLOW_BODY_GRACE and self._received < self._waited * SLOW_BODY_RATE:
            self._fail(408, f"the visitor sends less than {SLOW_BODY_RATE} bytes a second")
        most = self._limits.request_body
        if most and self._received > most:
            self._fail(413, f"a body of more than max_request_bytes ({most})")
        return chunk

    def _watch_upstream(self, deadline: float | None) -> None:
        # Once the response's head has arrived, its own deadlines apply.
        if not self.stall.expired():
            try:
                self.stall.reschedule(deadline)
            except RuntimeError:
                return

    def _fail(self, status: int, reason: str) -> NoReturn:
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
    upstream: UpstreamGroup,
    headers: CIMultiDict[str],
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    upgrade: bool = False,
) -> AbstractAsyncContextManager[UpstreamResponse]:
    """Send `request` to one of the servers of `upstream` and yield the response, body unread.

    Method, path and query are forwarded byte for byte; the body is gathered within a bound, then
    streamed. Raises `UpstreamError`: 502, 503 and 504 for the upstream's failures, 400, 408 and 413
    for the visitor's. What failed at one server may be sent to another one: see
    `retries.may_send_again`. Leaving the block early closes the connection to the upstream.
    """
    return _Sent(pool, request, upstream, headers, timeouts, upgrade)


@dataclass(slots=True)
class _Sent:
    """A class: an asynchronous generator costs each request 4 µs more."""

    pool: UpstreamPool
    request: web.BaseRequest
    upstream: UpstreamGroup
    headers: CIMultiDict[str]
    timeouts: Timeouts
    upgrade: bool
    _response: UpstreamResponse | None = None
    _member: Member | None = None
    _closed: asyncio.Future[None] | None = None
    _body: DownstreamBody | None = None
    _total: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> UpstreamResponse:
        began = time.monotonic()
        try:
            response = await self._respond()
        except BaseException:
            self._close_body()
            self._leave()
            raise
        finally:
            self.request[UPSTREAM_SECONDS] = time.monotonic() - began
        self._response = response
        try:
            self._check(response)
        except UpstreamError:
            response.release()
            self._close_body()
            self._leave()
            raise
        # the body is complete, or there is none
        connection = response.connection
        if connection is None or connection.protocol is None:
            return response
        protocol = connection.protocol
        quiet = media_type(response.headers) == "text/event-stream"  # silence is normal in such
        if quiet and not response.move_to_streams():
            response.release()
            self._close_body()
            self._leave()
            raise UpstreamError(
                503,
                f"there are {self.pool.limits().streams} event streams and long responses of "
                f"{response.server}: raise upstream_streams of [proxy]",
            )
        if quiet:
            self.request[ON_DRAIN] = self._stop
        protocol.read_timeout = None if quiet else self.timeouts.idle
        protocol.start_timeout()
        if self.timeouts.total and not (quiet or self.upgrade):
            left = max(self.timeouts.total - (time.monotonic() - began), 0.0)
            self._total = asyncio.get_running_loop().call_later(left, self._too_long)
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
        # Refers to this object: what is left of both would wait for the cyclic collector.
        if self.request.get(ON_DRAIN) is not None:
            del self.request[ON_DRAIN]
        if self._total is not None:
            self._total.cancel()
        if self._closed is not None:
            self._closed.remove_done_callback(self._fail_body)
        if self._response is not None:
            self._note_truncation(self._response)
            self._response.release()
        self._close_body()
        self._leave()

    def _note_truncation(self, response: UpstreamResponse) -> None:
        """Whether the connection broke within the body."""
        broken = response.content.exception()
        if broken is None:
            return
        drop_frames(broken)
        if self._member is None:
            return
        if not isinstance(broken, StoppingError | TotalTimeoutError):
            reason = f"the connection broke within a body ({failure_kind(broken)})"
            self.upstream.failed(self._member, time.monotonic(), reason, closed=True)

    def _leave(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            self.upstream.finished(member)

    def _close_body(self) -> None:
        if self._body is not None:
            self._body.close()

    def _stop(self) -> None:
        response = self._response
        if response is not None and response.content.exception() is None:
            response.content.set_exception(StoppingError())

    def _too_long(self) -> None:
        response = self._response
        if response is not None and not response.content.is_eof():
            response.content.set_exception(TotalTimeoutError())

    async def _respond(self) -> UpstreamResponse:
        request, upstream = self.request, self.upstream
        if request.body_exists:
            body = self._body = DownstreamBody(
                request, self.timeouts, self.pool.limits(), self.pool.disk
            )
            await body.gather()
        if upstream.only is not None:
            return await self._ask(self._request_to(upstream.only))
        return await self._balanced()

    def _request_to(self, server: Server) -> UpstreamRequest:
        request, body = self.request, self._body
        sent = UpstreamRequest(
            request.method,
            server,
            split_target(request.raw_path).path,
            _framed(self.headers, request),
            on_interim=request.get(ON_INTERIM),
        )
        if body is not None:
            sent.body, sent.held_back = body, not body.ended
            sent.body_repeats = sent.method in IDEMPOTENT and body.keep()
        return sent

    async def _balanced(self) -> UpstreamResponse:
        """The response of the first server that gives one."""
        upstream, tried = self.upstream, list[Member]()
        upstream.budget.deposit()
        failure: UpstreamError | None = None
        sent, repeated = self._request_to(upstream.members[0].server), False
        sent.is_alone = len(upstream.members) == 1
        while True:
            member = upstream.choose(self.request, time.monotonic(), self.pool.slots.is_full, tried)
            if member is None:
                raise failure or _all_down(upstream)
            if failure is not None:
                upstream.retries += 1
            self._member = member
            tried.append(member)
            sent.server = member.server
            if upstream.sends_own_host:
                sent.headers = CIMultiDict(sent.headers)
                sent.headers[hdrs.HOST] = member.server.authority
            try:
                response = await self._ask(sent)
            except UpstreamError as error:
                if self._body is not None and error is self._body.failure:
                    upstream.left(member)
                    raise  # the visitor's fault
                cause = error.__cause__
                # A request that failed at one server and fails at the next may be what is wrong.
                if is_fault_of_server(cause) and (was_not_sent(cause) or not repeated):
                    closed = isinstance(cause, UnansweredError | MalformedResponseError)
                    upstream.failed(member, time.monotonic(), error.reason, closed=closed)
                else:
                    upstream.left(member)
                again = may_send_again(sent, cause, repeated=repeated or sent.was_repeated)
                if not again or not upstream.budget.withdraw(time.monotonic()):
                    raise
                repeated = repeated or not was_not_sent(cause)
                failure = error
                self._leave()
                continue
            except BaseException:
                upstream.left(member)
                raise
            upstream.succeeded(member, time.monotonic())
            return response

    async def _ask(self, sent: UpstreamRequest) -> UpstreamResponse:
        trace = self.request.get(TRACE)
        if trace is None:
            return await self._exchange(sent)
        with trace.attempt(sent.method, sent.server.url) as attempt:
            sent.headers = CIMultiDict(sent.headers)
            attempt.write(sent.headers)
            response = await self._exchange(sent)
            attempt.answered(response.status)
            return response

    async def _exchange(self, sent: UpstreamRequest) -> UpstreamResponse:
        request, timeouts, body = self.request, self.timeouts, self._body
        request[UPSTREAM] = sent.server.name
        if body is None:
            begun = _take_begun(request, sent)
            try:
                return await exchange(self.pool, sent, timeouts, begun)
            except (aiohttp.ClientError, OSError, ValueError) as exc:
                raise explain_error(exc, request, sent.server, timeouts, stalled=False) from exc
        stall = body.stall = asyncio.timeout(None)
        try:
            async with stall:
                response = await exchange(self.pool, sent, timeouts)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            if body.failure is not None:
                raise body.failure from exc
            raise explain_error(
                exc, request, sent.server, timeouts, stalled=stall.expired()
            ) from exc
        body.forget()
        return response

    def _check(self, response: UpstreamResponse) -> None:
        server = response.server
        if response.status == 101 and not self.upgrade:
            raise UpstreamError(502, f"{server} switched protocols (101) without a request for it")
        codings = response.headers.getall(hdrs.TRANSFER_ENCODING, None)
        if codings and ", ".join(codings).strip().lower() != "chunked":
            # What we do not undo cannot be passed on: the field is removed (RFC 9112, 6.1).
            raise UpstreamError(
                502,
                f"{server} sent its response in a transfer coding that was not asked for "
                "(Transfer-Encoding other than chunked): use Content-Encoding there",
            )
        if has_control(response.headers.values()):
            raise UpstreamError(502, f"{server} sent a header with a control character in it")

    def _fail_body(self, closed: asyncio.Future[None]) -> None:
        """Fail the body when its connection ends before it does."""
        if not closed.cancelled():
            closed.exception()  # seen, so that asyncio does not complain
        content = None if self._response is None else self._response.content
        if content is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("its body is malformed"))


BEGUN: web.RequestKey[BegunExchange] = web.RequestKey("begun", BegunExchange)
"""On a visitor's request: the exchange that was begun for it, until it is taken."""


def _take_begun(request: web.BaseRequest, sent: UpstreamRequest) -> BegunExchange | None:
    begun: BegunExchange | None = request.get(BEGUN)
    if begun is None:
        return None
    del request[BEGUN]
    if begun.take(sent):
        return begun
    begun.drop()  # it would hold its connection while another one is waited for
    return None


def drop_begun(request: web.BaseRequest) -> None:
    """Give up an exchange that nobody took."""
    begun: BegunExchange | None = request.get(BEGUN)
    if begun is not None:
        del request[BEGUN]
        begun.drop()


def asked_at(request: web.BaseRequest) -> tuple[float, float]:
    """When the origin is asked: now, unless it was already (seconds since 1970, and
    CLOCK_MONOTONIC).
    """
    begun: BegunExchange | None = request.get(BEGUN)
    return (time.time(), time.monotonic()) if begun is None else begun.asked


def _all_down(upstream: UpstreamGroup) -> UpstreamError:
    names = ", ".join(map(str, upstream.servers))
    return UpstreamError(503, f"all upstreams of {upstream.site} are down: {names}")


def _framed(headers: CIMultiDict[str], request: web.BaseRequest) -> CIMultiDict[str]:
    """The header fields as they are written: Host first (RFC 9110, 7.2), and a length of 0 where
    the method lets a server expect a body.
    """
    without_length = request.method not in _WITHOUT_BODY and hdrs.CONTENT_LENGTH not in headers
    if not without_length and not request.body_exists and next(iter(headers), "") == hdrs.HOST:
        return headers
    framed = CIMultiDict(headers)
    host = framed.pop(hdrs.HOST, "")
    framed.popall(hdrs.HOST, None)
    framed = CIMultiDict(((hdrs.HOST, host), *framed.items()))
    if without_length and not request.body_exists:
        framed[hdrs.CONTENT_LENGTH] = "0"
    return framed


_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
