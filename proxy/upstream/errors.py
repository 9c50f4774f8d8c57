"""Upstream failures: status and reason."""

from __future__ import annotations

import errno
import re

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from proxy.http.targets import requested_host
from proxy.upstream.exchange import MalformedResponseError, UnansweredError
from proxy.upstream.server import Server
from proxy.upstream.slots import BusyError
from proxy.upstream.timeouts import Timeouts


class UpstreamError(Exception):
    """There is no upstream response. `status` is for the visitor, `reason` only for the log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def failure_kind(exc: BaseException) -> str:
    """The kind of an exception, for logs, without its message.

    The messages of aiohttp's exceptions quote the bytes that could not be read: they may be part of
    a page, or of another visitor's header. Its parser's own words before them are constants.
    """
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    cause = exc.__cause__
    if isinstance(cause, HttpProcessingError | OSError) and not isinstance(exc, OSError):
        return failure_kind(cause)
    match = _PARSER_WORDS.search(str(exc))
    return match[1] if match is not None else type(exc).__name__


# Of "Bad status line:\n  Expected HTTP/:\n\n  b'...'" the last words before the quoted bytes.
_PARSER_WORDS = re.compile(
    r"(?:\A|\n)(?:\d{3}, message:)?\s*([A-Za-z][A-Za-z0-9 ,.'`/-]{0,80}):\n\n"
)


def explain_error(
    exc: Exception, request: web.BaseRequest, server: Server, timeouts: Timeouts, *, stalled: bool
) -> UpstreamError:
    """What failed, where, and what to check, for the operator's log."""
    if stalled:
        return UpstreamError(
            504, f"{server} read none of the request's body for {timeouts.write:g} s"
        )
    match exc:
        case BusyError():
            return UpstreamError(
                503,
                f"all connections to {server} were in use for {timeouts.queue:g} s, or its queue "
                f"is full ({exc}): look at its own log for slow requests, or raise "
                "upstream_connections of [proxy]",
            )
        case aiohttp.ConnectionTimeoutError():
            return UpstreamError(
                504,
                f"no connection to {server} within {timeouts.connect:g} s: check that it is up and "
                "not overloaded",
            )
        case aiohttp.ServerTimeoutError():
            return UpstreamError(
                504,
                f"{server} sent no response head within {timeouts.first_byte:g} s: "
                "look at its own log for a slow request",
            )
        case aiohttp.ClientConnectorCertificateError():
            return UpstreamError(
                502,
                f"{server} has a certificate that is not valid for its name "
                f"({exc.certificate_error}): fix it, or name the upstream as it is certified; "
                "server_name and ca of [site.upstream_tls] are for another name and an authority "
                "of your own",
            )
        case aiohttp.ClientConnectorSSLError():
            return UpstreamError(
                502, f"{server} failed the TLS handshake: {exc.os_error}{_tls_advice(exc.os_error)}"
            )
        case aiohttp.ClientConnectorDNSError():
            return UpstreamError(502, f"the name of {server} cannot be resolved: {exc.os_error}")
        case aiohttp.ClientConnectorError() if exc.os_error.errno == errno.EADDRNOTAVAIL:
            return UpstreamError(
                502,
                f"no local port is free for a connection to {server}: too many were opened in the "
                "last minute; let it keep connections alive, or widen "
                "net.ipv4.ip_local_port_range",
            )
        case aiohttp.ClientConnectorError() if server.url.scheme == "https" and isinstance(
            exc.os_error, ConnectionResetError
        ):
            return UpstreamError(
                502,
                f"{server} closed the connection in the TLS handshake: perhaps it offers only "
                "versions before TLS 1.2 (enable TLS 1.2 or 1.3 there), or asks for a certificate "
                "(certificate of [site.upstream_tls])",
            )
        case aiohttp.ClientConnectorError():
            return UpstreamError(
                502, f"cannot connect to {server} ({exc.os_error}): check that it is running"
            )
        case MalformedResponseError():
            return UpstreamError(502, f"{server} sent a malformed response ({failure_kind(exc)})")
        case UnansweredError():
            return UpstreamError(
                502,
                f"{server} closed the connection before its response ({failure_kind(exc)}): "
                f"see its own log{_ASKS_CERTIFICATE if server.url.scheme == 'https' else ''}",
            )
        case ValueError():
            return UpstreamError(
                400,
                f"the request for host {requested_host(request)!r} cannot be forwarded: its target "
                "or a header field has characters that HTTP does not allow",
            )
    return UpstreamError(502, f"the request to {server} failed ({failure_kind(exc)})")


_ASKS_CERTIFICATE = (
    "; perhaps it asks for a certificate, which certificate of [site.upstream_tls] is for"
)


def _tls_advice(error: OSError) -> str:
    reason = getattr(error, "reason", None) or str(error)
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason:
        return " (does it speak TLS at this port at all? If not, write http://)"
    if "UNSUPPORTED_PROTOCOL" in reason or "PROTOCOL_VERSION" in reason:
        return " (it offers only versions before TLS 1.2: enable TLS 1.2 or 1.3 there)"
    return ""
