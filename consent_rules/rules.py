"""Rules: what the decision needs of a configuration, as values."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consent_rules.categories import Audience
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.paths import glob_regex
from consent_rules.matching.pins import ScriptPins
from consent_rules.matching.urls import normal_path
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.regions import Regions, RegionTerms
from consent_rules.vendors import Vendor

_PARAMETERS = re.compile(r";[^/]*")


@dataclass(frozen=True, slots=True)
class TagRule:
    """A vendor's approval on a site."""

    vendor: str
    pages: tuple[str, ...]
    approved_on: datetime.date
    expires: datetime.date
    baa: bool

    def names(self, path: str) -> bool:
        return any(glob_regex(page).match(path) for page in self.pages)


_MAX_MIXES = 8192


class TagIndex:
    """A site's tags by the paths that they name: what a page costs does not grow with the tags.

    Equal mixes of tags are the same tuple, as long as there are not too many.
    """

    __slots__ = ("_by_segment", "_everywhere", "_loose", "_mixes", "_tags")

    def __init__(self, tags: Sequence[TagRule]) -> None:
        self._tags = tuple(tags)
        self._by_segment: dict[str, list[int]] = {}
        self._loose: list[int] = []
        everywhere: list[int] = []
        for number, tag in enumerate(tags):
            if "/*" in tag.pages:
                everywhere.append(number)
                continue
            # `/x*` may name any segment that begins with x; `/x/*` and `/x` only x itself.
            firsts = [pattern[1:].partition("/")[0] for pattern in tag.pages]
            if any("*" in first for first in firsts):
                self._loose.append(number)
                continue
            for first in dict.fromkeys(firsts):
                self._by_segment.setdefault(first, []).append(number)
        self._everywhere = tuple(everywhere)
        self._mixes = {(): tuple(self._tags[number] for number in everywhere)}

    def at(self, path: str) -> tuple[TagRule, ...]:
        """The tags that name a path (normal, without query), in the order of the config."""
        near = (*self._by_segment.get(path[1:].partition("/")[0], ()), *self._loose)
        special = tuple(number for number in near if self._tags[number].names(path))
        known = self._mixes.get(special)
        if known is None:
            if len(self._mixes) > _MAX_MIXES:
                self._mixes = {(): self._mixes[()]}
            numbers = sorted((*self._everywhere, *special))
            known = self._mixes[special] = tuple(self._tags[number] for number in numbers)
        return known


@dataclass(frozen=True, slots=True, eq=False)
class SiteRules:
    """A site as the decision sees it.

    `hosts` answer to the site; `own` are its hosts and the config's `first_party`. `asks` tells
    whether any tag of the site needs a choice at all.
    """

    name: str
    upstream: str
    preserve_host: bool
    webrtc: bool
    hosts: HostSet
    own: HostSet
    own_patterns: tuple[str, ...]
    audience: Audience
    enforce: bool
    patient_paths: tuple[re.Pattern[str], ...]
    patient_globs: tuple[str, ...]
    patient_cookies: frozenset[str]
    tags: tuple[TagRule, ...]
    tag_index: TagIndex
    pins: ScriptPins
    asks: bool
    listed: tuple[Vendor, ...] = field(default=())
    """The vendors with a tag here, for the preferences page, in the order of the config."""
    permissions: frozenset[str] = frozenset()
    patient_permissions: frozenset[str] = frozenset()
    """Sensors that the site's own pages may ask for, by name in Permissions-Policy."""

    @property
    def has_patient_pages(self) -> bool:
        """Whether any page of the site may be for patients, as far as the config tells."""
        by_rule = bool(self.patient_paths or self.patient_cookies)
        return by_rule or self.audience is Audience.PATIENT

    def audience_of(
        self, path: str, cookies: Collection[str], marked: Iterable[str] = ()
    ) -> Audience:
        """The strictest of what the site, the path, the visitor's cookies and the origin say.

        `path` is raw. Paths are compared without regard to case, as given and normalised: a
        page that the site's server would show as a patient page must be one here. A mark is a
        whole header or attribute: `patient`, or a list with commas that holds it.
        """
        if self.audience is Audience.PATIENT or says_patient(marked):
            return Audience.PATIENT
        if self.patient_cookies and not self.patient_cookies.isdisjoint(cookies):
            return Audience.PATIENT
        if self.patient_paths and any(
            glob.match(reading) for reading in _readings(path) for glob in self.patient_paths
        ):
            return Audience.PATIENT
        return self.audience


def says_patient(marks: Iterable[str]) -> bool:
    """Whether what an origin says of a page's audience names patients."""
    return any(
        word.strip().lower() == Audience.PATIENT for mark in marks for word in mark.split(",")
    )


def _readings(path: str) -> set[str]:
    """A raw path in the ways that servers read it, lower case.

    Servlet containers drop the `;parameters` of each segment, before or after they decode it;
    frameworks take `/pay` and `/pay/` for one page.
    """
    raw = path.partition("?")[0]
    clean = normal_path(raw)
    found = {raw.lower(), clean.lower()}
    if ";" in raw or ";" in clean:
        found.add(normal_path(_PARAMETERS.sub("", raw)).lower())
        found.add(normal_path(_PARAMETERS.sub("", clean)).lower())
    found |= {reading.rstrip("/") or "/" for reading in found}
    return found | {f"{reading}/" for reading in found if not reading.endswith("/")}


@dataclass(frozen=True, slots=True)
class PageContext:
    """What is asked for: the site, for whom the page is, which tags name its path, and the day."""

    site: SiteRules
    audience: Audience
    tags: tuple[TagRule, ...]
    today: datetime.date


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Everything a decision needs. Immutable; a reload makes a new one."""

    sites: tuple[SiteRules, ...]
    vendors: Mapping[str, Vendor]
    index: VendorIndex
    policy_version: str
    regions: Regions

    def site_of(self, host: str, port: int | None) -> SiteRules | None:
        """The site that answers to a host (normalised, without port), or None."""
        for site in self.sites:
            if site.hosts.holds(host, port):
                return site
        return None

    def terms_of(self, region: str) -> RegionTerms:
        """What holds for visitors of a region."""
        return self.regions.terms(region)

    def page(
        self, site: SiteRules, path: str, audience: Audience, today: datetime.date
    ) -> PageContext:
        """The context of a page. `path` is raw, with or without a query."""
        clean = normal_path(path.partition("?")[0])
        return PageContext(site, audience, site.tag_index.at(clean), today)
