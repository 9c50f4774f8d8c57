"""Compile a config and the catalogue to rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from consent_rules.categories import Audience, Category
from consent_rules.config.models import Config, Policy, Site, Tag
from consent_rules.config.vendor_overlay import all_vendors
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.patient_paths import PatientPaths
from consent_rules.matching.pins import ScriptPins, script_pins
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.regions import RegionOverride, Regions
from consent_rules.rules import Rules, SiteRules, TagIndex, TagRule
from consent_rules.vendors import Vendor


def build_rules(
    config: Config,
    catalogue: Mapping[str, Vendor],
    vendors: Mapping[str, Vendor] | None = None,
) -> Rules:
    """`vendors` are the catalogue's with the config's laid over them, if they are known already."""
    vendors = all_vendors(config, catalogue) if vendors is None else vendors
    return Rules(
        sites=tuple(_site_rules(site, config.tags, vendors) for site in config.sites),
        vendors=vendors,
        index=VendorIndex(vendors.values()),
        policy_version=config.policy.version,
        regions=regions_of(config.policy),
    )


def regions_of(policy: Policy) -> Regions:
    """The terms of every region, from the config's policy and the table of laws."""
    overrides = {
        code: RegionOverride(rule.regime, rule.opt_out_link, rule.limit_link)
        for rule in policy.regions
        for code in rule.regions
    }
    return Regions(policy.regime, overrides)


def pins_of(tags: Iterable[Tag]) -> ScriptPins:
    """The pins of all of a site's tags."""
    every = tuple(tags)
    return script_pins(
        ((pin.url, pin.integrity) for tag in every for pin in tag.scripts),
        ((tag.vendor, tag.inline_hashes) for tag in every if tag.inline_hashes),
    )


def _site_rules(site: Site, tags: Iterable[Tag], vendors: Mapping[str, Vendor]) -> SiteRules:
    own = (*site.hosts, *site.first_party)
    mine = tuple(tag for tag in tags if site.name in tag.sites and tag.vendor in vendors)
    listed = {tag.vendor: vendors[tag.vendor] for tag in mine}
    rules = tuple(
        TagRule(
            vendor=tag.vendor,
            pages=tag.named_pages,
            except_pages=tag.except_pages,
            approved_on=tag.approved_on,
            expires=tag.expires,
            baa=tag.baa,
        )
        for tag in mine
    )
    patient = [page for page in site.pages if Audience(page.audience) is Audience.PATIENT]
    return SiteRules(
        name=site.name,
        upstream=site.upstream[0],
        preserve_host=site.preserve_host,
        webrtc=site.webrtc,
        permissions=frozenset(map(str, site.permissions)),
        patient_permissions=frozenset(map(str, site.patient_permissions)),
        hosts=HostSet(site.hosts),
        own=HostSet(own),
        own_patterns=own,
        audience=Audience(site.audience),
        enforce=site.mode == "enforce",
        patient_paths=PatientPaths(page.path for page in patient if page.path),
        patient_cookies=frozenset(page.when_cookie for page in patient if page.when_cookie),
        tags=rules,
        tag_index=TagIndex(rules),
        pins=pins_of(mine),
        has_optional_vendors=any(
            vendor.category is not Category.NECESSARY for vendor in listed.values()
        ),
        listed=tuple(listed.values()),
    )
