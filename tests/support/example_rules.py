"""Rules of one site, made by hand: no test here depends on the catalogue or on a config file."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from consent_rules.categories import Audience, Category, Regime
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.patient_paths import PatientPaths
from consent_rules.matching.pins import ScriptPins
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.regions import Regions
from consent_rules.rules import PageContext, Rules, SiteRules, TagIndex, TagRule
from consent_rules.vendors import Vendor

TODAY = datetime.date(2026, 6, 15)
_DAY = datetime.timedelta(days=1)

VENDORS = {
    **{str(c): Vendor(id=str(c), name=str(c).title(), category=c) for c in Category},
    "manager": Vendor(
        id="manager",
        name="Manager",
        category=Category.FUNCTIONAL,
        serves=(Category.ANALYTICS, Category.ADVERTISING),
    ),
}

# First and last day of an approval, and whether there is a BAA.
_TAGS = {
    "ok": (TODAY, TODAY + _DAY, False),
    "future": (TODAY + _DAY, TODAY + 2 * _DAY, False),
    "expired": (TODAY - _DAY, TODAY, False),
    "baa": (TODAY, TODAY + _DAY, True),
    "baa-expired": (TODAY - _DAY, TODAY, True),
}
TAG_STATES = ("none", *_TAGS)


def tag(vendor: str, state: str) -> TagRule:
    start, end, baa = _TAGS[state]
    return TagRule(vendor, ("/*",), start, end, baa)


def site(
    *,
    tags: Iterable[TagRule] = (),
    audience: Audience = Audience.MARKETING,
    enforce: bool = True,
    patient_paths: Iterable[str] = (),
    patient_cookies: Iterable[str] = (),
) -> SiteRules:
    tags = tuple(tags)
    return SiteRules(
        name="www",
        upstream="http://127.0.0.1:9000",
        preserve_host=True,
        hosts=HostSet(["www.example.com"]),
        own=HostSet(["www.example.com"]),
        own_patterns=("www.example.com",),
        audience=audience,
        enforce=enforce,
        patient_paths=PatientPaths(patient_paths),
        patient_cookies=frozenset(patient_cookies),
        webrtc=False,
        tags=tags,
        tag_index=TagIndex(tags),
        pins=ScriptPins(),
        has_optional_vendors=any(
            VENDORS[t.vendor].category is not Category.NECESSARY for t in tags
        ),
        listed=tuple(VENDORS[t.vendor] for t in tags),
    )


def rules(of: SiteRules, regime: Regime = Regime.OPT_IN, version: str = "2") -> Rules:
    return Rules(
        sites=(of,),
        vendors=VENDORS,
        index=VendorIndex(VENDORS.values()),
        policy_version=version,
        regions=Regions(regime, {}),
    )


def page(of: SiteRules, audience: Audience | None = None) -> PageContext:
    return PageContext(of, audience or of.audience, of.tags, TODAY)
