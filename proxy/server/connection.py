"""A visitor's connection: aiohttp's server protocol with deadlines, limits and the fast path."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import (
    SERVER_SOFTWARE,
    HttpRequestParser,
    HttpVersion11,
    RawRequestMessage,
)
from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.cache.fast_path import FastPathEntry, FastPathHit, FastPathKey, KnownHit
from proxy.http.access_record import (
    CACHE,
    CHOICE,
    DEVICE,
    LOGGED_PATH,
    PAGE,
    REQUEST_ID,
    SITE,
    UNREADABLE_CHOICE,
    UPSTREAM,
    UPSTREAM_SECONDS,
    Access,
    AccessHook,
)
from proxy.http.adapters.writer import ExactWriter
from proxy.http.draining import ON_DRAIN
from proxy.http.error_pages import error_response
from proxy.http.request_id import X_REQUEST_ID, RequestIdOf, new_request_id
from proxy.server.proxy_protocol import Client
from proxy.server.request_parser import RequestParser
from proxy.tracebacks import drop_frames
from proxy.upstream.exchange import BegunExchange
from proxy.upstream.request import BEGUN

if sys.platform != "win32":
    import fcntl
    import termios

_log = logging.getLogger("consent_proxy.server")


_NO_FIELDS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


class Relay(Protocol):
    """A response on its way to a visitor without a task of its own."""

    def begin(
        self, visitor: FrontConnection, message: RawRequestMessage, name: str, began: float
    ) -> bool:
        """Send a request on, named so; `began` is the loop's time. False where the request is to
        take the full path. `visitor.relayed` or `visitor.take_over` is called at the end.
        """

    def visitor_left(self) -> None:
        """The visitor closed the connection."""

    def hold_back(self) -> None:
        """The visitor reads slowly: nothing more is to be written until `go_on`."""

    def go_on(self) -> None: ...


FinishedLookup = Callable[[RawRequestMessage, str, bool, float], FastPathHit | None]
FastPathLookup = Callable[[RawRequestMessage, str, bool, float], FastPathHit | Relay | None]
"""(request head, peer's address, over TLS?, seconds since 1970) -> the finished response, or what
may get it from the origin.
"""


class KnownRequests(Protocol):
    """Requests with the header fields of an earlier one: they need not be parsed."""

    def find(self, data: bytes, peer: str, secure: bool, now: float) -> KnownHit | None:
        """What `FastPathLookup` finds, where `data` is one whole request that is known."""

    def add(
        self, data: bytes, message: RawRequestMessage, key: FastPathKey, peer: str, secure: bool
    ) -> None:
        """Remember one that the fast path answered; `data` is what it was parsed from, no more."""


_MAX_HELD = 64 * 1024
"""Bytes that a visitor may send behind a request while its response is relayed."""


class TakenOver:
    """A request whose response was to be relayed, and now takes the full path. `begun` is the
    exchange with the origin.
    """

    __slots__ = ("began", "begun", "message", "name")

    def __init__(
        self, message: RawRequestMessage, name: str, began: float, begun: BegunExchange
    ) -> None:
        self.message = message
        self.name = name
        self.began = began
        self.begun = begun


class ProxyRequest(web.BaseRequest):
    """A request with an identifier; its response gets `Connection: close` while the
    server drains.
    """

    started = 0.0

    def get(self, key: Any, default: Any = None) -> Any:
        # Mapping's own makes an exception of each key that is missing.
        return self._state.get(key, default)

    @property
    def message(self) -> RawRequestMessage:
        """The request head as it was read."""
        return self._message

    def accessed(self, status: int, now: float) -> Access:
        """The access record of this request; `now` is the loop's time."""
        get = self._state.get
        return Access(
            self[REQUEST_ID],
            self.method,
            self.raw_path,
            status,
            self.writer.output_size,
            now - self.started,
            self.remote or "",
            # aiohttp gives a malformed request a plain dict.
            self.headers if isinstance(self.headers, CIMultiDictProxy) else _NO_FIELDS,
            get(SITE, ""),
            get(CACHE, ""),
            get(PAGE),
            get(UNREADABLE_CHOICE, ""),
            get(LOGGED_PATH, ""),
            get(DEVICE, ""),
            get(UPSTREAM_SECONDS),
            get(CHOICE),
            get(UPSTREAM, ""),
        )

    @property
    def keep_alive(self) -> bool:
        if isinstance(self._protocol, FrontConnection) and self._protocol.draining:
            return False
        return not self._message.should_close

    def answer_in_http_1_1(self) -> None:
        """Respond in HTTP/1.1 to a version that is not supported: the response would claim to be of
        it.
        """
        self._version = HttpVersion11
        self._cache.pop("version", None)

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        if isinstance(self._protocol, FrontConnection) and (hsts := self._protocol.hsts):
            response.headers.setdefault(hdrs.STRICT_TRANSPORT_SECURITY, hsts)
        # aiohttp adds a Server field of its own where the upstream sent none.
        if response.headers.get(hdrs.SERVER) == SERVER_SOFTWARE:
            del response.headers[hdrs.SERVER]
        # In place of the upstream's: this is the one that the log has.
        response.headers[X_REQUEST_ID] = self[REQUEST_ID]


class FrontConnection(RequestHandler):
    """One connection of a visitor. Beyond aiohttp: a deadline for the request head (a trickle of
    bytes does not extend it), one for a visitor who does not read, half-close for tunnels, plain
    error pages.
    """

    __slots__ = (
        "_access",
        "_answered",
        "_fast_path",
        "_head_deadline",
        "_head_seconds",
        "_held",
        "_hsts",
        "_id_of",
        "_ids_on_hits",
        "_known",
        "_relay",
        "_stays",
        "_untaken",
        "_write_deadline",
        "_write_seconds",
        "client",
        "draining",
        "peer",
        "secure",
        "taken_over",
    )

    def __init__(
        self,
        manager: FrontServer,
        *,
        max_head: int,
        head_seconds: float,
        write_seconds: float,
        access: AccessHook | None,
        fast_path: FastPathLookup | None,
        known: KnownRequests | None,
        id_of: RequestIdOf,
        ids_on_hits: bool,
        hsts: Callable[[], str],
        **kwargs: Any,
    ) -> None:
        super().__init__(manager, **kwargs)
        self._id_of = id_of
        self._ids_on_hits = ids_on_hits
        self.draining = False
        self.client: Client | None = None
        """Whom a PROXY header names: the visitor behind the peer."""
        self.secure = False
        self._hsts = hsts
        self._access = access
        self._fast_path = fast_path
        self._known = known
        self._answered = False
        self._stays = False
        self._relay: Relay | None = None
        self._held = b""
        self.taken_over: TakenOver | None = None
        self.peer = ""
        self._parser = RequestParser(  # type: ignore[assignment]
            self._new_parser,
            max_head,
            None if fast_path is None else self._answer,
        )
        self._head_seconds = head_seconds
        self._head_deadline: asyncio.TimerHandle | None = None
        self._write_seconds = write_seconds
        self._write_deadline: asyncio.TimerHandle | None = None
        self._untaken = 0

    # --- the request head -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer, client = self.peername, self.client
        self.secure = self.ssl_context is not None
        if client is None:
            self.peer = peer[0] if isinstance(peer, tuple) else ""
        else:
            self.peer, self.secure = client.address, self.secure or client.secure
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._relay is not None:
            self._hold(data)
            return
        if self._known is not None and self._answer_known(data, self._known):
            return
        self._answered = False
        super().data_received(data)
        if self._answered:
            self._head_is_read()
            return
        parser: RequestParser | None = self._parser  # type: ignore[assignment]
        if parser is not None and parser.error is not None:
            super().data_received(b"")  # the malformed bytes behind good requests
        if self.idle:
            self._await_head()  # some bytes of a head, but not all
        else:
            self._head_is_read()

    def _may_answer(self) -> bool:
        """Whether a request may be answered here and now: not while another one is under way or
        waits for its turn, nor when the visitor takes nothing.

        aiohttp's loop waits for a request one or two turns of the event loop after the response to
        the last one, and a client that is quick sends it before.
        """
        waiter = self._waiter
        if waiter is None:
            if not self._stays or self._request_in_progress:
                return False
        elif waiter.done():
            return False
        return not (self.transport is None or self._messages or self._paused or self.draining)

    def _answer_known(self, data: bytes, known: KnownRequests) -> bool:
        """Send the finished response to a request that need not be parsed."""
        parser: RequestParser | None = self._parser  # type: ignore[assignment]
        if (
            parser is None
            or not parser.at_head
            or self._upgraded
            or self._close
            or not self._may_answer()
        ):
            return False
        now = time.time()
        hit = known.find(data, self.peer, self.secure, now)
        if hit is None:
            return False
        reply, path, headers, device = hit
        # None of them has a name of its own.
        name = new_request_id() if self._ids_on_hits else ""
        self._send(reply, now, name, path, headers, device)
        self._head_is_read()
        return True

    def _answer(self, message: RawRequestMessage, data: bytes) -> bool:
        """Send the finished response to a request, or begin to relay it. `data` is what it was
        parsed from, b"" where that came in pieces.
        """
        if self._fast_path is None or not self._may_answer():
            return False
        now = time.time()
        hit = self._fast_path(message, self.peer, self.secure, now)
        if hit is None:
            return False
        if not isinstance(hit, tuple):
            name = self._id_of(message.headers, self.peer)
            if not hit.begin(self, message, name, self._loop.time()):
                return False
            self._relay, self._answered = hit, True
            return True
        reply, key = hit
        if data and self._known is not None:
            self._known.add(data, message, key, self.peer, self.secure)
        # What is not logged needs no name.
        name = self._id_of(message.headers, self.peer) if self._ids_on_hits else ""
        self._send(reply, now, name, message.path, message.headers, key.device or "")
        return True

    def _send(
        self,
        reply: FastPathEntry,
        now: float,
        name: str,
        path: str,
        headers: CIMultiDictProxy[str],
        device: str,
    ) -> None:
        """Send a finished response to a GET. `now` is in seconds since 1970."""
        transport = self.transport
        assert transport is not None
        began = self._loop.time()
        head = reply.head_at(now, name)
        transport.writelines((head, reply.body) if reply.body else (head,))
        self._answered = True
        self._next_keepalive_close_time = began + self._keepalive_timeout
        if self._access is not None:
            size = len(head) + len(reply.body)
            self._access(
                Access(
                    name, "GET", path, reply.status, size, self._loop.time() - began,
                    self.peer, headers, reply.site, "hit", reply.page, reply.unreadable_choice,
                    reply.logged_path, device,
                )
            )  # fmt: skip

    # --- a response that is relayed ---------------------------------------------------------

    def relayed(self, access: Access) -> None:
        """The response was written, or it is over with the connection."""
        self._relay = None
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._access is not None:
            self._access(access)
        if self._held:
            self._read_held()

    def take_over(self, taken_over: TakenOver) -> bool:
        """Take the full path with a request that was to be relayed. False where the connection is
        over.
        """
        self._relay = None
        waiter = self._waiter
        if waiter is not None and waiter.done():
            return False
        self.taken_over = taken_over
        self._messages.append((taken_over.message, EMPTY_PAYLOAD))
        if waiter is not None:
            waiter.set_result(None)
        if self._held:
            self._read_held()
        return True

    def break_off(self) -> None:
        """Reset the connection, so that what was sent cannot be taken for complete."""
        if self.transport is not None:
            reset_transport(self.transport)
        self.force_close()

    def seconds_since(self, began: float) -> float:
        """Seconds since a time of the loop."""
        return self._loop.time() - began

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > _MAX_HELD:
            self._pause_transport_reading()

    def _read_held(self) -> None:
        held, self._held = self._held, b""
        if len(held) > _MAX_HELD:
            self._resume_transport_reading()
        self.data_received(held)

    def _process_keepalive(self) -> None:
        if self._relay is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def _await_head(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self._loop.call_later(self._head_seconds, self._head_is_late)

    def _head_is_read(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _head_is_late(self) -> None:
        self._head_deadline = None
        if self.idle:
            self.force_close()

    def _new_parser(self) -> HttpRequestParser:
        return HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=self._max_msg_queue_size,
        )

    @property
    def hsts(self) -> str:
        """The Strict-Transport-Security of this connection's responses, "" without TLS."""
        return self._hsts() if self.secure else ""

    def begins_request(self) -> None:
        """Note that a request is under way: aiohttp does so once its task runs, a turn later."""
        self._stays = False

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        sent, is_reset = await super().finish_response(request, resp, start_time)
        self._stays = bool(sent.keep_alive) and not is_reset
        return sent, is_reset

    @property
    def idle(self) -> bool:
        """Whether the connection waits for (the rest of) a request head."""
        return self._relay is None and self._waiter is not None and not self._waiter.done()

    # --- a visitor who does not read --------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._relay is not None:
            self._relay.hold_back()
        if self.transport is not None:
            self._untaken = _unsent(self.transport)
            self._write_deadline = self._loop.call_later(self._write_seconds, self._check_taken)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
        if self._relay is not None:
            self._relay.go_on()

    def _check_taken(self) -> None:
        self._write_deadline = None
        transport = self.transport
        if transport is None:
            return
        untaken = _unsent(transport)
        if untaken >= self._untaken:
            _log.debug("a visitor read nothing for %g s: connection closed", self._write_seconds)
            transport.abort()
            return
        self._untaken = untaken
        self._write_deadline = self._loop.call_later(self._write_seconds, self._check_taken)

    # --- the end ----------------------------------------------------------------------------

    def eof_received(self) -> bool | None:  # type: ignore[override]
        if self._payload_parser is None:
            return None  # aiohttp takes a half-closed connection for a closed one
        self._payload_parser.feed_eof()
        # A tunnel stays open for the other direction; TLS transports cannot do that.
        return self.ssl_context is None

    def connection_lost(self, exc: BaseException | None) -> None:
        for deadline in (self._head_deadline, self._write_deadline):
            if deadline is not None:
                deadline.cancel()
        self._head_deadline = self._write_deadline = None
        self._held = b""
        if self._relay is not None:
            self._relay.visitor_left()
        if self.taken_over is not None:
            self.taken_over.begun.drop()  # unless the full path has begun
        super().connection_lost(exc)

    def drain(self, *, close_idle: bool) -> None:
        """Close the connection if it is idle, else after its present response; a stream ends. One
        that is idle and may stay is closed after its next response.
        """
        self.draining = True
        if self.idle:
            if close_idle:
                self.force_close()
            return
        request = self._current_request
        end = None if request is None else request.get(ON_DRAIN)
        if end is not None:
            end()

    # --- what is said and logged ------------------------------------------------------------

    def log_access(
        self, request: web.BaseRequest, response: web.StreamResponse, time: float | None
    ) -> None:
        if self._access is not None and isinstance(request, ProxyRequest):
            self._access(request.accessed(response.status, self._loop.time()))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log and respond without aiohttp's messages, which quote the sender's bytes and name the
        parser.
        """
        if isinstance(exc, ConnectionResetError):
            # The visitor closed the connection while the response was written: no error.
            _log.info("request %s: the visitor disconnected", request.get(REQUEST_ID, ""))
        elif status >= 500:
            _log.error("request %s failed: %s", request.get(REQUEST_ID, ""), _where(exc))
        else:
            _log.info("malformed request (%s)", type(exc).__name__)
        drop_frames(exc)
        if request.writer.output_size > 0:
            transport = self.transport
            if transport is not None:
                transport.abort()
            raise ConnectionResetError("the answer had begun")
        if isinstance(exc, HttpProcessingError):
            status = _parse_status(exc)
        response = error_response(request, status, request.get(REQUEST_ID, ""))
        response.force_close()
        return response


def _where(exc: BaseException | None) -> str:
    """The exceptions of a chain and where each was raised, without their messages, which may quote
    a page.
    """
    lines: list[str] = []
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        lines += [type(exc).__name__, "".join(traceback.format_tb(exc.__traceback__)).rstrip()]
        exc = exc.__cause__ or exc.__context__
    return "\n".join(lines)


def reset_transport(transport: asyncio.Transport) -> None:
    """Reset a connection: its end cannot be taken for that of the response."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        # Closing with no time to linger sends a reset instead of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes on their way to the visitor: in our buffer and, on Linux, in the kernel's.

    The kernel accepts more from us only once a third of its own buffer, megabytes at times, is
    free; on a slow line that alone may last longer than the deadline.
    """
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sys.platform == "linux" and sock is not None:
        with contextlib.suppress(OSError):
            packed = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
            waiting += int.from_bytes(packed, sys.byteorder)
    return waiting


# In the excerpt of a parser's message. A line that is none of a request is a 400.
_UNKNOWN_METHOD = re.compile(r"b['\"][A-Z][A-Z-]* \S+ HTTP/1\.[01]['\"]")


def _parse_status(exc: HttpProcessingError) -> int:
    """The status for a request that aiohttp's parser rejects; aiohttp sends 400 for all of them."""
    if isinstance(exc, LineTooLong):
        line = exc.args[0]
        # Of what can be too long, only a request target begins with a slash.
        return 414 if line[:1] in (b"/", "/") else 431
    if "Too many headers" in exc.message:
        return 431
    if isinstance(exc, BadHttpMethod) and _UNKNOWN_METHOD.search(exc.message):
        return 501
    if isinstance(exc, BadStatusLine) and "Invalid HTTP version" in exc.message:
        return 505
    return 400


class FrontServer(web.Server):
    """The factory of `FrontConnection`s, which read `draining` from it."""

    def __init__(self, handler: Any, *, id_of: RequestIdOf, **kwargs: Any) -> None:
        super().__init__(
            handler,
            request_factory=self._request,
            # A closed connection cancels the upstream request too. Work that should go on (filling
            # a cache) belongs into a task of its own.
            handler_cancellation=True,
            id_of=id_of,
            **kwargs,
        )
        self._id_of = id_of
        self._draining = False

    def __call__(self, client: Client | None = None) -> FrontConnection:
        connection = FrontConnection(self, loop=self._loop, **self._kwargs)
        connection.draining = self._draining
        connection.client = client
        return connection

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> ProxyRequest:
        exact = ExactWriter(protocol, self._loop)
        if isinstance(protocol, FrontConnection) and protocol.client is not None:
            request = ProxyRequest(
                message, payload, protocol, exact, task, self._loop,
                scheme="https" if protocol.secure else "http", remote=protocol.client.address,
            )  # fmt: skip
        else:
            request = ProxyRequest(message, payload, protocol, exact, task, self._loop)
        if isinstance(protocol, FrontConnection):
            protocol.begins_request()
        taken_over = protocol.taken_over if isinstance(protocol, FrontConnection) else None
        if taken_over is not None and taken_over.message is message:
            request.started = taken_over.began
            request[REQUEST_ID], request[BEGUN] = taken_over.name, taken_over.begun
        else:
            request.started = self._loop.time()
            request[REQUEST_ID] = self._id_of(message.headers, request.remote or "")
        return request

    def drain(self, *, close_idle: bool) -> None:
        """Close connections after their present response; idle ones at once if `close_idle`."""
        self._draining = True
        for connection in self.connections:
            if isinstance(connection, FrontConnection):
                connection.drain(close_idle=close_idle)
