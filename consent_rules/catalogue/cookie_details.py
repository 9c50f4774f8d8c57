"""Purpose and lifetime of cookies, for the cookie declaration.

The catalogue's details are in `catalogue/cookies/*.toml`, one table a vendor:

    [google-analytics]
    _ga = ["2 years", "visitor"]

They are read for the first request for a declaration, never for a page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files

import tomli

from consent_rules.vendors import CookieDetail, Vendor
from consent_rules.wording import quoted

SESSION = "session"
"""The lifetime of a cookie that goes when the browser is closed (RFC 6265, 5.3)."""

UNITS = ("second", "minute", "hour", "day", "week", "month", "year")

_LIFETIME = re.compile(r"([1-9][0-9]{0,4}) ?([a-z]+?)s?")


class CookiePurpose(StrEnum):
    """What cookies are for. A closed list, so that each has a text in every language."""

    VISITOR = "visitor"
    VISIT = "visit"
    SOURCE = "source"
    ADVERTISING = "advertising"
    RECORDING = "recording"
    SETTINGS = "settings"
    SECURITY = "security"
    TRAFFIC = "traffic"
    VERSION = "version"
    CONSENT = "consent"


def normal_lifetime(text: str) -> str:
    """`2 years`, `1 day`, `session`. Raises ValueError with what to write instead."""
    words = " ".join(text.lower().split())
    if words == SESSION:
        return SESSION
    found = _LIFETIME.fullmatch(words)
    if found is None or found[2] not in UNITS:
        raise ValueError(
            f'{quoted(text)} is not a lifetime; write "session", or a number and a unit, such as '
            '"30 minutes", "1 day" or "2 years"'
        )
    return f"{found[1]} {found[2]}{'' if found[1] == '1' else 's'}"


@cache
def known_details() -> Mapping[str, tuple[CookieDetail, ...]]:
    """The catalogue's details by vendor id."""
    return _details_in("cookies")


@cache
def third_party_details() -> Mapping[str, tuple[CookieDetail, ...]]:
    """Cookies that embedded content sets on its vendor's own domain, by vendor id. A name is
    `NID (google.com)`.
    """
    return _details_in("third_party")


def _details_in(name: str) -> Mapping[str, tuple[CookieDetail, ...]]:
    found: dict[str, tuple[CookieDetail, ...]] = {}
    folder = files("consent_rules") / "catalogue" / name
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        for vendor, table in tomli.loads(entry.read_text(encoding="utf-8")).items():
            found[vendor] = tuple(
                CookieDetail(name, lifetime, purpose) for name, (lifetime, purpose) in table.items()
            )
    return found


def details_of(vendor: Vendor) -> tuple[CookieDetail, ...]:
    """Every cookie of a vendor, with its details: the config's before the catalogue's."""
    known = {detail.name: detail for detail in known_details().get(vendor.id, ())}
    known |= {detail.name: detail for detail in vendor.cookie_details}
    return tuple(known.get(name, CookieDetail(name)) for name in vendor.cookies)
