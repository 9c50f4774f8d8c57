"""Stream the upstream's body to the visitor in bounded memory."""

from __future__ import annotations

import logging

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict

from proxy.cache import OriginResponse
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.targets import requested_host
from proxy.server.connection import reset_transport
from proxy.upstream.body import BodySource
from proxy.upstream.errors import failure_kind
from proxy.upstream.request import StoppingError
from proxy.upstream.timeouts import DEFAULT_TIMEOUTS, Timeouts

_log = logging.getLogger("consent_proxy.responses")


async def stream(
    request: web.BaseRequest,
    origin: OriginResponse,
    headers: CIMultiDict[str],
    body: BodySource | None = None,
    *,
    already_read: bytes = b"",
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> web.StreamResponse:
    """Relay a response as it arrives, under `headers`, with `body` where it is not the origin's
    own; `already_read` is the part of the body that `read_body` took.

    When the upstream's connection breaks, the visitor's is reset: no client can take the part for
    the whole, not even one of HTTP/1.0, to which an orderly close means the end.
    """
    response = ProxyResponse(status=origin.status, reason=origin.reason, headers=headers)
    if body is None:
        body = origin.body
    promised = _promised(request, response.status, headers)
    sent = 0
    try:
        chunk = already_read or body.read_nowait()
        if chunk or body.at_eof():
            response.hold_headers()
        await _begin(request, response)
        while True:
            if chunk:
                sent += len(chunk)
                await _send(response, chunk)
            elif body.at_eof():
                break
            chunk = await body.readany()
        if promised is not None and sent != promised:
            raise aiohttp.ClientPayloadError(f"{promised} bytes were promised")
        await _end(response)
    except StoppingError:
        await _end_stopped(request, response)
    except DownstreamDisconnectedError as exc:
        _give_up(request, response, sent, f"the visitor {exc}", logging.DEBUG)
    except TimeoutError:
        what = f"{origin.upstream_name} fell silent for {timeouts.idle:g} s"
        _give_up(request, response, sent, what, logging.WARNING)
    except (aiohttp.ClientError, OSError) as exc:
        what = f"{origin.upstream_name} broke the connection ({failure_kind(exc)})"
        _give_up(request, response, sent, what, logging.WARNING)
    return response


class DownstreamDisconnectedError(Exception):
    """The visitor closed the connection."""


async def _begin(request: web.BaseRequest, response: web.StreamResponse) -> None:
    try:
        await response.prepare(request)
    except ConnectionError as exc:
        raise DownstreamDisconnectedError("disconnected before the response") from exc


async def _send(response: web.StreamResponse, chunk: bytes) -> None:
    # Waits when the visitor reads slowly; `proxy.server.connection` closes the connection of one
    # who reads nothing, for every kind of response.
    try:
        await response.write(chunk)
    except ConnectionError as exc:
        raise DownstreamDisconnectedError("disconnected") from exc


async def _end(response: web.StreamResponse) -> None:
    try:
        await response.write_eof()
    except ConnectionError as exc:
        raise DownstreamDisconnectedError("disconnected at the end") from exc


async def _end_stopped(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """End an event stream in good order: no client takes it for a whole of something."""
    response.force_close()
    try:
        await response.write_eof()
    except (ConnectionError, RuntimeError):  # the visitor left, or the head was not sent
        reset(request)


def _promised(request: web.BaseRequest, status: int, headers: CIMultiDict[str]) -> int | None:
    if request.method == hdrs.METH_HEAD or status in (204, 304):
        return None
    length = headers.get(hdrs.CONTENT_LENGTH, "")
    return int(length) if length.isascii() and length.isdigit() else None


def _give_up(
    request: web.BaseRequest, response: web.StreamResponse, sent: int, what: str, level: int
) -> None:
    _log.log(
        level,
        "%s for %s aborted after %d bytes of the body: %s",
        request.method,
        requested_host(request),
        sent,
        what,
    )
    reset(request)
    response.force_close()


def reset(request: web.BaseRequest) -> None:
    """Reset the visitor's connection, so that the response cannot be taken for complete."""
    if request.transport is not None:
        reset_transport(request.transport)
