"""Decision -> the view models of the banner and the preferences page."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from hashlib import blake2b

from consent_rules.categories import CHOOSABLE, LIMITED, SALE_OR_SHARING, Audience, Category
from consent_rules.config.load import Policy
from consent_rules.config.theme import Theme
from consent_rules.decision import Decision
from consent_rules.preferences import Preferences
from consent_rules.rules import SiteRules
from consent_rules.vendors import Vendor
from proxy.banner.placeholder import placeholder_kind
from proxy.banner.views import (
    AskedView,
    BannerView,
    CategoryView,
    PageState,
    PreferencesView,
    VendorView,
    state_key,
)


def used_categories(site: SiteRules) -> tuple[Category, ...]:
    """The choosable categories of the site's tags, in order."""
    used = {vendor.category for vendor in site.listed if not vendor.is_tag_manager}
    if not used:
        used = {vendor.category for vendor in site.listed}
    return tuple(category for category in CHOOSABLE if category in used)


def shown_under(site: SiteRules, vendor: Vendor) -> tuple[Category, ...]:
    """The categories that a vendor is listed under. A tag manager is open when any category that it
    serves is allowed, so it stands under each of those that the site asks about.
    """
    if vendor.is_tag_manager:
        served = tuple(c for c in used_categories(site) if c in vendor.serves)
        if served:
            return served
    return (vendor.category,)


def has_sale_or_sharing(site: SiteRules) -> bool:
    """Whether the site has tools that state laws may call sale or sharing."""
    return not SALE_OR_SHARING.isdisjoint(used_categories(site))


def _opted_out(site: SiteRules, decision: Decision, preferences: Preferences | None) -> bool:
    """Whether nothing that sells or shares can run because of the visitor's choice or the browser's
    signal.
    """
    if preferences is None and not decision.gpc:
        return False
    kinds = site_vendors(site)
    excepted = any(yes and kinds.get(v) in SALE_OR_SHARING for v, yes in decision.exceptions)
    return not excepted and not any(decision.categories[c] for c in SALE_OR_SHARING)


def _limited(site: SiteRules, decision: Decision, preferences: Preferences | None) -> bool:
    """Whether the visitor allows no more than extra features."""
    if preferences is None or preferences.only_vendors:
        return False
    open_ones = {c for c in used_categories(site) if decision.categories[c]}
    return open_ones <= LIMITED and not any(yes for _, yes in decision.exceptions)


def site_vendors(site: SiteRules) -> Mapping[str, Category]:
    """The vendors that a visitor may make an exception for, id -> category."""
    return {vendor.id: vendor.category for vendor in site.listed}


def _category_views(
    site: SiteRules, decision: Decision, preferences: Preferences | None, *, detailed: bool
) -> tuple[CategoryView, ...]:
    exceptions = preferences.vendors if preferences is not None else {}
    views = []
    for category in (Category.NECESSARY, *used_categories(site)):
        listed = tuple(v for v in site.listed if detailed and category in shown_under(site, v))
        if category is Category.NECESSARY and not listed:
            continue
        on = decision.categories[category]
        views.append(
            CategoryView(
                category=category,
                on=on,
                vendors=tuple(_vendor_view(vendor, exceptions) for vendor in listed),
                held_by_gpc=decision.gpc
                and not on
                and category in SALE_OR_SHARING
                and (preferences is None or category in preferences.allowed),
            )
        )
    return tuple(views)


def _vendor_view(vendor: Vendor, exceptions: Mapping[str, bool]) -> VendorView:
    return VendorView(
        id=vendor.id,
        name=vendor.name,
        company=vendor.company,
        policy_url=vendor.policy_url,
        cookies=vendor.cookies,
        exception=exceptions.get(vendor.id),
        switchable=not vendor.is_tag_manager and vendor.category is not Category.NECESSARY,
    )


def page_state(site: SiteRules, decision: Decision, *, decided: bool) -> PageState:
    """The state for the page's script."""
    used = used_categories(site)
    return PageState(
        on=tuple(category for category in used if decision.categories[category]),
        off=tuple(category for category in used if not decision.categories[category]),
        decided=decided,
        exceptions=decision.exceptions,
        gpc=decision.gpc,
        key=decision_key(site, decision),
    )


def decision_key(site: SiteRules, decision: Decision) -> str:
    """A digest of a decision for the site's marketing pages; "" on a patient page, where no choice
    counts.

    Equal on every page and node while neither the choice nor the site's tags change: by it the
    script detects that a page from the browser's cache is out of date.
    """
    if decision.audience is Audience.PATIENT:
        return ""
    on = (category for category in CHOOSABLE if decision.categories[category])
    parts = (*on, decision.show_banner, decision.gpc, decision.exceptions, site.tags_digest)
    return blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def _key(site: SiteRules, decision: Decision) -> str:
    used, open_now = used_categories(site), decision.categories
    on, off = ([c for c in used if open_now[c] is wanted] for wanted in (True, False))
    return state_key(on, off, decision.exceptions)


def banner_view(
    site: SiteRules,
    policy: Policy,
    decision: Decision,
    *,
    return_to: str,
    prefix: str,
    sends_language: bool = False,
) -> BannerView:
    """The first layer."""
    return BannerView(
        controller=policy.controller,
        policy_url=policy.url or "",
        categories=_category_views(site, decision, None, detailed=False),
        gpc=decision.gpc,
        return_to=return_to,
        prefix=prefix,
        sends_language=sends_language,
    )


def _asked_view(site: SiteRules, asked: str) -> AskedView | None:
    found = next((vendor for vendor in site.listed if vendor.id == asked), None)
    if found is None:
        return None
    return AskedView(found.id, found.name, placeholder_kind(found.embed))


def preferences_view(
    site: SiteRules,
    policy: Policy,
    decision: Decision,
    preferences: Preferences | None,
    *,
    audience: Audience,
    return_to: str,
    saved: bool,
    erased: bool = False,
    receipt_id: str = "",
    prefix: str,
    theme: Theme,
    asked: str = "",
) -> PreferencesView:
    """The preferences page. `asked` is the id of a vendor to ask about, or anything else."""
    chosen_on = None
    ended = preferences is not None and preferences.lapsed and preferences.allows_something
    if preferences is not None and not preferences.only_vendors and not ended:
        chosen_on = datetime.datetime.fromtimestamp(preferences.made_at, datetime.UTC).date()
    return PreferencesView(
        controller=policy.controller,
        policy_url=policy.url or "",
        categories=_category_views(site, decision, preferences, detailed=True),
        contact=policy.contact or "",
        opt_out=decision.opt_out_link and has_sale_or_sharing(site),
        opted_out=_opted_out(site, decision, preferences),
        limit=decision.limit_link and not LIMITED.issuperset(used_categories(site)),
        limited=_limited(site, decision, preferences),
        key=_key(site, decision) if preferences is not None else "",
        # A visitor who allowed it later, in spite of the signal, would read here that it is off.
        gpc=decision.gpc and _opted_out(site, decision, preferences),
        chosen_on=chosen_on,
        saved=saved,
        erased=erased,
        receipt_id=receipt_id,
        audience=audience,
        return_to=return_to,
        prefix=prefix,
        keep_days=policy.max_age_days,
        asked=_asked_view(site, asked),
        theme=theme,
    )
