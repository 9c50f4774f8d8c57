"""A connection to an upstream: where each response on it begins and ends (RFC 9112, 6.3).

A body that breaks off fails its reader, whatever its framing. Bytes behind a response are dropped,
and the connection is closed after it: they would be taken for the response to the next request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from math import inf
from typing import Any, Protocol

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpResponseParser, RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.tracebacks import drop_frames

MAX_HEAD = 256 * 1024
"""Bytes of one response's head."""
MAX_INTERIM = 32
"""Interim responses (1xx) to one request."""

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[^\n]*\n")
_TRAILER = re.compile(rb"([^\r\n]*)\r?\n")


class HeadTooLargeError(HttpProcessingError):
    """A response's head is longer than MAX_HEAD."""


class TooManyInterimResponsesError(HttpProcessingError):
    """There were more than MAX_INTERIM of them, and no final response."""


class Receiver(Protocol):
    """What takes a response's bytes in place of the parser."""

    def received(self, data: bytes) -> None: ...
    def lost(self, exc: BaseException | None) -> None:
        """The connection ended; `exc` is None where in good order."""

    def silent(self) -> None:
        """Nothing came for as long as it was waited for."""


class UpstreamConnection(ResponseHandler):
    """aiohttp's protocol, but for the ends of responses.

    `due` is whether the head of a final response is awaited; `on_excess` is called when bytes
    arrive that belong to no response.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.served_before = False
        self.on_excess: Callable[[], None] | None = None
        self._due = False
        self._head = b""
        self._interim = 0
        self._message: RawResponseMessage | None = None
        self._limits: dict[str, Any] = {}
        self._ended_in_order = False
        self._silent_until = inf
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf
        self._receiver: Receiver | None = None

    def give_to(self, receiver: Receiver, first_byte: float) -> None:
        """Give the bytes of the next response to a receiver, of which there may be none for
        `first_byte` seconds.
        """
        self._receiver, self._read_timeout = receiver, first_byte
        self._reschedule_timeout()

    def end_giving(self) -> None:
        """The receiver has all that it takes."""
        self._receiver = None
        self._drop_timeout()

    def hold_back(self) -> None:
        """Read nothing until `go_on`: the receiver cannot take more."""
        self._pause_transport_reading()
        self._drop_timeout()

    def go_on(self) -> None:
        self._resume_transport_reading()
        self._reschedule_timeout()

    def expect_response(
        self, *, has_body: bool, first_byte: float, buffer: int, limits: dict[str, Any]
    ) -> None:
        """Read the next response. `limits` are those of aiohttp's parser."""
        self._due, self._head, self._interim = True, b"", 0
        self._limits = limits
        self.set_response_params(
            skip_payload=not has_body,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=first_byte,
            read_bufsize=buffer,
            **limits,
        )

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is not None:
            self._reschedule_timeout()
            receiver.received(data)
            return
        payload = self._payload
        if self._due:
            self._head += data
            if len(self._head) > MAX_HEAD:
                self._fail(HeadTooLargeError())
                return
        elif data and not self._upgraded and (payload is None or payload.is_eof()):
            self.drop_excess()
            return
        super().data_received(data)
        if self._due or self._upgraded or self._parser is None:
            return
        payload = self._payload
        # The parser says whether it is inside another response.
        if payload is not None and payload.is_eof() and self._parser.feed_eof() is not None:
            self.drop_excess()

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        message = data[0]
        if not self._due:
            self.drop_excess()
            return
        if 100 <= message.code < 200 and message.code != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._fail(TooManyInterimResponsesError())
                return
            end = _END_OF_HEAD.search(self._head)
            self._head = b"" if end is None else self._head[end.end() :]
        else:
            self._due, self._head, self._message = False, b"", message
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        for parsers_own in cause:
            drop_frames(parsers_own)  # among them the one that named `exc`
        # One feed of aiohttp's parser gives all or nothing: a response is lost with what is behind
        # it in the same packet.
        if self._due and isinstance(exc, HttpProcessingError) and self._recover_response():
            self.drop_excess()
            return
        super().set_exception(exc, *cause)

    def eof_received(self) -> None:
        self._ended_in_order = True
        super().eof_received()

    # --- a silent upstream ------------------------------------------------------------------

    # aiohttp makes a timer each time bytes are due and cancels it when they come, some three for a
    # response. Here the time is noted, and one timer looks at it: it is made when there is none,
    # and again only where it went off too early.

    def _reschedule_timeout(self) -> None:
        seconds = self._read_timeout
        if not seconds:
            self._silent_until = inf
            return
        until = self._silent_until = self._loop.time() + seconds
        if until < self._alarm_at:
            self._set_alarm(until)

    def _drop_timeout(self) -> None:
        self._silent_until = inf

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._loop.call_at(at, self._went_off), at

    def _went_off(self) -> None:
        self._alarm, self._alarm_at = None, inf
        if self._silent_until <= self._loop.time():
            self._on_read_timeout()
        elif self._silent_until < inf:
            self._set_alarm(self._silent_until)

    def _on_read_timeout(self) -> None:
        if self._receiver is not None:
            self._receiver.silent()
            if not self._due:
                return  # else the response is read in full from here on
        super()._on_read_timeout()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp's reader calls it for each piece that is read, and at the end.
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    # --- the end of the connection ----------------------------------------------------------

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._receiver is not None:
            self._receiver.lost(exc)
        payload = self._payload
        if payload is not None and not payload.is_eof() and self._ends_with_connection():
            failure = exc or self._missing_close_notify()
            if failure is not None:
                self._parser = None  # to which any end of the connection is the end of the body
                if payload.exception() is None:
                    error = aiohttp.ClientPayloadError("the connection ended before the body")
                    error.__cause__ = failure
                    payload.set_exception(error, failure)
        super().connection_lost(exc)
        closed = self.closed
        if closed is not None and closed.done() and not closed.cancelled():
            closed.exception()  # seen: asyncio would log that of a connection that nobody watches

    def _ends_with_connection(self) -> bool:
        message = self._message
        return (
            message is not None
            and not message.chunked
            and hdrs.CONTENT_LENGTH not in message.headers
        )

    def _missing_close_notify(self) -> OSError | None:
        """The failure of a TLS connection that the upstream did not end (RFC 9112, 9.8)."""
        transport = self.transport
        if (
            self._ended_in_order
            or transport is None
            or transport.get_extra_info("ssl_object") is None
        ):
            return None
        return OSError(0, "TLS ended without a close_notify")

    def drop_excess(self) -> None:
        """Close the connection: bytes came behind the response."""
        self._should_close = True
        if self.transport is not None:
            self.transport.close()
        if self.on_excess is not None:
            self.on_excess()

    def _fail(self, error: HttpProcessingError) -> None:
        self._due = False
        if self.transport is not None:
            self.transport.close()
        self.set_exception(error)

    def _recover_response(self) -> bool:
        """Read the response at the beginning of the bytes so far. False where it is not whole, or
        malformed itself.
        """
        data, at = self._head, 0
        parser = self._parser = HttpResponseParser(
            self,
            self._loop,
            self._read_bufsize,
            payload_exception=aiohttp.ClientPayloadError,
            response_with_body=not self._skip_payload,
            read_until_eof=True,
            auto_decompress=False,
            **self._limits,
        )
        try:
            while self._due:
                end = _END_OF_HEAD.search(data, at)
                messages = () if end is None else parser.feed_data(data[at : end.end()])[0]
                if end is None or not messages:
                    return False
                at = end.end()
                message, payload = messages[0]
                if not (payload.is_eof() or 100 <= message.code < 200):
                    end_of_body = _end_of_body(message, data, at)
                    parser.feed_data(data[at:end_of_body])
                    if not payload.is_eof():
                        return False
                bodiless = self._skip_payload or payload.at_eof()
                self.feed_data((message, EMPTY_PAYLOAD if bodiless else payload))
        except (HttpProcessingError, ValueError):
            return False
        return True


def _end_of_body(message: RawResponseMessage, data: bytes, at: int) -> int:
    """Where the body that begins at `at` ends. Raises ValueError where that is not in `data`."""
    if not message.chunked:
        return at + int(message.headers.get(hdrs.CONTENT_LENGTH, len(data)))
    while size := _CHUNK_SIZE.match(data, at):
        length = int(size[1], 16)
        if length > len(data):
            break
        at = size.end() + length
        if not length:
            while trailer := _TRAILER.match(data, at):
                at = trailer.end()
                if not trailer[1]:
                    return at
            break
        line_end = _TRAILER.match(data, at)
        if line_end is None:
            break
        at = line_end.end()
    raise ValueError("the body does not end in these bytes")
