"""Classes of request header fields: credentials, keyed by the cache, unknown.

A stored response serves every visitor of its URL. Whatever a request says beside the URL and what
`Vary` names is an unkeyed input: an origin that obeys or reflects it would write one visitor's
value into another visitor's response (web cache poisoning). So each field is one of these:

- neutral: browsers and proxies send it on their own. It is passed on; a response that reflects its
  value is not stored (`proxy.cache.reflection`).
- removed: it names another URL, host, scheme or port than the request does, or claims an identity.
  `proxy.http.forwarding` takes it out.
- unknown: everything else. The request goes past the cache unless `Vary` names the field.

Names are lower case.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from proxy.http.field_names import FieldNames

CREDENTIALS = frozenset({"authorization", "proxy-authorization"})
"""Fields that identify the visitor. `Cookie` is judged by the names in it."""

_SCHEMES_OF_REQUEST = frozenset(
    {
        # IANA's registry of HTTP authentication schemes, without Negotiate
        "basic", "bearer", "concealed", "digest", "dpop", "gnap", "hoba", "mutual", "oauth",
        "privatetoken", "scram-sha-1", "scram-sha-256", "vapid",
        # In use without being registered
        "apikey", "api-key", "aws4-hmac-sha256", "hawk", "hmac", "jwt", "key", "session",
        "signature", "token",
    }
)  # fmt: skip
_MAX_SCHEME = 20


def authenticates_connection(authorization: str) -> bool:
    """Whether an `Authorization` may sign in the connection, and with it every later request on it,
    as NTLM and Negotiate do (RFC 4559, 6). So may any scheme that is not known to be of one
    request.
    """
    return authorization[:_MAX_SCHEME].partition(" ")[0].lower() not in _SCHEMES_OF_REQUEST


_HANDLED = frozenset(
    {
        # Read by the cache itself, or part of its key.
        "host", "origin", "cookie", "cache-control", "pragma", "range", "if-range", "if-match",
        "if-none-match", "if-modified-since", "if-unmodified-since", "accept-encoding",
        "x-forwarded-host", "x-forwarded-proto",
        # Hop by hop, or about a body that a GET does not have.
        "connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding",
        "upgrade", "http2-settings", "expect", "content-length", "cdn-loop",
    }
) | CREDENTIALS  # fmt: skip

BROWSER = frozenset(
    {
        "accept", "accept-charset", "accept-language", "user-agent", "referer", "dnt", "sec-gpc",
        "upgrade-insecure-requests", "priority", "save-data", "downlink", "ect", "rtt", "dpr",
        "device-memory", "viewport-width", "width", "purpose", "sec-purpose",
        "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user",
        "sec-fetch-storage-access", "via",
    }
)  # fmt: skip
_BROWSER_PREFIX = "sec-ch-"

TRACING = frozenset(
    {
        "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid",
        "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "x-request-id", "x-correlation-id",
        "x-trace-id", "x-request-start", "x-queue-start", "x-amzn-trace-id", "x-amz-cf-id",
        "x-cloud-trace-context", "x-azure-ref", "x-arr-log-id", "x-appgw-trace-id", "x-varnish",
        "x-vercel-id", "x-nf-request-id", "fly-request-id", "cf-ray", "cf-ew-via",
        "x-envoy-expected-rq-timeout-ms", "x-envoy-attempt-count",
        "x-envoy-decorator-operation",
    }
)  # fmt: skip
"""Names of one request, for logs. Some servers send them back in their response. `baggage` is none:
it is the application's own, a tenant or an account."""

CLIENT_ADDRESS = frozenset(
    {
        "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip",
        "cf-connecting-ipv6", "fastly-client-ip", "fly-client-ip", "x-envoy-external-address",
        "x-azure-clientip", "x-original-forwarded-for", "x-appengine-user-ip",
        "x-vercel-forwarded-for", "do-connecting-ip",
    }
)  # fmt: skip
"""Other names for the visitor's address than X-Forwarded-For."""

REGION = frozenset({"cf-ipcountry"})

REWRITING = frozenset(
    {
        # The URL
        "x-original-url", "x-original-uri", "x-original-path", "x-rewrite-url", "x-rewrite-uri",
        "x-override-url", "x-proxy-url", "x-envoy-original-path", "x-ms-original-url",
        "x-waws-unencoded-url", "x-accel-redirect", "x-sendfile", "x-script-name", "script-name",
        "path-info", "request-uri", "x-request-uri", "x-request-url", "x-http-path-override",
        "x-forwarded-path", "x-forwarded-uri", "x-forwarded-url", "x-forwarded-prefix",
        # The host, the port, the scheme
        "x-original-host", "x-host", "x-host-override", "x-http-host", "x-http-host-override",
        "x-envoy-original-host", "x-forwarded-server", "x-forwarded-port", "x-forwarded-scheme",
        "x-forwarded-protocol", "x-forwarded-ssl", "x-forwarded-https", "x-forwarded-by",
        "x-forwarded", "forwarded", "forwarded-for", "forwarded-host", "forwarded-proto",
        "front-end-https", "x-front-end-https", "x-url-scheme", "x-scheme", "x-https", "https",
        "x-original-proto", "x-original-scheme", "x-forwarded-proto-version", "x-arr-ssl",
        "cf-visitor", "cloudfront-forwarded-proto", "fastly-ssl", "x-appengine-https",
        "wl-proxy-ssl", "x-proxy-host", "x-backend-host", "x-forwarded-original-host",
        # Environment of CGI (https://httpoxy.org)
        "proxy", "proxy-host",
    }
)  # fmt: skip
"""Fields by which frameworks take a request for one of another URL, host, port or scheme. The
values that the proxy used are forwarded as X-Forwarded-Host and X-Forwarded-Proto.
"""

IDENTITY = frozenset(
    {
        "client-cert", "client-cert-chain", "x-client-cert", "x-client-cert-chain",
        "x-ssl-client-cert", "x-ssl-cert", "ssl-client-cert", "x-forwarded-client-cert",
        "x-forwarded-tls-client-cert", "x-forwarded-user", "x-forwarded-email",
        "x-forwarded-groups", "x-forwarded-preferred-username", "x-forwarded-access-token",
        "x-auth-request-user", "x-auth-request-email", "x-auth-request-groups",
        "x-auth-request-preferred-username", "x-auth-request-access-token", "remote-user",
        "x-remote-user", "x-remote-group", "x-webauth-user", "x-authenticated-user",
    }
)  # fmt: skip
"""What a proxy in front says about who has signed in (RFC 9440 and older). A trusted peer's are
passed on, and such a request goes past the cache.
"""

OWN = frozenset({"consent"})
"""Fields that this proxy alone writes (`proxy.enforcement.consent_header`). Whoever else sends
them: they are removed.
"""

NEUTRAL = BROWSER | TRACING | CLIENT_ADDRESS | REGION | {"x-forwarded-for"}
_MAX_NAME = 100
"""Characters: no name that is known is longer."""
_KNOWN = _HANDLED | NEUTRAL | REWRITING | OWN


def is_unknown(name: str) -> bool:
    """Whether an origin may answer differently for a field that is not in the cache key."""
    return _known_name(name) if len(name) <= _MAX_NAME else True


@lru_cache(maxsize=4096)
def _known_name(name: str) -> bool:
    name = name.lower()
    return name not in _KNOWN and not name.startswith(_BROWSER_PREFIX)


_UNKNOWN = FieldNames(is_unknown)


def unknown_fields(names: Collection[str]) -> tuple[str, ...]:
    """The unknown ones of a request's field names, lower case."""
    if not _UNKNOWN.any_in(names):
        return ()
    return tuple(name.lower() for name in names if is_unknown(name))
