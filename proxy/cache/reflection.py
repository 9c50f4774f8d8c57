"""Detect a response that repeats values of its request: it is not stored, whatever its directives.

An origin that writes a request's `Referer`, its identifiers or the visitor's address into a page
that it marks as cacheable discloses them to the next visitor: by mistake, or made to by an
attacker. Pure functions.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

from multidict import CIMultiDict, MultiMapping

from proxy.http.content_coding import CodingError, decoded
from proxy.http.forwarding import PSEUDONYM
from proxy.http.media_types import media_type
from proxy.http.request_fields import TRACING

_MIN_LENGTH = 6
"""Characters. A shorter value is in many pages by chance."""
_MAX_DECODED = 8 * 2**20
"""Bytes of a decoded body that are searched."""
_ORIGIN_ONLY = re.compile(r"https?://[^/?#]+/?\Z", re.IGNORECASE)
_BINARY = ("image/", "audio/", "video/", "font/", "application/font", "application/wasm")
UNREFLECTED = frozenset(
    {
        # Part of the cache key, written by us, or in no request whose response is stored.
        "host", "origin", "accept-encoding", "x-forwarded-host", "x-forwarded-proto", "range",
        "if-range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since",
        "content-length", "connection", "consent",
    }
)  # fmt: skip
_SENT_BACK = frozenset({"access-control-allow-origin", "vary", "set-cookie", "server", *TRACING})
"""Response fields that are not searched: keyed, or not stored."""
_WORDS = frozenset(
    {
        "document", "iframe", "script", "style", "image", "navigate", "no-cors", "same-origin",
        "cross-site", "same-site", "prefetch", "application/json", "text/html", "no-cache",
        "no-store", "max-age=0", "only-if-cached", "cloudflare", PSEUDONYM,
    }
)  # fmt: skip
"""Values that many visitors send and many bodies contain."""


def visitor_values(
    request: MultiMapping[str], own_site: str, keyed: Iterable[str] = ()
) -> tuple[bytes, ...]:
    """The values of this request only, in each form in which they may appear in a body.

    `request` are the fields that the origin got, `own_site` is the site's scheme and authority
    ("https://www.example.com"), `keyed` are the field names of `Vary`, lower case.
    """
    values = set(_values(request, own_site, UNREFLECTED.union(keyed)))
    return tuple({form for value in values for form in _forms(value)})


def reflects(
    values: Sequence[bytes],
    headers: CIMultiDict[str],
    body: bytes,
    content: bytes | None = None,
) -> bool:
    """Whether a body contains one of `visitor_values`. `content` is the body without its content
    codings, where they have been undone.
    """
    if shown_in_headers(values, headers):
        return True
    if not values or media_type(headers).startswith(_BINARY):
        return False
    if content is None:
        try:
            content = decoded(body, headers.get("Content-Encoding", ""), _MAX_DECODED)
        except CodingError:
            return True  # in doubt it is one visitor's
    return any(value in content for value in values)


def shown_in_headers(values: Sequence[bytes], headers: CIMultiDict[str]) -> bool:
    """Whether response fields contain one of `visitor_values`."""
    fields = "\n".join(v for name, v in headers.items() if name.lower() not in _SENT_BACK)
    text = fields.encode("utf-8", "surrogateescape")
    return any(value in text for value in values)


def _values(
    request: MultiMapping[str], own_site: str, unreflected: frozenset[str]
) -> Iterator[str]:
    for name, value in request.items():
        name = name.lower()
        if name in unreflected:
            continue
        if name == "cookie":
            found = [pair.partition("=")[2] or pair for pair in value.split(";")]
        elif name == "x-forwarded-for":
            found = value.split(",")
        elif name == "traceparent":  # the upstream may have got that of an attempt
            found = value.split("-")
        else:
            found = [value]
        for one in map(str.strip, found):
            if len(one) >= _MIN_LENGTH and one not in _WORDS and not _says_nothing(one, own_site):
                yield one


def _says_nothing(value: str, own_site: str) -> bool:
    """Whether a value identifies no visitor: an origin, a URL of the site, this machine."""
    if "://" in value:
        own = value.startswith(f"{own_site}/") and "?" not in value
        return own or _ORIGIN_ONLY.match(value) is not None
    if value[0].isdigit() or ":" in value:
        try:
            return ip_address(value).is_loopback
        except ValueError:
            return False
    return False


def _forms(value: str) -> set[bytes]:
    """The forms of a value in a body: as it is, in HTML, in JSON."""
    forms = {value, html.escape(value), json.dumps(value)[1:-1]}
    return {form.encode("utf-8", "surrogateescape") for form in forms}
