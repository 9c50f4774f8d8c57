"""The pool of upstream connections."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession
from aiohttp import http_parser as _parsers

from proxy.http.adapters.client_request import ExactRequest, NotSentError
from proxy.http.adapters.interim_connector import InterimConnector

READ_BUFFER = 64 * 1024


def open_session(
    *,
    connections: int = 256,
    max_line: int = 32 * 1024,
    max_field: int = 64 * 1024,
    max_fields: int = 400,
    verify_tls: bool = True,
) -> ClientSession:
    """A pool of connections to upstreams; call inside a running loop, close it at the end.

    `connections` limits those to one upstream, so that a slow one cannot take all; 0 is without
    limit, for tunnels, which hold a connection for hours. The limits on responses are wider than
    those on requests: an upstream that sets large cookies must still get through.
    """
    _require_c_parser()
    connector = InterimConnector(
        limit=0,
        limit_per_host=connections,
        # Node and uvicorn close an idle connection after 5 s. Ours must be the shorter time, or
        # requests are sent on connections that are being closed.
        keepalive_timeout=4.0,
        ttl_dns_cache=30,
        ssl=verify_tls,
        socket_factory=_upstream_socket,
    )
    return ClientSession(
        connector=connector,
        # a real one would send one visitor's cookies with another's request
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        raise_for_status=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        request_class=ExactRequest,
        middlewares=(_retry,),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=READ_BUFFER,
        max_line_size=max_line,
        max_field_size=max_field,
        max_headers=max_fields,
    )


def _require_c_parser() -> None:
    if _parsers.HttpRequestParser is _parsers.HttpRequestParserPy:
        raise RuntimeError(
            "aiohttp runs on its pure Python HTTP parser, which is slow and has had request "
            "smuggling faults of its own. Install a wheel of aiohttp with extensions and unset "
            "AIOHTTP_NO_EXTENSIONS."
        )


def _upstream_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket with TCP keep-alive, to detect a dead peer: event streams and tunnels have no read
    deadline.
    """
    family, kind, protocol, _, _ = info
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock


class Unanswered(aiohttp.ClientError):
    """The connection ended before the response; a class that aiohttp does not retry, for it would
    resend even a PUT.
    """

    def __init__(self, cause: BaseException, *, reused: bool) -> None:
        super().__init__(str(cause))
        self.reused = reused


async def _retry(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Resend only what the upstream cannot have acted on.

    That is a request whose connection could not be made (once, after a pause: an upstream that
    restarts) or was found unusable before it was written to, and a GET or HEAD without a body on a
    reused connection that was just being closed.
    """
    assert isinstance(request, ExactRequest)
    refused = stale = 0
    while True:
        try:
            return await send(request)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise
        except aiohttp.ClientConnectorError:
            refused += 1
            if refused > 1:
                raise
            await asyncio.sleep(0.25)
        except (
            aiohttp.ClientOSError,
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientConnectionResetError,
        ) as cause:
            unseen = isinstance(cause, NotSentError)
            repeatable = request.method in ("GET", "HEAD") and not request.body
            stale += 1
            if not (unseen or (repeatable and request.reused)) or stale > 3:
                raise Unanswered(cause, reused=request.reused) from cause
