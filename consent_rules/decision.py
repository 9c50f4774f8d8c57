"""decide(): which vendors may act on a page for a visitor, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from consent_rules.categories import (
    ALWAYS_ASKS,
    PATIENT_CATEGORIES,
    SALE_OR_SHARING,
    Audience,
    Category,
    Regime,
)
from consent_rules.preferences import Preferences
from consent_rules.regions import RegionTerms
from consent_rules.rules import PageContext, Rules, SiteRules, TagRule
from consent_rules.vendors import Vendor


class Reason(StrEnum):
    """Why a vendor is open or closed. The text is shown by `explain`."""

    NECESSARY = "necessary: needs no choice"
    CHOSEN_VENDOR = "the visitor allowed this vendor"
    CHOSEN_ONCE = "the visitor asked for this vendor once"
    CHOSEN_CATEGORY = "the visitor allowed this category"
    SERVES_OPEN_CATEGORY = "a tag manager; a category that it serves is allowed"
    REGIME_ALLOWS = "no choice yet; the region's rule is opt-out"
    REFUSED_VENDOR = "the visitor refused this vendor"
    REFUSED_CATEGORY = "the visitor refused this category"
    NOTHING_SERVED = "a tag manager; no category that it serves is allowed"
    NOT_CHOSEN = "no choice yet; the region's rule is opt-in"
    ASKS_HERE = "no choice yet; the region's rule is mixed: advertising and social ask first"
    UNREADABLE_CHOICE = (
        "the visitor's preference cookie cannot be read: closed until the visitor chooses again"
    )
    ALWAYS_ASKS = "no choice yet; session replay always asks"
    GPC = "the browser sends an opt-out preference signal (GPC)"
    PATIENT_PAGE = "patient page: closed whatever the visitor chose"
    NO_TAG = "no approved tag for this site and page"
    EXPIRED_TAG = "the tag's approval has expired"
    NOT_YET_APPROVED = "the tag's approval starts later"
    UNKNOWN = "a third party without an approval"


_OPENING = frozenset(
    {
        Reason.NECESSARY,
        Reason.CHOSEN_VENDOR,
        Reason.CHOSEN_ONCE,
        Reason.CHOSEN_CATEGORY,
        Reason.SERVES_OPEN_CATEGORY,
        Reason.REGIME_ALLOWS,
    }
)

UNCHOOSABLE = frozenset(
    {Reason.NO_TAG, Reason.PATIENT_PAGE, Reason.EXPIRED_TAG, Reason.NOT_YET_APPROVED}
)
"""Reasons that no choice of the visitor changes."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The visitor's class. `region` is an ISO 3166-1 or 3166-2 code ("US", "US-CA") or "".

    `once` are ids of vendors that the visitor requested for this one page ("load once").
    `unreadable_choice` is set where a preference cookie cannot be read: it may hold a refusal.
    `ask_later` is set where the law of the region forbids showing the banner again yet
    (`ask_again_from`). `bot` is a crawler or a link preview: it gets no banner, and nothing else
    differs.
    """

    preferences: Preferences | None = None
    gpc: bool = False
    region: str = ""
    once: frozenset[str] = frozenset()
    unreadable_choice: bool = False
    ask_later: bool = False
    bot: bool = False


@dataclass(frozen=True, slots=True)
class VendorDecision:
    """Whether one vendor is open on this page for this visitor, and why."""

    open: bool
    reason: Reason


_NO_TAG = VendorDecision(False, Reason.NO_TAG)
_UNKNOWN = VendorDecision(False, Reason.UNKNOWN)
_PATIENT = VendorDecision(False, Reason.PATIENT_PAGE)


@dataclass(frozen=True, slots=True)
class Decision:
    """The vendors that may act on a page. Equal decisions give equal pages.

    `signalled` are those open vendors whose tags get a consent call (`Vendor.signal`).
    """

    audience: Audience
    regime: Regime
    opt_out_link: bool
    limit_link: bool
    enforce: bool
    gpc: bool
    unreadable_choice: bool
    show_banner: bool
    categories: Mapping[Category, bool]
    exceptions: tuple[tuple[str, bool], ...]
    by_vendor: Mapping[str, VendorDecision]
    open: frozenset[str]
    signalled: frozenset[str]

    def for_vendor(self, vendor_id: str | None) -> VendorDecision:
        """The result for a vendor, or for an unknown third party (None)."""
        if vendor_id is None:
            return _PATIENT if self.audience is Audience.PATIENT else _UNKNOWN
        known = self.by_vendor.get(vendor_id)
        if known is not None:
            return known
        return _PATIENT if self.audience is Audience.PATIENT else _NO_TAG


def decide(rules: Rules, page: PageContext, visitor: Visitor) -> Decision:
    """Decide for one page and one visitor. Pure: the same values give the same decision."""
    terms = rules.terms_of(visitor.region)
    regime = terms.regime
    preferences = visitor.preferences
    categories: dict[Category, VendorDecision] = {
        category: _category(category, rules, visitor, regime) for category in Category
    }
    by_vendor: dict[str, VendorDecision] = {}
    for tag in page.tags:
        vendor = rules.vendors.get(tag.vendor)
        if vendor is None:
            continue
        decided = _tag(tag, vendor, page, visitor, rules, categories)
        # Two tags may name one vendor (say, for two approvals): an open one is enough.
        if decided.open or tag.vendor not in by_vendor:
            by_vendor[tag.vendor] = decided
    patient = page.audience is Audience.PATIENT
    is_open = frozenset(v for v, decided in by_vendor.items() if decided.open)
    return Decision(
        audience=page.audience,
        regime=regime,
        opt_out_link=terms.opt_out_link,
        limit_link=terms.limit_link,
        enforce=patient or page.site.enforce,
        gpc=visitor.gpc,
        unreadable_choice=visitor.unreadable_choice,
        show_banner=not (patient or visitor.ask_later or visitor.bot)
        and page.site.has_optional_vendors
        and must_ask(preferences, rules.policy_version),
        categories=MappingProxyType({c: a.open for c, a in categories.items()}),
        exceptions=() if preferences is None else tuple(sorted(preferences.vendors.items())),
        by_vendor=MappingProxyType(by_vendor),
        open=is_open,
        signalled=frozenset(v for v in is_open if rules.vendors[v].signal),
    )


def must_ask(preferences: Preferences | None, policy_version: str) -> bool:
    """Whether the visitor has yet to choose under the current policy.

    A new policy version shows the banner again to visitors who allowed something. A visitor who
    refused everything does not see it again: a refusal outlives the policy.
    """
    if preferences is None or preferences.only_vendors or preferences.ask_again:
        return True
    return not _is_current(preferences, policy_version) and preferences.allows_something


def ask_again_from(site: SiteRules, preferences: Preferences | None, terms: RegionTerms) -> float:
    """When the law of the region permits showing the banner to this visitor again (seconds since
    1970; 0: at any time): `ask_again_days` after an opt-out of sale or sharing.
    """
    if not terms.ask_again_days or preferences is None or preferences.only_vendors:
        return 0
    sold = {vendor.category for vendor in site.listed} & SALE_OR_SHARING
    if sold <= preferences.allowed:
        return 0
    return preferences.made_at + terms.ask_again_days * 86_400


def _is_current(preferences: Preferences, policy_version: str) -> bool:
    """Whether an acceptance still holds: given to the present policy version, and not expired."""
    return preferences.policy_version == policy_version and not preferences.lapsed


def _tag(
    tag: TagRule,
    vendor: Vendor,
    page: PageContext,
    visitor: Visitor,
    rules: Rules,
    categories: Mapping[Category, VendorDecision],
) -> VendorDecision:
    if page.audience is Audience.PATIENT and not may_act_for_patients(vendor, baa=tag.baa):
        return _PATIENT
    if page.today >= tag.expires:
        return VendorDecision(False, Reason.EXPIRED_TAG)
    if page.today < tag.approved_on:
        return VendorDecision(False, Reason.NOT_YET_APPROVED)
    if vendor.category is Category.NECESSARY:
        return VendorDecision(True, Reason.NECESSARY)
    exception = _exception(vendor, rules, visitor)
    if exception is not None:
        return exception
    if vendor.is_tag_manager:
        if any(categories[served].open for served in vendor.serves):
            return VendorDecision(True, Reason.SERVES_OPEN_CATEGORY)
        return VendorDecision(False, Reason.NOTHING_SERVED)
    return categories[vendor.category]


def may_act_for_patients(vendor: Vendor, *, baa: bool) -> bool:
    """Rule 1: on a patient page a third party needs `baa = true`, and a category for patients.

    A tag manager has none: whatever else it loads would come with it.
    """
    return baa and vendor.category in PATIENT_CATEGORIES and not vendor.is_tag_manager


def _exception(vendor: Vendor, rules: Rules, visitor: Visitor) -> VendorDecision | None:
    if vendor.id in visitor.once:
        return VendorDecision(True, Reason.CHOSEN_ONCE)
    chosen = visitor.preferences
    if chosen is None:
        return None
    allowed = chosen.vendors.get(vendor.id)
    if allowed is None:
        return None
    if not allowed:
        return VendorDecision(False, Reason.REFUSED_VENDOR)
    if vendor.is_tag_manager:
        return None  # an exception for it has no effect: it follows the vendors that it serves
    if not _is_current(chosen, rules.policy_version):
        return None
    if visitor.gpc and vendor.category in SALE_OR_SHARING and not chosen.under_gpc:
        return VendorDecision(False, Reason.GPC)
    return VendorDecision(True, Reason.CHOSEN_VENDOR)


def _category(category: Category, rules: Rules, visitor: Visitor, regime: Regime) -> VendorDecision:
    if category is Category.NECESSARY:
        return VendorDecision(True, Reason.NECESSARY)
    if visitor.unreadable_choice:
        return VendorDecision(False, Reason.UNREADABLE_CHOICE)
    chosen = visitor.preferences
    if chosen is not None and chosen.only_vendors:
        chosen = None
    if chosen is not None and category not in chosen.allowed:
        return VendorDecision(False, Reason.REFUSED_CATEGORY)
    if visitor.gpc and category in SALE_OR_SHARING and not _chose_after_gpc(chosen, rules):
        return VendorDecision(False, Reason.GPC)
    # An acceptance holds for the policy that it was given to.
    if chosen is not None and _is_current(chosen, rules.policy_version):
        return VendorDecision(True, Reason.CHOSEN_CATEGORY)
    if category in ALWAYS_ASKS:
        return VendorDecision(False, Reason.ALWAYS_ASKS)
    if regime is Regime.MIXED and category in SALE_OR_SHARING:
        return VendorDecision(False, Reason.ASKS_HERE)
    if regime is not Regime.OPT_IN:
        return VendorDecision(True, Reason.REGIME_ALLOWS)
    return VendorDecision(False, Reason.NOT_CHOSEN)


def _chose_after_gpc(chosen: Preferences | None, rules: Rules) -> bool:
    """Rule 4: only a choice made while the signal was on overrides it."""
    return chosen is not None and chosen.under_gpc and _is_current(chosen, rules.policy_version)
