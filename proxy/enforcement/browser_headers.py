"""Filter response headers that make a browser send requests: Link, Refresh, reporting, ad features.

`Link` (RFC 8288), `Refresh`, the Reporting API's headers (NEL, Report-To,
Reporting-Endpoints), `Speculation-Rules`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence

from aiohttp import hdrs
from multidict import CIMultiDict, istr

from consent_rules.categories import Audience
from consent_rules.lazy_pattern import lazy_pattern
from proxy.enforcement.permissions_policy import restrict_permissions
from proxy.http.media_types import SIGNED_EXCHANGE, media_type
from proxy.http.structured_fields import dictionary

Closed = Callable[[str], bool]
"""Whether a URL, resolved against the page's, has an owner that may not act."""

_LINK = lazy_pattern(r"\s*<([^>]*)>((?:[^,\"]|\"(?:[^\"\\]|\\.)*\")*)(?:,|\Z)")
_PARAMETER = lazy_pattern(
    r";\s*([\w*!#$&+.^`|~-]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?"
)
_QUOTED_PAIR = lazy_pattern(r"\\(.)")
_FETCHING = frozenset(
    {
        "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch", "prerender",
        "stylesheet", "next", "icon", "manifest", "compression-dictionary", "monetization",
    }
)  # fmt: skip
_URL = lazy_pattern(r"(?:https?:)?//[^\s\"'<>,;]+", re.IGNORECASE)
# A dictionary of strings (RFC 9651, 3.2) in its plainest form: without backslashes, of which no URL
# has need, and without strings in parameters.
_ENDPOINT = r'[ \t]*[\w*.-]+[ \t]*=[ \t]*"[^"\\]*"[ \t]*(?:;[^",\\]*)?'
_ENDPOINTS = lazy_pattern(rf"{_ENDPOINT}(?:,{_ENDPOINT})*")
_STRING = lazy_pattern(r'"([^"]*)"')
# HTML Standard, "shared declarative refresh steps": a space is enough after the seconds.
_REFRESH = lazy_pattern(r"^\s*[\d.]+(?:\s*[;,]|\s)\s*(?:url\s*=\s*)?[\"']?([^\"']*)", re.IGNORECASE)
_REPORTING = ("Report-To", "Reporting-Endpoints", "NEL", "Speculation-Rules")
_CSP = ("Content-Security-Policy", "Content-Security-Policy-Report-Only")
FETCHING_FIELDS = ("Link", "Refresh", *_REPORTING, *_CSP)
"""Fields with addresses that a browser fetches or sends to."""

REFERRER_POLICY = istr("Referrer-Policy")
OPENER_POLICY = istr("Cross-Origin-Opener-Policy")
X_DNS_PREFETCH_CONTROL = istr("X-DNS-Prefetch-Control")
_OPENER_POLICIES = frozenset(
    {"unsafe-none", "same-origin-allow-popups", "same-origin", "noopener-allow-popups"}
)


def without_closed_links(field: str, closed: Closed) -> str:
    """A Link header without the fetching links to closed vendors; "" when none is left."""
    remaining = []
    for match in _LINK.finditer(field):
        parameters: dict[str, str] = {}
        for name, quoted, bare in _PARAMETER.findall(match[2]):
            # The first of a name counts (RFC 8288, 3.3).
            value = _QUOTED_PAIR.sub(r"\1", quoted) if quoted else bare
            parameters.setdefault(name.lower(), value)
        urls = [match[1], *_URL.findall(parameters.get("imagesrcset", ""))]
        rels = parameters.get("rel", "").lower().split()
        if _FETCHING.intersection(rels) and any(map(closed, urls)):
            continue
        remaining.append(match[0].strip().rstrip(",").rstrip())
    return ", ".join(remaining)


def restrict_document(
    headers: CIMultiDict[str],
    audience: Audience,
    *,
    advertising: bool,
    sensors: Collection[str] = (),
    origin: str = "",
    trustworthy: bool = True,
) -> None:
    """What a document's own features may do: no look-ups ahead, none of the browser's advertising
    interfaces while advertising is closed, and no sensors but those that the config names, which
    are the page's own: never a third party's. `trustworthy` is whether browsers think the origin
    so (Secure Contexts, 3.1): elsewhere they complain of what they then ignore.
    """
    headers[X_DNS_PREFETCH_CONTROL] = "off"
    restrict_permissions(headers, advertising=advertising, sensors=sensors, origin=origin)
    if audience is Audience.PATIENT:
        headers.popall("Accept-CH", None)
        # A marketing page that opens this one in a window must not be able to read it there. The
        # windows that this one opens (to sign in, to pay) keep their way back.
        if trustworthy and not _is_opener_policy(headers.getall(OPENER_POLICY, ())):
            headers[OPENER_POLICY] = "same-origin-allow-popups"


def _is_opener_policy(values: Sequence[str]) -> bool:
    """Whether browsers read one in these lines. A second one makes the field malformed (RFC 9651,
    3.3): it is `unsafe-none` then, as one that they do not know is.
    """
    if len(values) != 1 or values[0].lstrip(" ").startswith("("):
        return False
    # An item is what may stand behind the key of a dictionary.
    members = dictionary(f"policy={values[0].lstrip(' ')}")
    return members in [{"policy": (known,)} for known in _OPENER_POLICIES]


def filter_fetching_headers(headers: CIMultiDict[str], closed: Closed, audience: Audience) -> None:
    """Remove response header fields that would make the browser send a request to a
    closed vendor.
    """
    if media_type(headers) == SIGNED_EXCHANGE:
        # A page that nobody has gated; its certificate is fetched from wherever it says, under no
        # policy, by a prefetch too.
        headers[hdrs.CONTENT_TYPE] = "application/octet-stream"
        headers["X-Content-Type-Options"] = "nosniff"
    for name in FETCHING_FIELDS:
        if name not in headers:
            continue
        held = [_held(name, value, closed) for value in headers.getall(name)]
        replace_values(headers, name, [value for value in held if value])
    if audience is Audience.PATIENT:
        # A patient page's address must not reach third parties, nor the next page's tags.
        headers[REFERRER_POLICY] = "no-referrer"


def replace_values(headers: CIMultiDict[str], name: str, values: list[str]) -> None:
    """Give a field these values. Where they are its present ones, its position is unchanged."""
    if values != headers.getall(name):
        headers.popall(name)
        for value in values:
            headers.add(name, value)


def _held(name: str, value: str, closed: Closed) -> str:
    if name == "Link":
        return without_closed_links(value, closed)
    if name == "Refresh":
        target = _REFRESH.match(value)
        return "" if target and target[1] and closed(target[1].strip()) else value
    if name in _CSP:
        return _without_closed_reports(value, closed)
    if name in {"NEL", "Speculation-Rules"}:
        # What these lead to stands elsewhere: in a group of Report-To, in a file.
        return ""
    urls = _reported_to(value) if name == "Report-To" else _endpoints(value)
    # Engines differ in what they take for a URL here, and few sites report to themselves: what is
    # not plainly the site's own is removed.
    is_own = urls is not None and not any("\\" in url or closed(url) for url in urls)
    return value if is_own else ""


def _endpoints(field: str) -> list[str] | None:
    """The URLs of a Reporting-Endpoints header; None where it is not plainly written."""
    return _STRING.findall(field) if _ENDPOINTS.fullmatch(field) else None


def _reported_to(field: str) -> list[str] | None:
    """Every string of a Report-To header, which is a JSON list without its brackets; None where it
    is not one.
    """
    try:
        # As pairs: of equal names some parsers take the first, others the last.
        groups: object = json.loads(f"[{field}]", object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    found: list[str] = []
    rest = [groups]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list | tuple):
            rest.extend(one)
    return found


def _without_closed_reports(policy: str, closed: Closed) -> str:
    """A Content-Security-Policy whose reports, which hold the page's address, go to no closed
    vendor.
    """

    def remaining(directive: str) -> str:
        words = directive.split()
        if not words or words[0].lower() != "report-uri":
            return directive
        own = [word for word in words[1:] if not closed(word)]
        return " ".join(["", words[0], *own]) if own else ""

    return ",".join(
        ";".join(d for d in map(remaining, one.split(";")) if d.strip())
        for one in policy.split(",")
    ).strip()
