"""AuditScope: what the observations of an audit are judged by."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from consent_rules.audit.observations import PageVisit
from consent_rules.audit.states import AuditState, AuditVisitor
from consent_rules.categories import Audience, Regime
from consent_rules.decision import Decision, decide
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.patient_paths import PatientPaths
from consent_rules.matching.pins import NO_PINS
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.regions import Regions
from consent_rules.rules import PageContext, Rules, SiteRules, TagIndex, TagRule
from consent_rules.vendors import Vendor

CookieVendors = Callable[[str], tuple[str, ...]]
"""Ids of the vendors that set a cookie of a name."""


@dataclass(frozen=True, slots=True, eq=False)
class AuditScope:
    """A site, its rules, and who visits it.

    `aliases` are the names that a host of the site stands for (its CNAME chain). `watched` are
    values to look for in requests, besides what the audit types, each with its kind. With
    `by_catalogue` there is no config: every vendor of the catalogue counts as approved, and only
    the visitor's choice and the page's audience close it.
    """

    rules: Rules
    site: SiteRules
    visitor: AuditVisitor
    today: datetime.date
    cookie_vendors: CookieVendors
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    watched: tuple[tuple[str, str], ...] = ()
    by_catalogue: bool = False
    _decisions: dict[tuple[AuditState, Audience, str], Decision] = field(default_factory=dict)

    def audience_of(self, visit: PageVisit) -> Audience:
        """Whom the page is for: by its address, the visitor's cookies and the origin's marks."""
        names = {cookie.name for cookie in visit.cookies}
        return self.site.audience_of(target_of(visit.url), names, visit.marks)

    def decision(self, state: AuditState, audience: Audience, target: str) -> Decision:
        """The decision for a page in a state."""
        path = target.partition("?")[0]
        key = (state, audience, path)
        known = self._decisions.get(key)
        if known is None:
            page = self.rules.page(self.site, path, audience, self.today)
            known = decide(self.rules, page, self.visitor.in_state(state))
            self._decisions[key] = known
        return known

    def site_decision(self, state: AuditState) -> Decision:
        """The decision for what belongs to no single page: a vendor with a tag anywhere counts."""
        key = (state, Audience.MARKETING, "")
        known = self._decisions.get(key)
        if known is None:
            page = PageContext(self.site, Audience.MARKETING, self.site.tags, self.today)
            known = self._decisions[key] = decide(self.rules, page, self.visitor.in_state(state))
        return known


def target_of(url: str) -> str:
    """Path and query of a page's address."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def with_own_hosts(site: SiteRules, hosts: Iterable[str]) -> SiteRules:
    """The site with more hosts of its own."""
    own = tuple(dict.fromkeys((*site.own_patterns, *hosts)))
    return replace(site, own=HostSet(own), own_patterns=own)


def catalogue_rules(
    vendors: Mapping[str, Vendor],
    own: Iterable[str],
    patient_pages: Iterable[str],
    regime: Regime,
) -> Rules:
    """Rules for a site without a config: every vendor is approved on all of its pages, without an
    agreement for patients' data. `own` are host patterns, `patient_pages` path globs.
    """
    tags = tuple(
        TagRule(vendor, ("/*",), datetime.date.min, datetime.date.max, baa=False)
        for vendor in vendors
    )
    own = tuple(own)
    site = SiteRules(
        name="site",
        upstream="",
        preserve_host=False,
        webrtc=False,
        hosts=HostSet(own),
        own=HostSet(own),
        own_patterns=own,
        audience=Audience.MARKETING,
        enforce=True,
        patient_paths=PatientPaths(patient_pages),
        patient_cookies=frozenset(),
        tags=tags,
        tag_index=TagIndex(tags),
        pins=NO_PINS,
        has_optional_vendors=True,
    )
    return Rules(
        sites=(site,),
        vendors=vendors,
        index=VendorIndex(vendors.values()),
        policy_version="1",
        regions=Regions(regime, {}),
    )
