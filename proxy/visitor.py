"""request -> Visitor: the preference cookie, the opt-out signal and the region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from consent_rules.config.load import RegionFrom
from consent_rules.decision import Visitor
from consent_rules.preferences import Preferences
from proxy.cookies.cookie_header import value_in, values_in
from proxy.cookies.preference_cookie import KeyRing, cookie_name, once_cookie_name

_LONGEST_REGION = 10
_MOST_CANDIDATES = 4
"""Cookies of one name that are looked at: each may cost a signature check."""


def sends_gpc(headers: Mapping[str, str]) -> bool:
    """Whether the browser sends the opt-out preference signal (GPC, https://w3c.github.io/gpc/)."""
    return headers.get("Sec-GPC", "").strip() == "1"


def region_of(headers: Mapping[str, str], source: RegionFrom, *, trusted: bool) -> str:
    """The visitor's region as a trusted proxy tells it: "US", "US-CA", or ""."""
    if not trusted:
        return ""
    country = _code(headers.get(source.country_header, "")) if source.country_header else ""
    part = _code(headers.get(source.region_header, "")) if source.region_header else ""
    if part and "-" not in part:
        part = f"{country}-{part}" if country else ""
    return part or country


def _code(value: str) -> str:
    value = value.strip().upper()
    plain = value.replace("-", "")
    return value if plain.isalnum() and len(value) <= _LONGEST_REGION else ""


def stored_preferences(
    cookie_header: str,
    keys: KeyRing,
    site: str,
    domain: str,
    now: float,
    *,
    lasts: int,
    secure: bool,
) -> Preferences | None:
    """The choice in the visitor's cookie; None when there is none or it proves nothing.

    `lasts` is how long a choice lasts under the present config, in seconds: one made when it was
    longer ends with it.

    Two cookies of the name (one of this host, one of a parent domain) come in no order that says
    which is newer: of those that are valid, the latest choice counts.
    """
    name = cookie_name(domain, secure=secure)
    if name not in cookie_header:
        return None
    tokens = islice(dict.fromkeys(values_in(cookie_header, name)), _MOST_CANDIDATES)
    choices = [p for token in tokens if (p := keys.verify(token, site, now)) is not None]
    latest = max(choices, key=lambda choice: choice.made_at, default=None)
    if latest is None or latest.expires_at <= latest.made_at + lasts:
        return latest
    until = latest.made_at + lasts
    return replace(latest, expires_at=until) if now < until else None


def wanted_once(
    cookie_header: str, keys: KeyRing, site: str, now: float, *, secure: bool
) -> frozenset[str]:
    """The vendor that the visitor asked for on the next page only, if any."""
    name = once_cookie_name(secure=secure)
    if name not in cookie_header:
        return frozenset()
    token = value_in(cookie_header, name)
    vendor = keys.verify_once(token, site, now) if token else None
    return frozenset() if vendor is None else frozenset({vendor})


def visitor(
    headers: Mapping[str, str],
    preferences: Preferences | None,
    region: str,
    once: frozenset[str],
) -> Visitor:
    """Who asks."""
    return Visitor(preferences, sends_gpc(headers), region, once)
