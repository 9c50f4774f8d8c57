"""Validate requests before anything else reads them: framing, Host, target.

aiohttp's parser accepts some that two servers in a row may read differently (the cause of request
smuggling), and some that a reverse proxy has no response for.
"""

from __future__ import annotations

import re

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11

from proxy.http.forwarding import is_loop
from proxy.http.targets import requested_host, split_target

# RFC 3986 3.2.2 without the sub-delimiters, which no host name in use has; an optional port.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~%-]+)(?::[0-9]{0,5})?")


def rejection_status(request: web.BaseRequest) -> int | None:
    """The status of an immediate response, or None for a valid request.

    204 is for `OPTIONS *`, which is about this server itself (RFC 9110 9.3.7).
    """
    headers = request.headers
    version = request.version
    if version.major == 0:
        return 400  # HTTP/0.9, or a request line that lacks its version
    if version > HttpVersion11:
        return 505
    if request.method == hdrs.METH_CONNECT:
        return 405
    # TRACE would echo the visitor's cookies to a script.
    if request.method == hdrs.METH_TRACE:
        return 405

    coding = headers.get(hdrs.TRANSFER_ENCODING)
    if coding is not None:
        # An HTTP/1.0 peer does not know chunks: RFC 9112 6.1 calls the message's framing faulty.
        if version < HttpVersion11:
            return 400
        if coding.strip().lower() != "chunked":
            return 501

    raw = request.raw_path
    if raw == "*":
        return 204
    if "#" in raw:
        return 400
    if not raw.startswith("/") and split_target(raw).scheme not in ("http", "https"):
        return 400

    host = requested_host(request)
    if not host and version < HttpVersion11:
        host = "none"  # HTTP/1.0 may leave it out
    if not _HOST.fullmatch(host):
        return 400
    if not raw.startswith("/") and hdrs.HOST in headers and not _HOST.fullmatch(headers[hdrs.HOST]):
        return 400

    expect = headers.get(hdrs.EXPECT)
    if expect is not None and expect.lower() != "100-continue":
        return 417
    # Before anything can wait for the answer: it would wait for itself.
    if is_loop(headers):
        return 508
    return None
