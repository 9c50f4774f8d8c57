"""What a document may ask the browser for: our Permissions-Policy beside the origin's.

Browsers join all lines of the field into one dictionary (RFC 9651): a later member replaces an
earlier one, so ours stands last. If any part is malformed, they ignore all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from multidict import CIMultiDict, istr

from consent_rules.config.models import Sensor
from proxy.http.structured_fields import dictionary

PERMISSIONS_POLICY = istr("Permissions-Policy")
FEATURE_POLICY = istr("Feature-Policy")

# A feature by which a browser itself reports to advertisers (https://privacysandbox.google.com).
# Chromium took the others out again (attribution-reporting, join-ad-interest-group,
# run-ad-auction, shared-storage, private-aggregation) and warns in the console of names that it no
# longer knows;
# what would use them in an older one is a closed vendor's script, or `attributionsrc`.
_AD_FEATURES = ("browsing-topics",)
_SENSORS = tuple(map(str, Sensor))


def restrict_permissions(
    headers: CIMultiDict[str], *, advertising: bool, sensors: Collection[str], origin: str
) -> None:
    """Add the policy that leaves the page at `origin` these sensors, unless the upstream closes
    them itself, and no third party any.
    """
    given = ", ".join(headers.getall(PERMISSIONS_POLICY, ()))
    members = _members(given)
    if not members:
        # No browser reads it, nor ours beside it.
        headers.popall(PERMISSIONS_POLICY, None)
    own = frozenset(
        sensor
        for sensor in sensors
        if members is None or sensor not in members or _has(members[sensor], origin)
    )
    # Where both name a feature, the older field is not read: then it is ours that must say so.
    for name, allowed in _features(", ".join(headers.getall(FEATURE_POLICY, ()))):
        if name not in (members or ()) and not _has(allowed, origin):
            own = own.difference((name,))
    headers.add(PERMISSIONS_POLICY, _policy(own, advertising=advertising))


@lru_cache(maxsize=256)
def _members(field: str) -> dict[str, tuple[str, ...]] | None:
    return dictionary(field)


@lru_cache(maxsize=256)
def _features(field: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Features and allowlists of a Feature-Policy, which Chromium still reads. One that is named
    without a list is the page's own.
    """
    declared = [words for part in field.replace(",", ";").split(";") if (words := part.split())]
    allowed = {"'self'": "self", "'src'": "self"}
    return tuple(
        (words[0], tuple(allowed.get(word.lower(), f'"{word}"') for word in words[1:]) or ("self",))
        for words in declared
    )


def _has(allowed: Collection[str], origin: str) -> bool:
    return not {"*", '"*"', "self", f'"{origin}"'}.isdisjoint(allowed)


@lru_cache(maxsize=256)
def _policy(own: frozenset[str], *, advertising: bool) -> str:
    features = [f"{name}=({'self' if name in own else ''})" for name in _SENSORS]
    if not advertising:
        features += [f"{name}=()" for name in _AD_FEATURES]
    return ", ".join(features)
