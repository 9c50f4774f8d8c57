"""Forwarding rules of header fields: hop-by-hop, X-Forwarded-*, Via (RFC 9110, 7.6). Pure.

Header text is kept as aiohttp reads it: UTF-8, any other byte as a lone surrogate.
`proxy.http.adapters.writer` writes it back byte for byte.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion, HttpVersion11
from multidict import CIMultiDict, CIMultiDictProxy, istr

from proxy.http.access_record import REQUEST_ID
from proxy.http.addresses import X_FORWARDED_FOR, address_text, parse_address
from proxy.http.field_names import FieldNames
from proxy.http.media_types import send_one_type
from proxy.http.request_fields import BROWSER, CLIENT_ADDRESS, IDENTITY, OWN, REWRITING, TRACING
from proxy.http.request_id import (
    TRACEPARENT,
    TRACESTATE,
    X_REQUEST_ID,
    remove_bad_trace_context,
)
from proxy.http.request_trace import TRACE
from proxy.http.targets import requested_host

PSEUDONYM = "consent-proxy"
INSTANCE = secrets.token_hex(8)
"""Of this process and the workers that it forks: what a request that comes back is known by."""
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

# What only a trusted peer may say: who the visitor is.
_TRUSTED_PEER_ONLY = CLIENT_ADDRESS | IDENTITY | {"x-forwarded-for"}
_FORWARDED_PREFIX = "x-forwarded-"
_UNDERSTOOD_FORWARDED = IDENTITY | {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
_REGION_CODE = re.compile(r"[A-Za-z0-9-]{1,10}\Z")
_TRACE_ID = re.compile(r"[\w.:;=/+,@ -]{1,512}\Z", re.ASCII)

# A message may name more hop-by-hop fields in Connection. Naming one of these is an attack on a
# server that relies on the field ("hop-by-hop header abuse").
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
_NEVER_UNDERSCORED = frozenset(
    {*_NEVER_NOMINATED, *(name.lower() for name in _REQUEST_ONLY_HERE), "x-request-id"}
)
"""What a server behind would take for the field of that name, though it is passed on as another."""


def forwarded_authority(request: web.BaseRequest, *, peer_is_trusted: bool) -> str:
    """The host (and port) of the visitor's request.

    A trusted peer's `X-Forwarded-Host` overrides it, by its last member, which the nearest proxy
    wrote.
    """
    asked = requested_host(request)
    if not peer_is_trusted:
        return asked
    return request.headers.getall(_FORWARDED_HOST, (asked,))[-1].rpartition(",")[2].strip() or asked


def forwarded_scheme(request: web.BaseRequest, *, peer_is_trusted: bool) -> str:
    """The visitor's scheme: the last member of a trusted peer's `X-Forwarded-Proto`."""
    if peer_is_trusted:
        scheme_given = (
            request.headers.getall(_FORWARDED_PROTO, ("",))[-1].rpartition(",")[2].strip().lower()
        )
        if scheme_given in {"http", "https"}:
            return scheme_given
    return request.scheme


def request_headers(
    request: web.BaseRequest,
    *,
    peer_is_trusted: bool,
    host: str | None = None,
    trusted_headers: Iterable[str] = (),
) -> CIMultiDict[str]:
    """The headers of the upstream request.

    `host` replaces the Host of the visitor's request. `trusted_headers` are additional fields, such
    as a country header, that only a trusted peer may set.

    The visitor's address and the requested URL are forwarded in one form: X-Forwarded-For, -Host
    and -Proto, with the values that the proxy itself understood. Every other field by which an
    origin could take the request for one of another URL, host or scheme is removed, whoever sent
    it: it is not in the cache key, and the page's audience was not decided by it.

    There is no `Via`: nginx (`gzip_proxied off`) and IIS stop compressing for requests that carry
    it, both by default. Loops are detected by `CDN-Loop` (RFC 8586), which has no such effect.
    """
    incoming = request.headers
    headers = CIMultiDict(incoming)
    if hdrs.CONNECTION in incoming:
        _remove_nominated(headers, incoming.getall(hdrs.CONNECTION))
    for name in _REQUEST_ONLY_HERE:
        headers.popall(name, None)
    _remove_untrusted(headers, _lowered(tuple(trusted_headers)), peer_is_trusted)

    peer = address_text(request.remote or "")
    addresses = _address_chain(incoming.getall(X_FORWARDED_FOR, ())) if peer_is_trusted else []
    if peer:
        addresses.append(peer)
    headers.popall(X_FORWARDED_FOR, None)
    if addresses:
        headers[X_FORWARDED_FOR] = ", ".join(addresses)
    if peer_is_trusted or peer:
        headers[_FORWARDED_PROTO] = forwarded_scheme(request, peer_is_trusted=peer_is_trusted)
        headers[_FORWARDED_HOST] = forwarded_authority(request, peer_is_trusted=peer_is_trusted)

    if request_id := request.get(REQUEST_ID):
        headers[X_REQUEST_ID] = request_id
    trace = request.get(TRACE)
    if trace is not None:
        trace.write(headers)
    elif TRACEPARENT in headers or TRACESTATE in headers:
        remove_bad_trace_context(headers)

    headers[hdrs.HOST] = requested_host(request) if host is None else host
    headers.add(_CDN_LOOP, f"{PSEUDONYM}; id={INSTANCE}")
    return headers


@lru_cache(maxsize=64)
def _lowered(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(str.lower, names))


def _is_judged(plain: str) -> bool:
    """Whether `_remove_untrusted` looks at a field of this name in lower case at all."""
    if plain in BROWSER:
        return False
    return (
        "_" in plain
        or plain.startswith(_FORWARDED_PREFIX)
        or plain in REWRITING
        or plain in OWN
        or plain in TRACING
        or plain in _TRUSTED_PEER_ONLY
    )


_JUDGED = FieldNames(_is_judged)


def _remove_untrusted(
    headers: CIMultiDict[str], regions: frozenset[str], peer_is_trusted: bool
) -> None:
    """Remove fields that rewrite the request, and fields that an untrusted peer may not set.

    Names are compared as CGI and WSGI map them, to which `X_Forwarded_For` is the same field;
    gunicorn obeys `SCRIPT_NAME` and `PATH_INFO` from this machine.
    """
    if not _JUDGED.any_in(headers) and (not regions or regions.isdisjoint(map(str.lower, headers))):
        return
    for name in list(headers):
        plain = name.lower()
        known = plain.replace("_", "-") if "_" in plain else plain
        if known == plain and known in BROWSER:
            continue
        values = headers.getall(name, ())
        if _is_removed(plain, known, values, regions, peer_is_trusted):
            headers.popall(name, None)
        elif known in CLIENT_ADDRESS and values:
            headers[name] = str(parse_address(values[-1]))


def _is_removed(
    plain: str, known: str, values: Sequence[str], regions: frozenset[str], peer_is_trusted: bool
) -> bool:
    if known in REWRITING or known in OWN:
        return True
    is_region = known in regions
    trusted_only = is_region or known in _TRUSTED_PEER_ONLY or known.startswith(_FORWARDED_PREFIX)
    if known != plain:
        return trusted_only or known in _NEVER_UNDERSCORED
    if known == "tracestate":
        return False  # judged together with traceparent
    if known in TRACING:
        return not all(map(_TRACE_ID.match, values))
    if not trusted_only:
        return False
    if not peer_is_trusted:
        return True
    if is_region:
        return not all(map(_REGION_CODE.match, values))
    if known in CLIENT_ADDRESS:
        return len(values) != 1 or parse_address(values[0]) is None
    return known.startswith(_FORWARDED_PREFIX) and known not in _UNDERSTOOD_FORWARDED


def _address_chain(fields: Iterable[str]) -> list[str]:
    """The part of X-Forwarded-For that is valid from the right: addresses in normal form."""
    chain: list[str] = []
    for hop in reversed(",".join(fields).split(",")):
        address = parse_address(hop)
        if address is None:
            break
        chain.append(str(address))
    chain.reverse()
    return chain


def response_headers(
    received: CIMultiDictProxy[str], version: HttpVersion = HttpVersion11
) -> CIMultiDict[str]:
    """The headers to send to the visitor: the upstream's end-to-end ones, in order, one type at
    most, and `Via` with the version that it spoke.
    """
    headers = end_to_end(received)
    send_one_type(headers)
    headers.add(hdrs.VIA, f"{version.major}.{version.minor} {PSEUDONYM}")
    return headers


def end_to_end(incoming: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """An upstream's headers without those that are for the connection to it."""
    headers = CIMultiDict(incoming)
    if hdrs.CONNECTION in incoming:
        _remove_nominated(headers, incoming.getall(hdrs.CONNECTION))
    for name in _RESPONSE_ONLY_HERE:
        headers.popall(name, None)
    return headers


# One proxy in front of another is a plan; a third time round is a loop, whoever runs them.
_MAX_PASSES = 2


def is_loop(headers: CIMultiDictProxy[str]) -> bool:
    """Whether a request has been here before (RFC 8586): through this very proxy, or twice through
    others of its kind.
    """
    if _CDN_LOOP not in headers:
        return False
    values = headers.getall(_CDN_LOOP, ())
    members = [member.strip() for value in values for member in value.split(",")]
    passes = sum(member.partition(";")[0].strip().lower() == PSEUDONYM for member in members)
    return passes >= _MAX_PASSES or (passes > 0 and any(INSTANCE in member for member in members))


def _remove_nominated(headers: CIMultiDict[str], values: Iterable[str]) -> None:
    for value in values:
        for token in value.split(","):
            name = token.strip().lower()
            if not name or name in _NEVER_NOMINATED or name.startswith("x-forwarded-"):
                continue
            headers.popall(name, None)
