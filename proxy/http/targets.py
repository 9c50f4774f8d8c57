"""Request targets and the host they name (RFC 9112, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import hdrs, web


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """A request target (RFC 9112 3.2): `authority` is "" unless the target is a whole URL."""

    scheme: str
    authority: str
    path: str


def split_target(raw: str) -> RequestTarget:
    """Split the target of a request line; `path` keeps every byte, query included.

    `*` and the `host:port` of CONNECT come back as the path.
    """
    if raw.startswith("/") or "://" not in raw:
        return RequestTarget("", "", raw)
    scheme, _, rest = raw.partition("://")
    cut = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    path = rest[cut:]
    if not path.startswith("/"):
        path = "/" + path
    return RequestTarget(scheme.lower(), rest[:cut], path)


def requested_host(request: web.BaseRequest) -> str:
    """The host (and port) of a request; "" when an HTTP/1.0 client names none.

    A whole URL in the request line wins over the Host header (RFC 9112 3.2.2).
    """
    raw = request.raw_path
    if raw[:1] != "/":
        authority = split_target(raw).authority
        if authority:
            return authority
    return request.headers.get(hdrs.HOST, "")
