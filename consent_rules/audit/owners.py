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
    LIKELY_COMPANY = "likely company"  # by the name of its domain


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
        if self.how is Ownership.LIKELY_COMPANY:
            return f"likely {self.name}, {self.reason}"
        return f"{self.name}, {self.reason}"


_MIN_NAME = 3
"""Letters of a site's name: shorter ones are parts of many others."""
_MIN_STEM = 7
"""Letters of a name that is left when such words are taken off."""
_FILES = (
    "api", "app", "apps", "asset", "assets", "cache", "cdn", "cdns", "cloud", "cms", "content",
    "data", "dam", "edge", "embed", "files", "fonts", "image", "images", "img", "imgs", "js",
    "media", "mediacdn", "net", "online", "photos", "pics", "player", "res", "resources", "scripts",
    "services", "site", "static", "statics", "usercontent", "video", "videos", "web", "widgets",
)  # fmt: skip
"""What sites call the hosts of their own files."""
_BRANCHES = (
    "blog", "brands", "corp", "digital", "eu", "global", "group", "holding", "holdings", "hq",
    "inc", "interactive", "international", "intl", "labs", "mag", "magazine", "network",
    "networks", "news", "newsroom", "official", "podcast", "press", "publishing", "shop", "shops",
    "store", "tech", "the", "tv", "uk", "usa",
)  # fmt: skip
"""What companies call their branches."""
_WORDS = tuple(sorted({*_FILES, *_BRANCHES}, key=len, reverse=True))
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
        return HostOwner(company, Ownership.COMPANY, "by its domain")
    return _namesake(host)


def _namesake(host: str) -> HostOwner | None:
    """The company whose name a host's domain has, with words for files or branches."""
    stem = _stem(_name_of(host))
    company = _companies_by_stem().get(stem)
    if company is None:
        return None
    return HostOwner(company, Ownership.LIKELY_COMPANY, f"as {quoted(stem)} stands in its name")


@cache
def _companies_by_stem() -> Mapping[str, str]:
    """The name of a domain -> the one company of it; none of short names, which are words."""
    found: dict[str, set[str]] = {}
    for domains in (companies(), _companies_of_vendors()):
        for domain, company in domains.items():
            stem = _stem(_name_of(domain))
            if len(stem) >= _MIN_STEM:
                found.setdefault(stem, set()).add(company)
    return {stem: names.pop() for stem, names in found.items() if len(names) == 1}


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
    stem = _stem(name)
    if stem == _stem(other) and len(stem) >= _MIN_STEM:
        return f"{quoted(stem)} stands in both names, with words for files or branches"
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


def _stem(name: str) -> str:
    """A name without the words for files and branches at its ends, and without hyphens."""
    stem, before = _SEPARATORS.sub("", name).rstrip("0123456789"), ""
    while stem != before:
        before = stem
        for word in _WORDS:
            for shorter in (stem.removesuffix(word), stem.removeprefix(word)):
                if _MIN_STEM <= len(shorter) < len(stem):
                    stem = shorter
    return stem


def _is_files_of(name: str, other: str) -> bool:
    if len(name) <= _MIN_NAME or name not in other:
        return False
    before, _, behind = other.partition(name)
    rest = [part for part in _SEPARATORS.split(f"{before}-{behind}") if part]
    return bool(rest) and all(part.rstrip("0123456789") in _FILES for part in rest)
