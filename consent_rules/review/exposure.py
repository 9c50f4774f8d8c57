"""Exposure: for which visitors a vendor is open on groups of a site's pages, asked of decide()."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from consent_rules.categories import CHOOSABLE, Audience, Category
from consent_rules.decision import Visitor, decide
from consent_rules.matching.paths import common_paths
from consent_rules.preferences import Preferences
from consent_rules.rules import Rules, SiteRules
from consent_rules.wording import category_words, join_and, join_or

ELSEWHERE = ""
"""The region of visitors for whom no region rule stands."""

_WITNESS = "\ue000"
"""Stands in a path for what a star of its pattern matches, and nothing else does."""

_MAX_GROUPS = 400


@dataclass(frozen=True, slots=True)
class ExposureCondition:
    """When a vendor is open on some pages.

    `with_any` are the categories of which one is enough. `unasked` are the regions where it is open
    before any choice (ELSEWHERE for all others). `always` needs no choice at all.
    """

    always: bool = False
    with_any: tuple[Category, ...] = ()
    unasked: tuple[str, ...] = ()

    @property
    def never(self) -> bool:
        return self == ExposureCondition()

    def as_text(self) -> str:
        """`opens with: advertising`, as people say it."""
        if self.always:
            return "open for everyone, without a choice"
        parts = []
        if self.with_any:
            parts.append(f"opens with: {join_or(map(category_words, self.with_any))}")
        if self.unasked:
            parts.append(f"before any choice: open {regions_text(self.unasked)}")
        return "; ".join(parts) or "closed"

    def is_wider_than(self, other: ExposureCondition) -> bool:
        """Whether it opens for visitors for whom the other stays closed."""
        if self.always or other.always:
            return self.always and not other.always
        return bool(
            set(self.with_any) - set(other.with_any) or set(self.unasked) - set(other.unasked)
        )


@dataclass(frozen=True, slots=True)
class PageGroup:
    """The pages of a pattern: by their path alone, with a cookie, or marked by the origin as for
    patients (`X-Page-Audience`)."""

    pattern: str
    cookie: str = ""
    marked: bool = False

    @property
    def by_path(self) -> bool:
        return not (self.cookie or self.marked)

    @property
    def path(self) -> str:
        """A path that the pattern names, and no narrower one."""
        return self.pattern.replace("*", _WITNESS)

    def audience_on(self, site: SiteRules) -> Audience:
        """For whom its pages are, as far as the config and the group tell."""
        cookies = (self.cookie,) if self.cookie else ()
        return site.audience_of(self.path, cookies, ("patient",) if self.marked else ())


def page_groups(patterns: Iterable[str], sites: Iterable[SiteRules]) -> tuple[PageGroup, ...]:
    """Groups fine enough that within each, less the narrower ones, a tag for `patterns` meets one
    answer: the patterns, what they have in common with each other and with the patient pages of
    the sites, and the pages that a cookie or a mark makes patient pages.
    """
    sites = tuple(sites)
    named = _closed_under_common(patterns)
    patient = _closed_under_common(p for site in sites for p in site.patient_paths.patterns)
    found = dict.fromkeys(map(PageGroup, named))
    found |= dict.fromkeys(
        PageGroup(common)
        for pattern in named
        for rule in patient
        for common in common_paths(pattern, rule)
    )
    cookies = sorted({cookie for site in sites for cookie in site.patient_cookies})
    found |= dict.fromkeys(PageGroup(p, cookie=cookie) for cookie in cookies for p in named)
    found |= dict.fromkeys(PageGroup(p, marked=True) for p in named)
    return tuple(found)


def _closed_under_common(patterns: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(patterns)
    given = tuple(found)
    for number, one in enumerate(given):
        for other in given[number + 1 :]:
            if len(found) > _MAX_GROUPS:
                return tuple(found)
            found |= dict.fromkeys(common_paths(one, other))
    return tuple(found)


def exposure_of(
    rules: Rules,
    site: SiteRules,
    vendor_id: str,
    pages: PageGroup,
    today: datetime.date,
    regions: Iterable[str] = (ELSEWHERE,),
) -> ExposureCondition:
    """When a vendor is open on the pages of a group. What a site only observes counts as closed
    here all the same: so its decision has it."""
    context = rules.page(site, pages.path, pages.audience_on(site), today)

    def is_open(preferences: Preferences | None, region: str = ELSEWHERE) -> bool:
        decision = decide(rules, context, Visitor(preferences, region=region))
        return vendor_id in decision.open

    def chosen(*allowed: Category) -> Preferences:
        return Preferences(frozenset(allowed), rules.policy_version)

    if not any(tag.vendor == vendor_id for tag in context.tags):
        return ExposureCondition()
    if is_open(chosen()):
        return ExposureCondition(always=True)
    return ExposureCondition(
        with_any=tuple(c for c in CHOOSABLE if is_open(chosen(c))),
        unasked=tuple(region for region in regions if is_open(None, region)),
    )


def regions_text(regions: Iterable[str]) -> str:
    """`in US and every region without a rule`."""
    named = list(regions)
    if named == [ELSEWHERE]:
        return "everywhere without a rule of its own"
    return "in " + join_and(region or "every region without a rule" for region in named)
