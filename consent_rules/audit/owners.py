"""Whose a host is that no vendor has, and whether it is the site's own: guesses for people, each
with its reason. They open nothing and are no part of a finding's judgement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from consent_rules.catalogue.load import catalogue
from consent_rules.catalogue.owners import companies, hosting_domains
from consent_rules.config.checks.public_suffixes import icann_suffixes, public_suffixes
from consent_rules.matching.hosts import HostSet, domain_suffixes
from consent_rules.matching.shared_hosts import SHARED_HOSTS
from consent_rules.wording import quoted


class Ownership(StrEnum):
    """How it is known whose a host is."""

    LIKELY_OWN = "likely own"  # the site's, by its name or by its company
    SHARED = "shared host"  # anybody's files are there
    COMPANY = "company"


@dataclass(frozen=True, slots=True)
class HostOwner:
    """`name` is the company's, of a host that is likely the site's own the site's domain. `reason`
    is a clause: "the same name under another ending".
    """

    name: str
    how: Ownership
    reason: str

    @property
    def words(self) -> str:
        """For behind the host's name: `Amazon CloudFront, where anybody's files are`."""
        if self.how is Ownership.LIKELY_OWN:
            return f"likely the site's own: {self.reason}"
        if self.how is Ownership.SHARED:
            return f"{self.name}, where anybody's files are"
        return self.name


_MIN_NAME = 3
"""Letters of a site's name: shorter ones are parts of many others."""
_FILES = (
    "api", "app", "apps", "asset", "assets", "cdn", "cdns", "cms", "content", "data", "files",
    "fonts", "image", "images", "img", "imgs", "js", "media", "mediacdn", "net", "online", "pics",
    "photos", "res", "scripts", "services", "site", "static", "statics", "usercontent", "video",
    "videos", "web",
)  # fmt: skip
"""What sites call the hosts of their own files."""
_SHARED = tuple((one.name, HostSet(one.hosts)) for one in SHARED_HOSTS)
_SEPARATORS = re.compile(r"[-_.]+")


def owner_of_host(host: str, own: Iterable[str]) -> HostOwner | None:
    """Whose a host is. `own` are the host patterns of the site. None where nobody knows."""
    company = company_of(host)
    for pattern in own:
        site = pattern.removeprefix("*.")
        if company and company == company_of(site):
            return HostOwner(site, Ownership.LIKELY_OWN, f"of {company}, as {site} is")
        reason = _likeness(host, site)
        if reason:
            return HostOwner(site, Ownership.LIKELY_OWN, reason)
    shared = _publisher_of(host)
    if shared:
        return HostOwner(shared, Ownership.SHARED, "anybody may publish there")
    if company:
        return HostOwner(company, Ownership.COMPANY, "its domain")
    return None


def company_of(host: str) -> str:
    """The company that owns a host; "" for one that is not known."""
    known = companies()
    of_vendors = _companies_of_vendors()
    names = (known.get(one) or of_vendors.get(one) for one in domain_suffixes(host))
    return next((name for name in names if name), "")


@cache
def _companies_of_vendors() -> Mapping[str, str]:
    """Domain -> company, for the domains on which one company's vendors of the catalogue are. They
    name what is no vendor's: another host or path there, a connection that is only announced.
    """
    found: dict[str, set[str]] = {}
    for vendor in catalogue().values():
        for pattern in (*vendor.hosts, *vendor.paths):
            host = pattern.partition("/")[0].removeprefix("*.")
            domain = icann_suffixes().privatesuffix(host)
            if domain is not None and not _publisher_of(host) and not _publisher_of(domain):
                found.setdefault(domain, set()).add(vendor.company or vendor.name)
    return {domain: names.pop() for domain, names in found.items() if len(names) == 1}


def _likeness(host: str, site: str) -> str:
    """Why a host's name says that it is a site's own; "" where it does not."""
    name = _name_of(site)
    if len(name) < _MIN_NAME:
        return ""
    other = _name_of(host)
    if other == name:
        return "the same name under another ending"
    if _is_files_of(name, other):
        return f"its name is {quoted(name)} with a word for files"
    domain = icann_suffixes().privatesuffix(host)
    is_hosting = any(one in hosting_domains() for one in domain_suffixes(host))
    if domain is None or not (is_hosting or _publisher_of(host)):
        return ""
    # Of a host that serves many: the part before its domain says whose files they are.
    label = host.removesuffix(domain).strip(".")
    if len(name) > _MIN_NAME and name in _SEPARATORS.split(label):
        return f"{quoted(name)} stands in its name at {domain}"
    return ""


def _publisher_of(host: str) -> str:
    """The name of a host where anybody publishes; "" for any other."""
    return next((name for name, hosts in _SHARED if hosts.holds(host, None)), "")


def _name_of(host: str) -> str:
    """`example` of `www.example.co.uk`."""
    domain = icann_suffixes().privatesuffix(host) or public_suffixes().privatesuffix(host) or host
    return domain.partition(".")[0]


def _is_files_of(name: str, other: str) -> bool:
    if len(name) <= _MIN_NAME or name not in other:
        return False
    before, _, behind = other.partition(name)
    rest = [part for part in _SEPARATORS.split(f"{before}-{behind}") if part]
    return bool(rest) and all(part.rstrip("0123456789") in _FILES for part in rest)
