"""aiohttp's request parser, with what one feed of it loses.

It gives all requests of a packet or, where one is malformed, none; it bounds each header field, not
the head; and the reader of a malformed body waits for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from aiohttp import hdrs, web
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

Message = tuple[RawRequestMessage, StreamReader]
Parsed = tuple[Sequence[Message], bool, bytes]

_NOTHING: Parsed = ((), False, b"")
_END_OF_HEAD = b"\r\n\r\n"
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[^\r\n]*\r\n")
_BLANK_LINES = re.compile(rb"[\r\n]+")


class RequestParser:
    """In place of aiohttp's parser on a visitor's connection.

    `make` makes one of aiohttp's. `answer` is called for a request alone, with nothing behind it,
    and its bytes (b"" where they came in pieces): one that it responds to is not seen by the
    caller. `error` is that of the bytes behind the requests that were returned last: it is raised
    by the next feed.
    """

    def __init__(
        self,
        make: Callable[[], HttpRequestParser],
        max_head: int,
        answer: Callable[[RawRequestMessage, bytes], bool] | None,
    ) -> None:
        self._make = make
        self._max_head = max_head
        self._answer = answer
        self._begun = b""
        """The head that is not complete yet."""
        self._last: Message | None = None
        self._ended = False
        self.error: HttpProcessingError | None = None
        self._use(make())

    def _use(self, parser: HttpRequestParser) -> None:
        self._parser = parser
        self.message_consumed = parser.message_consumed
        self.set_upgraded = parser.set_upgraded
        self.pause_reading = parser.pause_reading
        self.feed_eof = parser.feed_eof

    @property
    def at_head(self) -> bool:
        """Whether the next byte is the first of a request."""
        return not self._begun and self._last is None and not self._ended

    def feed_data(self, data: bytes) -> Parsed:
        """Raises HttpProcessingError."""
        if self._ended:
            return self._rest()
        if self._last is not None and not self._last[1].is_eof():
            parsed, data = self._feed_body(self._last, data)
            if not data:
                return parsed
        try:
            messages, upgraded, tail = self._parser.feed_data(data)
            if len(self._begun) + len(data) > self._max_head:
                self._bound_head(messages)
            if messages and messages[-1][0].upgrade and not upgraded:
                self._refuse_rest(messages, self._begun + data)
        except HttpProcessingError as error:
            self._ended = True
            if recovered := self._recover(self._begun + data, error):
                return recovered, False, b""
            raise
        if not messages:
            self._begun += data
            return messages, upgraded, tail
        head, body = messages[-1]
        self._last = None if body is EMPTY_PAYLOAD else (head, body)
        if len(messages) == 1 and not upgraded and data.endswith(_END_OF_HEAD):
            whole, self._begun = b"" if self._begun else data, b""
            if self._last is None and self._answer is not None and self._answer(head, whole):
                self.message_consumed()
                return _NOTHING
            return messages, upgraded, tail
        whole, self._begun = self._begun + data, b""
        if body.is_eof():
            self._begun = _behind(messages, whole)
        return messages, upgraded, tail

    def _feed_body(self, last: Message, data: bytes) -> tuple[Parsed, bytes]:
        """Feed the body of the last request until it ends; the bytes behind it."""
        body, at, parsed = last[1], 0, _NOTHING
        try:
            for end in _possible_ends(last, data):
                parsed = self._parser.feed_data(data[at:end])
                at = end
                if parsed[0]:  # they had waited in the parser
                    self._last = parsed[0][-1]
                if body.is_eof():
                    break
        except HttpProcessingError:
            self._ended = True
            fail_body(body)
            raise
        return parsed, data[at:]

    def _rest(self) -> Parsed:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return _NOTHING

    def _bound_head(self, messages: Sequence[Message]) -> None:
        for message, _ in messages:
            head = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
            if head + len(message.path) > self._max_head:
                raise BadHttpMessage("Too many headers received")
        if not messages:
            raise BadHttpMessage("Too many headers received")

    def _refuse_rest(self, messages: Sequence[Message], data: bytes) -> None:
        """aiohttp drops what arrives in a packet behind a request for an upgrade that it does not
        know: the requests there are to be found anew, or the next response would be taken for
        theirs.
        """
        if messages[-1][1].is_eof() and _behind(messages, data):
            raise BadHttpMessage("Too many requests behind one for an upgrade")

    def _recover(self, data: bytes, error: HttpProcessingError) -> list[Message]:
        """The requests before the malformed bytes, whose error is kept.

        A target may have bytes beyond ASCII, as browsers of old and scripts send them: they are
        percent-encoded, and no error.
        """
        self._use(self._make())
        self.error = error
        found: list[Message] = []
        at = 0
        is_sound = False
        try:
            while not (found and found[-1][0].should_close):
                at = _past_blank_lines(data, at)
                end = data.find(_END_OF_HEAD, at) + 4
                if (end if end > 3 else len(data)) - at > self._max_head:
                    break
                if end < 4:
                    self._parser.feed_data(data[at:])
                    is_sound = True
                    break
                messages = self._parser.feed_data(_ascii_line(data[at:end]))[0]
                if not messages:
                    break
                found.append(messages[0])
                at = end
                message, body = messages[0]
                if not body.is_eof():
                    at = _end_of_body(message, data, at)
                    self._parser.feed_data(data[end:at])
                    if not body.is_eof():
                        is_sound = True  # the rest is still to come
                        break
            else:  # what is behind the last request of a connection is not read
                self.error = None
                return found
        except HttpProcessingError as again:
            self.error = again
            if found and not found[-1][1].is_eof():
                fail_body(found[-1][1])
        if is_sound or not found:  # without one the caller raises it
            self.error = None
        if is_sound and found:
            self._ended, self._last, self._begun = False, found[-1], data[at:]
        return found


def _ascii_line(head: bytes) -> bytes:
    """A head whose first line has its bytes beyond ASCII percent-encoded (RFC 3986, 2.1)."""
    line, end, rest = head.partition(b"\r\n")
    if line.isascii():
        return head
    return _BEYOND_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line) + end + rest


def _possible_ends(message: Message, data: bytes) -> Iterator[int]:
    """Where in `data` a body that has begun may end: by its length, or behind an empty line."""
    head, body = message
    if head.chunked:
        for begun in (b"\n", b"\r\n", b"\n\r\n"):  # of an empty line in two packets
            if data.startswith(begun):
                yield len(begun)
        at = 0
        while (at := data.find(_END_OF_HEAD, at) + 4) > 3:
            yield at
    else:
        length = int(head.headers.get(hdrs.CONTENT_LENGTH, 0))
        yield min(max(length - body.total_bytes, 0), len(data))
    yield len(data)


def fail_body(body: StreamReader) -> None:
    """End a body that is malformed: its reader gets an error, and nobody waits for the rest."""
    if body.exception() is None:
        body.set_exception(web.RequestPayloadError("the framing is broken"))
    body.feed_eof()


def _behind(messages: Sequence[Message], data: bytes) -> bytes:
    """The bytes behind complete requests."""
    at = 0
    for message, body in messages:
        at = data.find(_END_OF_HEAD, _past_blank_lines(data, at)) + 4
        if body is not EMPTY_PAYLOAD:
            at = _end_of_body(message, data, at)
    return data[at:]


def _past_blank_lines(data: bytes, at: int) -> int:
    """Where the request begins behind empty lines (RFC 9112, 2.2)."""
    blank = _BLANK_LINES.match(data, at)
    return at if blank is None else blank.end()


def _end_of_body(message: RawRequestMessage, data: bytes, at: int) -> int:
    """Where the body that begins at `at` ends; the end of `data` where it does not end in it."""
    if not message.chunked:
        return min(at + int(message.headers.get(hdrs.CONTENT_LENGTH, 0)), len(data))
    while size := _CHUNK_SIZE.match(data, at):
        length = int(size[1], 16)
        if length > len(data):
            break
        if not length:
            end = data.find(_END_OF_HEAD, size.end() - 2)
            return len(data) if end < 0 else end + 4
        at = size.end() + length + 2
    return len(data)
