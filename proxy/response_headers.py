"""Headers that make a browser reach out, held to the decision.

`Link` (RFC 8288), `Refresh`, the Reporting API's headers (NEL, Report-To,
Reporting-Endpoints), `Speculation-Rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from multidict import CIMultiDict, istr

from consent_rules.categories import Audience

Closed = Callable[[str], bool]
"""Whether a URL, resolved against the page's, leads to someone who may not act."""

_LINK = re.compile(r"\s*<([^>]*)>((?:[^,\"]|\"(?:[^\"\\]|\\.)*\")*)(?:,|\Z)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))", re.IGNORECASE)
_FETCHING = frozenset(
    {
        "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch", "prerender",
        "stylesheet", "next", "icon", "compression-dictionary", "monetization",
    }
)  # fmt: skip
_URL = re.compile(r"(?:https?:)?//[^\s\"'<>,;]+", re.IGNORECASE)
_REFRESH = re.compile(r"^\s*[\d.]*\s*[;,]\s*(?:url\s*=\s*)?[\"']?([^\"']*)", re.IGNORECASE)
_REPORTING = ("Report-To", "Reporting-Endpoints", "NEL", "Speculation-Rules")

REFERRER_POLICY = istr("Referrer-Policy")
PERMISSIONS_POLICY = istr("Permissions-Policy")
X_DNS_PREFETCH_CONTROL = istr("X-DNS-Prefetch-Control")

# What a browser itself tells advertisers (https://privacysandbox.google.com).
_AD_FEATURES = (
    "browsing-topics", "attribution-reporting", "join-ad-interest-group", "run-ad-auction",
)  # fmt: skip
_SENSORS = ("geolocation", "camera", "microphone")


def without_closed_links(value: str, closed: Closed) -> str:
    """A Link header without the fetching links that lead to the closed; "" when none is left."""
    kept = []
    for match in _LINK.finditer(value):
        rel = _REL.search(match[2])
        rels = (rel[1] or rel[2] or "").lower().split() if rel else []
        if _FETCHING.intersection(rels) and closed(match[1]):
            continue
        kept.append(match[0].strip().rstrip(",").rstrip())
    return ", ".join(kept)


def hold_document(headers: CIMultiDict[str], audience: Audience, *, advertising: bool) -> None:
    """What a document's own features may do: no look-ups ahead, no sensors for third parties, and
    none of the browser's advertising interfaces while advertising is closed.
    """
    headers[X_DNS_PREFETCH_CONTROL] = "off"
    given = ",".join(headers.getall(PERMISSIONS_POLICY, ()))
    named = {entry.partition("=")[0].strip() for entry in given.split(",")}
    # A later entry replaces an earlier one (RFC 9651, 3.2): what the origin says of a sensor may
    # be stricter than ours.
    features = [f"{name}=(self)" for name in _SENSORS if name not in named]
    if not advertising:
        features += [f"{name}=()" for name in _AD_FEATURES]
    if features:
        headers.add(PERMISSIONS_POLICY, ", ".join(features))
    if audience is Audience.PATIENT:
        headers.popall("Accept-CH", None)


def hold_to_decision(headers: CIMultiDict[str], closed: Closed, audience: Audience) -> None:
    """Take out of an answer's headers whatever would make the browser ask the closed."""
    for name in ("Link", "Refresh", *_REPORTING):
        if name not in headers:
            continue
        values = headers.popall(name)
        for value in values:
            held = _held(name, value, closed)
            if held:
                headers.add(name, held)
    if audience is Audience.PATIENT:
        # The address of a patient page is nobody's business, the next page's tags included.
        headers[REFERRER_POLICY] = "no-referrer"


def _held(name: str, value: str, closed: Closed) -> str:
    if name == "Link":
        return without_closed_links(value, closed)
    if name == "Refresh":
        target = _REFRESH.match(value)
        return "" if target and target[1] and closed(target[1].strip()) else value
    if name in {"NEL", "Report-To"}:
        # Both only name a group that may be the other's: with a foreign endpoint neither stays.
        return "" if name == "NEL" or any(closed(url) for url in _URL.findall(value)) else value
    return "" if any(closed(url) for url in _URL.findall(value)) else value
