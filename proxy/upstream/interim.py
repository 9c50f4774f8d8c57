"""Relay the upstream's interim responses (1xx) to the visitor of the request.

A proxy forwards them (RFC 9110, 15.2). They are never stored, and only the visitor whose request
was sent upstream gets them.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11, RawResponseMessage
from multidict import CIMultiDict

from proxy.http.adapters.writer import head_of
from proxy.http.forwarding import end_to_end

OnInterim = Callable[[RawResponseMessage], None]

ON_INTERIM: web.RequestKey[OnInterim] = web.RequestKey("on_interim")
"""On a visitor's request: the callback for interim responses to it."""

_MAX_COUNT = 16  # for one request: limits an upstream that sends them without end
# Fields that apply to the final response only, or must not be sent before it.
_NOT_YET = (
    hdrs.SET_COOKIE, "Set-Cookie2", hdrs.CONTENT_LENGTH, hdrs.CONTENT_TYPE, hdrs.CONTENT_ENCODING,
)  # fmt: skip


def interim_relay(
    request: web.BaseRequest, enforce: Callable[[CIMultiDict[str]], object]
) -> OnInterim:
    """Send interim responses on to the visitor of a request. `enforce` applies the decision to
    their heads.
    """
    left = _MAX_COUNT

    def on_interim(message: RawResponseMessage) -> None:
        nonlocal left
        # The proxy sends no Expect and no Upgrade here: neither 100 nor 101 is for the visitor.
        if message.code in {HTTPStatus.CONTINUE, HTTPStatus.SWITCHING_PROTOCOLS} or not left:
            return
        transport = request.transport
        # Once the final response has begun, or the visitor has left, the bytes would be part of
        # another one.
        if transport is None or transport.is_closing() or request.writer.output_size:
            return
        if request.version < HttpVersion11:
            return
        left -= 1
        headers = end_to_end(message.headers)
        for name in _NOT_YET:
            headers.popall(name, None)
        enforce(headers)
        if message.code == HTTPStatus.EARLY_HINTS and not headers:
            return
        transport.write(_block(message, headers))

    return on_interim


def _block(message: RawResponseMessage, headers: CIMultiDict[str]) -> bytes:
    try:
        return head_of(f"HTTP/1.1 {message.code} {message.reason}".rstrip(), headers)
    except ValueError:
        return b""  # a control character; the final response is rejected for one
