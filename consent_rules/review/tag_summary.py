"""Summarise a tag for marketing: its effect for visitors, and its state today."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from consent_rules.catalogue.cookie_details import details_of
from consent_rules.categories import Audience, Category
from consent_rules.config.models import Config, Tag
from consent_rules.config.warnings import EXPIRES_SOON_DAYS
from consent_rules.matching.paths import path_covers, paths_overlap, widest
from consent_rules.review.exposure import (
    ELSEWHERE,
    ExposureCondition,
    PageGroup,
    exposure_of,
    page_groups,
)
from consent_rules.rules import Rules, SiteRules
from consent_rules.vendors import CookieDetail, Vendor
from consent_rules.wording import category_words, counted, join_and

WHAT_IT_DOES: Mapping[Category, str] = {
    Category.NECESSARY: "something the site cannot do without; it runs for everyone, unasked",
    Category.FUNCTIONAL: "an extra feature, such as a map, a video or a chat",
    Category.ANALYTICS: "counts visits and shows which pages help people",
    Category.SESSION_REPLAY: "records how visitors move, click and scroll",
    Category.ADVERTISING: "lets advertising companies see visits, to show ads and measure them",
    Category.SOCIAL: "shows posts and buttons of social networks, which then learn of the visit",
}


@dataclass(frozen=True, slots=True)
class TagSummary:
    """One vendor's tag on one site. `patient` is a sentence on the site's patient pages; `records`
    whether visits are recorded, and how certain that is.
    """

    vendor: str
    name: str
    company: str
    site: str
    pages: tuple[str, ...]
    category: Category
    what: str
    opens: str
    patient: str
    records: str
    cookies: tuple[CookieDetail, ...]
    policy_url: str


@dataclass(frozen=True, slots=True)
class CoveredTags:
    """Numbers of tags, as the config has them: `by` cover the one in question, `others` are
    covered by it.
    """

    by: tuple[int, ...]
    others: tuple[int, ...]


def summarise_tag(
    config: Config, rules: Rules, tag: Tag, site: str, today: datetime.date
) -> TagSummary:
    """`tag` is one of the config's, `site` one of the tag's."""
    vendor = rules.vendors[tag.vendor]
    site_rules = next(one for one in rules.sites if one.name == site)
    regions = (*(code for rule in config.policy.regions for code in rule.regions), ELSEWHERE)
    exposures = {
        group: exposure_of(rules, site_rules, tag.vendor, group, today, regions)
        for group in _groups(site_rules, tag)
    }
    opening = _marketing_first(site_rules, exposures)
    return TagSummary(
        vendor=vendor.id,
        name=vendor.name,
        company=vendor.company,
        site=site,
        pages=tag.pages,
        category=vendor.category,
        what=_what(vendor),
        opens=opening.as_text(),
        patient=_patient(site_rules, exposures),
        records=_records(vendor),
        cookies=details_of(vendor),
        policy_url=vendor.policy_url,
    )


def _what(vendor: Vendor) -> str:
    if not vendor.is_tag_manager:
        return f"{category_words(vendor.category)}: {WHAT_IT_DOES[vendor.category]}"
    kinds = ", ".join(category_words(category) for category in vendor.serves)
    return f"a tag manager, which loads other tools ({kinds}); each is held to the visitor's choice"


def _records(vendor: Vendor) -> str:
    if vendor.category is Category.SESSION_REPLAY:
        return "yes: visitors are always asked first, in every region"
    if Category.SESSION_REPLAY in vendor.serves:
        return "it may load a tool that does; visitors are asked for that first, in every region"
    return "no"


def _groups(site: SiteRules, tag: Tag) -> list[PageGroup]:
    """The pages of a tag, split where another tag of the vendor gives another answer."""
    named = [
        page
        for one in site.tags
        if one.vendor == tag.vendor
        for page in (*one.pages, *one.except_pages)
    ]
    return [
        group
        for group in page_groups((*tag.named_pages, *tag.except_pages, *named), (site,))
        if any(path_covers(page, group.pattern) for page in tag.named_pages)
        and not any(path_covers(out.lower(), group.pattern.lower()) for out in tag.except_pages)
    ]


def _marketing_first(
    site: SiteRules, exposures: Mapping[PageGroup, ExposureCondition]
) -> ExposureCondition:
    """When the vendor is open: on marketing pages, or else on those for patients."""
    opens = [group for group, when in exposures.items() if not when.never]
    opens.sort(key=lambda group: group.audience_on(site) is Audience.PATIENT)
    return exposures[opens[0]] if opens else ExposureCondition()


def _patient(site: SiteRules, exposures: Mapping[PageGroup, ExposureCondition]) -> str:
    known_patient = [
        group
        for group in exposures
        if not group.marked and group.audience_on(site) is Audience.PATIENT
    ]
    opens = [group for group in known_patient if not exposures[group].never]
    closed = [group for group in known_patient if exposures[group].never]
    marked = any(group.marked and not when.never for group, when in exposures.items())
    parts = []
    if opens:
        when = exposures[opens[0]].as_text()
        parts.append(
            f"it runs there too ({_places(site, opens)}; {when}), since baa = true says that an "
            "agreement covers it"
        )
    if closed:
        parts.append(
            f"it stays closed there ({_places(site, closed)}), whatever the visitor chooses"
        )
    if not known_patient:
        parts.append("none of its pages is marked as a patient page")
    if marked and not opens:
        parts.append("it runs on pages that the site itself marks as such, since baa = true")
    return "; ".join(parts)


def _places(site: SiteRules, groups: Iterable[PageGroup]) -> str:
    if site.audience is Audience.PATIENT:
        return "the whole site is for patients"
    groups = tuple(groups)
    paths = widest(group.pattern for group in groups if group.by_path)
    cookies = dict.fromkeys(group.cookie for group in groups if group.cookie)
    return join_and((*paths, *(f"pages seen with the cookie {name}" for name in cookies)))


@dataclass(frozen=True, slots=True)
class TagState:
    """The state of a tag on a day. `days` are those left until it expires, negative after that."""

    state: str
    days: int
    acts: bool


def covered_tags(tags: Sequence[Tag], number: int, today: datetime.date) -> CoveredTags:
    """Which tags make tag `number` have no effect, and which have none because of it. An open tag
    of a vendor is enough, so one whose pages, sites and days another one has changes nothing.
    """
    mine = tags[number]
    others = [(at, tag) for at, tag in enumerate(tags) if at != number]
    return CoveredTags(
        by=tuple(at for at, tag in others if _covers(tag, mine, today)),
        others=tuple(at for at, tag in others if _covers(mine, tag, today)),
    )


def _covers(outer: Tag, inner: Tag, today: datetime.date) -> bool:
    left_out = [
        page
        for page in outer.except_pages
        if not any(path_covers(also, page) for also in inner.except_pages)
    ]
    return (
        outer.vendor == inner.vendor
        and set(outer.sites) >= set(inner.sites)
        and (outer.baa or not inner.baa)
        and outer.approved_on <= max(inner.approved_on, today)
        and outer.expires >= inner.expires > today
        and all(
            any(path_covers(wider, page) for wider in outer.named_pages)
            and not any(paths_overlap(page, without) for without in left_out)
            for page in inner.named_pages
        )
        # Those that name scripts or hashes hold for a vendor's code whatever the page.
        and not (inner.scripts or inner.inline_hashes)
    )


def state_of(config: Config, rules: Rules, tag: Tag, today: datetime.date) -> TagState:
    """In words: `opens with: advertising`, `expired`, `starts later`, `unused`."""
    days = (tag.expires - today).days
    if days <= 0:
        return TagState(f"expired on {tag.expires}: closed", days, acts=False)
    if tag.approved_on > today:
        return TagState(f"starts on {tag.approved_on}: closed until then", days, acts=False)
    openings = (
        _marketing_first(
            site,
            {
                group: exposure_of(rules, site, tag.vendor, group, today)
                for group in _groups(site, tag)
                if not group.marked
            },
        )
        for site in rules.sites
        if site.name in tag.sites
    )
    opening = next((one for one in openings if not one.never), None)
    if opening is None:
        return TagState("unused: none of its pages may show it", days, acts=False)
    soon = f", expires in {counted(days, 'day')}" if days <= EXPIRES_SOON_DAYS else ""
    return TagState(f"{opening.as_text()}{soon}", days, acts=True)
