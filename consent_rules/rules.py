"""Rules: the part of a configuration that decisions read, as frozen values."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

from consent_rules.categories import Audience
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.path_readings import pages_named
from consent_rules.matching.paths import path_glob
from consent_rules.matching.patient_paths import PatientPaths
from consent_rules.matching.pins import ScriptPins
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.regions import Regions, RegionTerms
from consent_rules.vendors import Vendor
from consent_rules.wording import quoted


@dataclass(frozen=True, slots=True)
class TagRule:
    """A vendor's approval on a site: on `pages`, less `except_pages`."""

    vendor: str
    pages: tuple[str, ...]
    approved_on: datetime.date
    expires: datetime.date
    baa: bool
    except_pages: tuple[str, ...] = ()

    def names(self, path: str) -> bool:
        """Whether the tag matches a path. What is left out is matched as patient pages are: in
        every spelling that a server may take for it.
        """
        if not any(path_glob(page).match(path) for page in self.pages):
            return False
        return not self.except_pages or _left_out(self.except_pages).find(path) is None


@lru_cache(maxsize=1024)
def _left_out(patterns: tuple[str, ...]) -> PatientPaths:
    return PatientPaths(patterns)


PATIENT_PAGE = "(patient page)"
"""The path in logs of a patient page that no path rule matches."""

_MAX_MIXES = 8192


class TagIndex:
    """A site's tags, indexed by the paths that they name: the cost of a page does not grow with the
    tags.

    Equal sets of tags are the same tuple, up to a limit.
    """

    __slots__ = ("_by_segment", "_everywhere", "_loose", "_mixes", "_tags", "vendors")

    def __init__(self, tags: Sequence[TagRule]) -> None:
        self._tags = tuple(tags)
        self.vendors = frozenset(tag.vendor for tag in self._tags)
        """Ids of the vendors that have a tag, on whichever pages."""
        self._by_segment: dict[str, list[int]] = {}
        self._loose: list[int] = []
        everywhere: list[int] = []
        for number, tag in enumerate(tags):
            if "/*" in tag.pages and not tag.except_pages:
                everywhere.append(number)
                continue
            # `/x*` may match any segment that begins with x; `/x/*` and `/x` only x itself.
            firsts = [pattern[1:].partition("/")[0] for pattern in tag.pages]
            if any("*" in first for first in firsts):
                self._loose.append(number)
                continue
            for first in dict.fromkeys(firsts):
                self._by_segment.setdefault(first, []).append(number)
        self._everywhere = tuple(everywhere)
        self._mixes: dict[tuple[int, ...], tuple[TagRule, ...]] = {
            (): tuple(self._tags[number] for number in everywhere)
        }

    def at(self, path: str) -> tuple[TagRule, ...]:
        """The tags that match a path (normal form, without query), in the order of the config."""
        return self._mix(self._special(path))

    def on(self, path: str) -> tuple[TagRule, ...]:
        """The tags of a page. `path` is raw, without query: where a server may take it for one of
        several pages, a tag must match all of them.
        """
        pages = pages_named(path)
        if pages is None:
            return self._mix(())
        special = self._special(pages[0])
        for other in pages[1:]:
            if not special:
                break
            also = frozenset(self._special(other))
            special = tuple(number for number in special if number in also)
        return self._mix(special)

    def _special(self, path: str) -> tuple[int, ...]:
        near = (*self._by_segment.get(path[1:].partition("/")[0], ()), *self._loose)
        return tuple(number for number in near if self._tags[number].names(path))

    def _mix(self, special: tuple[int, ...]) -> tuple[TagRule, ...]:
        known = self._mixes.get(special)
        if known is None:
            if len(self._mixes) > _MAX_MIXES:
                self._mixes = {(): self._mixes[()]}
            numbers = sorted((*self._everywhere, *special))
            known = self._mixes[special] = tuple(self._tags[number] for number in numbers)
        return known


@dataclass(frozen=True, slots=True, eq=False)
class SiteRules:
    """A site as decisions read it. `upstream` is the first of its servers, which are all alike.
    `hosts` are the site's hosts; `own` are these and the config's `first_party`.
    `has_optional_vendors` is set where any tag of the site needs a choice.
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
    patient_paths: PatientPaths
    patient_cookies: frozenset[str]
    tags: tuple[TagRule, ...]
    tag_index: TagIndex
    pins: ScriptPins
    has_optional_vendors: bool
    listed: tuple[Vendor, ...] = field(default=())
    """The vendors with a tag here, for the preferences page, in the order of the config."""
    permissions: frozenset[str] = frozenset()
    patient_permissions: frozenset[str] = frozenset()
    """Sensors that the site's own pages may ask for, by name in Permissions-Policy."""
    tags_digest: str = field(init=False, default="")
    """Equal on every node that has the same tags."""

    def __post_init__(self) -> None:
        digest = blake2b(repr(self.tags).encode(), digest_size=8).hexdigest()
        object.__setattr__(self, "tags_digest", digest)

    @property
    def has_patient_pages(self) -> bool:
        """Whether the config makes any page of the site a patient page."""
        by_rule = bool(self.patient_paths or self.patient_cookies)
        return by_rule or self.audience is Audience.PATIENT

    def logged_path(self, target: str, audience: Audience) -> str:
        """The path of a raw request target for logs: a patient page's path may itself be sensitive,
        so the rule that matches it is logged instead.
        """
        if audience is Audience.PATIENT:
            found = self.patient_paths.find(target)
            return PATIENT_PAGE if found is None or not found.rule else found.rule
        return target.partition("?")[0]

    def audience_of_referrer(self, referrer: str, origin: str) -> Audience:
        """The audience of the page of this site that a request comes from, by its `Referer`.

        `origin` is the site's, such as `https://www.example.com`. Patient pages send no referrer,
        so on a site that has some, a request whose referrer names no page of the site is theirs.
        """
        if not self.has_patient_pages:
            return Audience.MARKETING
        if not referrer.startswith(f"{origin}/"):
            return Audience.PATIENT
        return self.audience_of(referrer[len(origin) :], ())

    def audience_of(
        self, target: str, cookies: Collection[str], marked: Iterable[str] = ()
    ) -> Audience:
        """The strictest audience by the site, the target, the visitor's cookies and the origin's
        marks.

        `target` is a raw path, with its query if there is one: what some server would take for a
        patient page is one (`path_readings`). A mark is a whole header or attribute: `patient`, or
        a list with commas that contains it.
        """
        if self.audience is Audience.PATIENT or has_patient_mark(marked):
            return Audience.PATIENT
        if self.patient_cookies and not self.patient_cookies.isdisjoint(cookies):
            return Audience.PATIENT
        if self.patient_paths.find(target) is not None:
            return Audience.PATIENT
        return self.audience


def why_patient(
    site: SiteRules, target: str, cookies: Collection[str], marked: Iterable[str] = ()
) -> str:
    """Why a page is a patient page, in words; "" for a marketing page."""
    if site.audience is Audience.PATIENT:
        return "the whole site is for patients"
    found = site.patient_paths.find(target)
    if found is not None and found.spelling:
        return f"no honest link is spelled so: {found.spelling}"
    if found is not None:
        return f"rule {quoted(found.rule)}, read as {quoted(found.reading)}"
    if has_patient_mark(marked):
        return "the origin says so"
    named = sorted(site.patient_cookies.intersection(cookies))
    return f"cookie {quoted(named[0])}" if named else ""


def has_patient_mark(marks: Iterable[str]) -> bool:
    """Whether an origin's audience marks contain `patient`."""
    for mark in marks:  # few have one
        if any(word.strip().lower() == Audience.PATIENT for word in mark.split(",")):
            return True
    return False


@dataclass(frozen=True, slots=True)
class PageContext:
    """The page that is decided for: its site and audience, the tags that match its path, and the
    day.
    """

    site: SiteRules
    audience: Audience
    tags: tuple[TagRule, ...]
    today: datetime.date


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Everything that decisions read. Immutable; a reload builds new ones."""

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

    def logged_path(self, target: str) -> str:
        """`SiteRules.logged_path` for a request to an unknown site: it may be meant for any."""
        for site in self.sites:
            if site.audience_of(target, ()) is Audience.PATIENT:
                return site.logged_path(target, Audience.PATIENT)
        return target.partition("?")[0]

    def terms_of(self, region: str) -> RegionTerms:
        """The terms for visitors of a region."""
        return self.regions.terms(region)

    def page(
        self, site: SiteRules, path: str, audience: Audience, today: datetime.date
    ) -> PageContext:
        """The context of a page. `path` is raw, with or without a query."""
        tags = site.tag_index.on(path.partition("?")[0])
        return PageContext(site, audience, tags, today)
