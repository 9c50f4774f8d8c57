"""What the operator reads of an upstream's failure: where, what, and what to do."""

from __future__ import annotations

import errno
import ssl
from typing import cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey

from proxy.upstream.errors import explain_error
from proxy.upstream.exchange import MalformedResponseError, UnansweredError
from proxy.upstream.server import server_at
from proxy.upstream.slots import BusyError
from proxy.upstream.timeouts import Timeouts

KEY = cast(ConnectionKey, type("Key", (), {"host": "h", "port": 1, "ssl": True, "is_ssl": False})())
TIMEOUTS = Timeouts(connect=2, queue=3, first_byte=4, write=5)


def cannot(number: int) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, OSError(number, "why"))


def ssl_error(reason: str) -> aiohttp.ClientConnectorSSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] what")
    error.reason = reason
    return aiohttp.ClientConnectorSSLError(KEY, error)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (cannot(errno.ECONNREFUSED), 502, "check that it is running"),
        (cannot(errno.EADDRNOTAVAIL), 502, "no local port is free"),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")),
            502,
            "cannot be resolved",
        ),
        (aiohttp.ConnectionTimeoutError(), 504, "no connection to http://10.0.0.1 within 2 s"),
        (aiohttp.ServerTimeoutError(), 504, "no response head within 4 s"),
        (BusyError("full"), 503, "raise upstream_connections"),
        (ssl_error("WRONG_VERSION_NUMBER"), 502, "If not, write http://"),
        (ssl_error("UNSUPPORTED_PROTOCOL"), 502, "enable TLS 1.2 or 1.3 there"),
        (MalformedResponseError("BadStatusLine"), 502, "sent a malformed response"),
        (UnansweredError(""), 502, "closed the connection before its response"),
        (ValueError("a control"), 400, "has characters that HTTP does not allow"),
        (aiohttp.ClientPayloadError(""), 502, "the request to http://10.0.0.1 failed"),
    ],
)
def test_what_is_said(error: Exception, status: int, said: str) -> None:
    request = cast(web.BaseRequest, type("R", (), {"headers": {"Host": "a"}, "raw_path": "/"})())
    found = explain_error(error, request, server_at("http://10.0.0.1"), TIMEOUTS, stalled=False)
    assert found.status == status
    assert said in found.reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            aiohttp.ClientConnectorError(KEY, ConnectionResetError(104, "reset")),
            "perhaps it offers only versions before TLS 1.2",
        ),
        (UnansweredError(""), "perhaps it asks for a certificate"),
    ],
)
def test_what_is_said_of_tls(error: Exception, said: str) -> None:
    request = cast(web.BaseRequest, type("R", (), {"headers": {"Host": "a"}, "raw_path": "/"})())
    found = explain_error(error, request, server_at("https://10.0.0.1"), TIMEOUTS, stalled=False)
    assert said in found.reason


def test_a_body_that_is_not_read() -> None:
    request = cast(web.BaseRequest, None)
    server = server_at("http://10.0.0.1")
    found = explain_error(TimeoutError(), request, server, TIMEOUTS, stalled=True)
    assert (found.status, "read none of the request's body for 5 s" in found.reason) == (504, True)
