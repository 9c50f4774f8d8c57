"""Who receives a request: the site itself, a vendor (also in disguise), or a host nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent_rules.audit.findings import Rule
from consent_rules.audit.wire_formats import vendor_by_format
from consent_rules.matching.urls import resolve
from consent_rules.rules import Rules, SiteRules
from consent_rules.vendors import Vendor


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver other than the site. `rule` is CONTACT, or the disguise: DISGUISED_HOST, OWN_PATH.
    `vendor` is None for a host that neither the catalogue nor the config knows.
    """

    host: str
    vendor: Vendor | None
    rule: Rule = Rule.CONTACT
    detail: str = ""

    @property
    def id(self) -> str:
        return "" if self.vendor is None else self.vendor.id

    @property
    def name(self) -> str:
        return self.host if self.vendor is None else self.vendor.name


def receiver_of(
    url: str,
    body: str,
    rules: Rules,
    site: SiteRules,
    aliases: Mapping[str, tuple[str, ...]],
) -> Receiver | None:
    """The receiver of a request; None for the site itself and for what needs no network."""
    target = resolve(url, None)
    if target is None or not target.host:
        return None
    named = target.host if target.port is None else f"{target.host}:{target.port}"
    if site.own.holds(target.host, target.port):
        return _in_disguise(url, body, target.host, target.path, rules, aliases)
    vendor = rules.index.vendor_of_url(target.host, target.port, target.path)
    if vendor is None:
        vendor = rules.vendors.get(vendor_by_format(url, body))
        if vendor is not None:
            detail = f"known by what it was sent: {vendor.name}'s own format"
            return Receiver(named, vendor, detail=detail)
    return Receiver(named, vendor)


def _in_disguise(
    url: str,
    body: str,
    host: str,
    path: str,
    rules: Rules,
    aliases: Mapping[str, tuple[str, ...]],
) -> Receiver | None:
    for alias in aliases.get(host, ()):
        vendor = rules.index.vendor_of_url(alias, None, path)
        if vendor is not None:
            detail = f"{host} is a name for {alias}, a host of {vendor.name}"
            return Receiver(host, vendor, Rule.DISGUISED_HOST, detail)
    raw = urlsplit(url).path
    for vendor in rules.index.vendors_of_own_request(raw):
        detail = f"{path} is where {vendor.name} is passed on by sites"
        return Receiver(host, vendor, Rule.OWN_PATH, detail)
    vendor = rules.vendors.get(vendor_by_format(url, body))
    if vendor is None:
        return None
    detail = f"{path} was sent {vendor.name}'s own format"
    return Receiver(host, vendor, Rule.OWN_PATH, detail)
