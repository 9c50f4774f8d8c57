"""SiteEnforcement: what enforcement reads of the configuration of one site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from consent_rules.config.load import Config
from consent_rules.decision import Decision
from consent_rules.matching.libraries import Libraries
from consent_rules.rules import Rules, SiteRules
from consent_rules.vendors import Vendor
from proxy.cookies.vendor_cookies import CookieIndex
from proxy.enforcement.csp import decision_policy, endpoints_amendment
from proxy.html import Boundary
from proxy.http.recent import Recent

PolicyOf = Callable[[Decision | None], str]
"""The Content-Security-Policy of a decision; the closed one, which opens nothing, for None."""

_MAX_POLICIES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class SiteEnforcement:
    """The settings of one site that enforcement reads.

    `upstream_host` replaces the visitor's Host in the upstream request, if it is not None; `prefix`
    is the path of our endpoints; `trusted_headers` are additional fields that only a trusted proxy
    may set. With `consent_header` the upstream gets the decision.
    """

    boundary: Boundary
    cookies: CookieIndex
    policy: PolicyOf
    prefix: str
    upstream_host: str | None
    trusted_headers: tuple[str, ...]
    cookie_domain: str
    wp_consent_cookies: bool
    consent_header: bool


def site_boundary(site: SiteRules, config: Config, rules: Rules, libraries: Libraries) -> Boundary:
    """A site's boundary, by the config and the catalogue."""
    prefix = config.proxy.prefix
    hosts = next(one.hosts for one in config.sites if one.name == site.name)
    return Boundary(
        own=site.own,
        index=rules.index,
        preferences_url=f"{prefix}/preferences",
        pins=site.pins,
        amend_policy=endpoints_amendment(hosts, prefix, libraries.hosts),
        libraries=libraries,
    )


def policies(site: SiteRules, vendors: Mapping[str, Vendor], report_uri: str) -> PolicyOf:
    """The policies of a site's decisions, each made once."""
    made: Recent[str] = Recent(_MAX_POLICIES)

    def policy(decision: Decision | None) -> str:
        opened = frozenset[str]() if decision is None else decision.open
        text = made.get(opened)
        if text is None:
            found = [vendors[vendor] for vendor in sorted(opened)]
            text = decision_policy(site.own_patterns, found, report_uri=report_uri)
            made.put(opened, text)
        return text

    return policy
