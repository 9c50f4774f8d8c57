"""Which headers go through the proxy, and which stop here. Pure functions.

Header text is kept as aiohttp reads it: UTF-8, any other byte as a lone surrogate. `proxy.wire`
writes it back byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy, istr

from proxy.http.addresses import X_FORWARDED_FOR, parse_address
from proxy.http.targets import requested_host

PSEUDONYM = "consent-proxy"
_FORWARDED_PROTO = istr("X-Forwarded-Proto")
_FORWARDED_HOST = istr("X-Forwarded-Host")
_CDN_LOOP = istr("CDN-Loop")

# Hop-by-hop by RFC 9110 7.6.1, plus the two Proxy-* fields of old clients.
_HOP_BY_HOP = (
    hdrs.CONNECTION,
    istr("Proxy-Connection"),
    hdrs.KEEP_ALIVE,
    hdrs.PROXY_AUTHENTICATE,
    hdrs.PROXY_AUTHORIZATION,
    istr("TE"),
    istr("Trailer"),
    istr("Transfer-Encoding"),
    hdrs.UPGRADE,
)
_REQUEST_ONLY_HERE = (
    *_HOP_BY_HOP,
    hdrs.EXPECT,  # the proxy answers 100 itself, when it starts to read the body
    istr("HTTP2-Settings"),
)
_RESPONSE_ONLY_HERE = (
    *_HOP_BY_HOP,
    # Would send browsers past the proxy to the upstream's own HTTP/3 port (RFC 7838).
    istr("Alt-Svc"),
)

# What a peer that nobody vouches for may not tell the upstream about itself.
_TRUSTED_PEER_ONLY = (
    X_FORWARDED_FOR,
    _FORWARDED_PROTO,
    _FORWARDED_HOST,
    istr("X-Forwarded-Port"),
    istr("X-Forwarded-Prefix"),
    istr("X-Forwarded-Server"),
    istr("X-Forwarded-Ssl"),
    istr("Forwarded"),
    istr("X-Real-IP"),
    istr("X-Client-IP"),
    istr("X-Original-URL"),  # some frameworks route by these two: a way round path rules
    istr("X-Rewrite-URL"),
    istr("X-Original-Host"),
    istr("True-Client-IP"),
    istr("CF-Connecting-IP"),
)

# A message may name more hop-by-hop fields in Connection. Naming one of these is not a wish about
# the connection but an attack on whoever relies on the field ("hop-by-hop header abuse").
_NEVER_NOMINATED = frozenset(
    {
        "accept-encoding",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-security-policy",
        "content-type",
        "cookie",
        "date",
        "etag",
        "expires",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "origin",
        "pragma",
        "range",
        "referer",
        "sec-gpc",
        "set-cookie",
        "strict-transport-security",
        "vary",
        "via",
        "x-page-audience",
    }
)


def request_headers(
    request: web.BaseRequest,
    *,
    peer_is_trusted: bool,
    host: str | None = None,
    trusted_headers: Iterable[str] = (),
) -> CIMultiDict[str]:
    """The headers to send to the upstream.

    `host` replaces the Host that the visitor asked for. `vouched` names more fields, such as a
    country header, that only a trusted peer may set. Who sent what is told by Caddy's rules: an
    untrusted peer's X-Forwarded-* are replaced by what we see ourselves, a trusted peer's are kept
    and its address is appended.

    There is no `Via`: nginx (`gzip_proxied off`) and IIS stop compressing for requests that carry
    it, both by default. Loops are found by `CDN-Loop` (RFC 8586), which has no such effect.
    """
    incoming = request.headers
    headers = CIMultiDict(incoming)
    if hdrs.CONNECTION in incoming:
        _remove_nominated(headers, incoming.getall(hdrs.CONNECTION))
    for name in _REQUEST_ONLY_HERE:
        headers.popall(name, None)

    prior_for = incoming.getall(X_FORWARDED_FOR, ())
    if not peer_is_trusted:
        for name in _TRUSTED_PEER_ONLY:
            headers.popall(name, None)
        for extra in trusted_headers:
            headers.popall(extra, None)
    _remove_clones(headers, trusted_headers)

    asked_host = requested_host(request)
    peer = parse_address(request.remote or "")
    if peer_is_trusted:
        before = ", ".join(value for value in prior_for if value)
        if peer is not None:
            headers[X_FORWARDED_FOR] = f"{before}, {peer}" if before else str(peer)
        headers[_FORWARDED_PROTO] = _last(incoming, _FORWARDED_PROTO) or request.scheme
        headers[_FORWARDED_HOST] = _last(incoming, _FORWARDED_HOST) or asked_host
    elif peer is not None:
        headers[X_FORWARDED_FOR] = str(peer)
        headers[_FORWARDED_PROTO] = request.scheme
        headers[_FORWARDED_HOST] = asked_host

    headers[hdrs.HOST] = asked_host if host is None else host
    headers.add(_CDN_LOOP, PSEUDONYM)
    return headers


def response_headers(response: ClientResponse) -> CIMultiDict[str]:
    """The headers to send to the visitor: the upstream's end-to-end ones, in order, and `Via`."""
    headers = end_to_end(response.headers)
    version = response.version
    spoken = f"{version.major}.{version.minor}" if version else "1.1"
    headers.add(hdrs.VIA, f"{spoken} {PSEUDONYM}")
    return headers


def end_to_end(incoming: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """An upstream's headers without those that are for the connection to it."""
    headers = CIMultiDict(incoming)
    if hdrs.CONNECTION in incoming:
        _remove_nominated(headers, incoming.getall(hdrs.CONNECTION))
    for name in _RESPONSE_ONLY_HERE:
        headers.popall(name, None)
    return headers


def passes(headers: CIMultiDictProxy[str]) -> int:
    """How often this request has been through a consent-proxy already (RFC 8586)."""
    return sum(
        member.partition(";")[0].strip().lower() == PSEUDONYM
        for value in headers.getall(_CDN_LOOP, ())
        for member in value.split(",")
    )


def _last(headers: CIMultiDictProxy[str], name: str) -> str:
    return headers.getall(name, ("",))[-1]


def _remove_nominated(headers: CIMultiDict[str], values: Iterable[str]) -> None:
    for value in values:
        for token in value.split(","):
            name = token.strip().lower()
            if not name or name in _NEVER_NOMINATED or name.startswith("x-forwarded-"):
                continue
            headers.popall(name, None)


def _remove_clones(headers: CIMultiDict[str], trusted_headers: Iterable[str]) -> None:
    """Remove `X_Forwarded_For` and its like: CGI and WSGI cannot tell them from the real ones."""
    guarded = None
    for name in [name for name in headers if "_" in name]:
        if guarded is None:
            guarded = {
                *(known.lower() for known in _TRUSTED_PEER_ONLY),
                *map(str.lower, trusted_headers),
            }
            guarded |= _NEVER_NOMINATED
        if name.replace("_", "-").lower() in guarded:
            headers.popall(name, None)
