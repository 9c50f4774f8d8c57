"""Writers that preserve header bytes, in both directions.

aiohttp reads a header value as UTF-8 and keeps every other byte as a lone surrogate
(`surrogateescape`), but its own writer then drops those surrogates without a word: the Latin-1
name in an old `Content-Disposition` or `Location` would arrive shortened. Everything here writes
them back as the byte they came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiohttp import hdrs, web
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

# What no header line may hold (RFC 9110 5.5): all controls but the tab.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def has_control(values: Iterable[str]) -> bool:
    """Whether one of these header values holds a control character, which aiohttp reads but cannot
    write.
    """
    # Text that is printable has no controls; that is known faster.
    text = "".join(values)
    return not text.isprintable() and _CONTROLS.search(text) is not None


def head_of(first_line: str, headers: CIMultiDict[str]) -> bytes:
    """The head of a message as bytes. Raises ValueError where a line holds a control character."""
    lines = [first_line, *map(": ".join, headers.items())]
    # Text that is printable has no controls; that is known faster.
    if not "".join(lines).isprintable():
        for line in lines:
            if _CONTROLS.search(line):
                raise ValueError(
                    f"a control character in a header line: {line.partition(':')[0]!r}"
                )
    lines.append("\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class ExactWriter(StreamWriter):
    """aiohttp's writer, except that bytes which are not UTF-8 are written as they were read."""

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        if status_line.isascii() and all(map(str.isascii, headers.values())):
            await super().write_headers(status_line, headers)  # the C serialiser
            return
        self._headers_buf = head_of(status_line, headers)
        self._headers_written = False


class ProxyResponse(web.StreamResponse):
    """A response with the upstream's headers: no Content-Type is added, for a guessed
    `application/octet-stream` would turn a page that browsers sniff into a download. `sent` is the
    body, where it was sent as a whole.
    """

    sent = b""

    async def send(self, request: web.BaseRequest, body: bytes) -> ProxyResponse:
        """Send the whole response."""
        self.sent = body
        if body:
            self.hold_headers()
        await self.prepare(request)
        if body:
            await self.write(body)
        await self.write_eof()
        return self

    async def _prepare_headers(self) -> None:
        untyped = hdrs.CONTENT_TYPE not in self.headers
        await super()._prepare_headers()
        if untyped:
            self.headers.popall(hdrs.CONTENT_TYPE, None)

    def hold_headers(self) -> None:
        """Send the head together with the first bytes of the body: one packet, one system call."""
        self._send_headers_immediately = False


class WrittenResponse(web.StreamResponse):
    """A response whose bytes are made already: `send` writes them as they are."""

    async def send(self, request: web.BaseRequest, head: bytes, body: bytes) -> WrittenResponse:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the visitor disconnected")
        writer = request.writer
        transport.writelines((head, body) if body else (head,))
        writer.output_size += len(head) + len(body)
        self._keep_alive = self._eof_sent = True
        await writer.drain()
        return self
