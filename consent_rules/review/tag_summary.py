"""Summarise a tag for marketing: its effect for visitors, and its state today."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from consent_rules.catalogue.cookie_details import details_of
from consent_rules.categories import Audience, Category
from consent_rules.config.models import Config, Site, Tag
from consent_rules.config.warnings import EXPIRES_SOON_DAYS
from consent_rules.decision import may_act_for_patients
from consent_rules.matching.paths import paths_meet
from consent_rules.review.diff import ELSEWHERE, ExposureCondition, exposure_of
from consent_rules.rules import Rules
from consent_rules.vendors import CookieDetail, Vendor
from consent_rules.wording import category_words

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


def summarise_tag(
    config: Config, rules: Rules, tag: Tag, site: str, today: datetime.date
) -> TagSummary:
    """`tag` is one of the config's, `site` one of the tag's."""
    vendor = rules.vendors[tag.vendor]
    site_rules = next(one for one in rules.sites if one.name == site)
    table = next(one for one in config.sites if one.name == site)
    regions = (*(code for rule in config.policy.regions for code in rule.regions), ELSEWHERE)
    openings = [
        exposure_of(rules, site_rules, tag.vendor, page, today, regions) for page in tag.pages
    ]
    opening = next((one for one in openings if not one.never), ExposureCondition())
    return TagSummary(
        vendor=vendor.id,
        name=vendor.name,
        company=vendor.company,
        site=site,
        pages=tag.pages,
        category=vendor.category,
        what=_what(vendor),
        opens=opening.as_text(),
        patient=_patient(tag, vendor, table),
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


def _patient(tag: Tag, vendor: Vendor, site: Site) -> str:
    if site.audience is Audience.PATIENT:
        where = "the whole site is for patients"
    else:
        paths = [
            rule.path
            for rule in site.pages
            if rule.path is not None
            and rule.audience is Audience.PATIENT
            and any(paths_meet(page.lower(), rule.path.lower()) for page in tag.pages)
        ]
        cookies = [
            f"pages seen with the cookie {rule.when_cookie}"
            for rule in site.pages
            if rule.when_cookie is not None and rule.audience is Audience.PATIENT
        ]
        if not (paths or cookies):
            return "none of its pages is marked as a patient page"
        where = ", ".join((*paths, *cookies))
    if may_act_for_patients(vendor, baa=tag.baa):
        return f"it runs there too ({where}), since baa = true as_text an agreement covers it"
    return f"it stays closed there ({where}), whatever the visitor chooses: nothing leaks"


@dataclass(frozen=True, slots=True)
class TagState:
    """The state of a tag on a day. `days` are those left until it expires, negative after that."""

    state: str
    days: int
    acts: bool


def state_of(config: Config, rules: Rules, tag: Tag, today: datetime.date) -> TagState:
    """In words: `opens with: advertising`, `expired`, `starts later`, `unused`."""
    days = (tag.expires - today).days
    if days <= 0:
        return TagState(f"expired on {tag.expires}: closed", days, acts=False)
    if tag.approved_on > today:
        return TagState(f"starts on {tag.approved_on}: closed until then", days, acts=False)
    openings = [
        exposure_of(rules, site, tag.vendor, page, today)
        for site in rules.sites
        if site.name in tag.sites
        for page in tag.pages
    ]
    opening = next((one for one in openings if not one.never), None)
    if opening is None:
        return TagState("unused: none of its pages may show it", days, acts=False)
    soon = f", expires in {days} day{'s' if days != 1 else ''}" if days <= EXPIRES_SOON_DAYS else ""
    return TagState(f"{opening.as_text()}{soon}", days, acts=True)
