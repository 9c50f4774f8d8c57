"""The notice that a visitor saw when choosing: its text, and the purposes and vendors that it
named.

It is rendered again from the configuration in force and from the decision before the choice, and
stored once for each hash, so it holds nothing of a visitor: neither the page nor the day of an
earlier choice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from html import escape

from consent_rules.categories import Audience, Category
from consent_rules.config.theme import Theme
from consent_rules.decision import Decision
from consent_rules.preferences import Preferences
from consent_rules.receipts.canonical import Json, canonical
from consent_rules.rules import SiteRules
from consent_rules.vendors import Vendor
from proxy.banner.assets import AssetKind, assets
from proxy.banner.banner import banner_html, preferences_page
from proxy.banner.placeholder import placeholder_html
from proxy.banner.presenters import banner_view, preferences_view, shown_under, used_categories
from proxy.banner.texts import Texts
from proxy.banner.views import BannerView, PreferencesView
from proxy.consent.choice_form import Choice, ChoiceSurface
from proxy.context import RequestContext
from proxy.runtime import Runtime

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Notice:
    """Canonical JSON, and its SHA-256 in hex."""

    hash: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Heading:
    """What every notice says, whatever its surface."""

    controller: str
    policy_version: str
    policy_url: str
    opt_out_signal: bool


def notice_of(
    choice: Choice, context: RequestContext, runtime: Runtime, lang: str, accept_language: str
) -> Notice:
    """The notice of the surface on which a choice was made. `lang` is what its form says of its
    language, "" if nothing: then it is that of `accept_language`.
    """
    texts = runtime.wording.texts_of(lang) or runtime.wording.texts_for(None, accept_language)
    site, decision, policy = context.site, context.site_decision, runtime.config.policy
    heading = _Heading(policy.controller, policy.version, policy.url or "", decision.gpc)
    if choice.origin is ChoiceSurface.PLACEHOLDER:
        vendors = tuple(v for v in site.listed if v.id in choice.vendors)
        return _placeholder_notice(heading, vendors, runtime.theme, texts)
    purposes = _purposes(site)
    if choice.origin is ChoiceSurface.BANNER:
        banner = banner_view(
            site, policy, decision, return_to="", prefix=runtime.prefix, sends_language=True
        )
        return _banner_notice(heading, purposes, banner, runtime.theme, texts)
    page = _preferences_view(site, decision, context.visitor.preferences, runtime)
    return _preferences_notice(heading, purposes, page, texts)


_Purposes = tuple[tuple[Category, tuple[Vendor, ...]], ...]


def _purposes(site: SiteRules) -> _Purposes:
    """The categories that the site asks about, each with its vendors."""
    return tuple(
        (category, tuple(v for v in site.listed if category in shown_under(site, v)))
        for category in used_categories(site)
    )


def _preferences_view(
    site: SiteRules, decision: Decision, preferences: Preferences | None, runtime: Runtime
) -> PreferencesView:
    view = preferences_view(
        site,
        runtime.config.policy,
        decision,
        preferences,
        audience=Audience.MARKETING,
        return_to="/",
        saved=False,
        prefix=runtime.prefix,
        theme=runtime.theme,
    )
    return replace(view, key="", chosen_on=None, dated=False)


@lru_cache(maxsize=256)
def _banner_notice(
    heading: _Heading, purposes: _Purposes, view: BannerView, theme: Theme, texts: Texts
) -> Notice:
    on = {c.category for c in view.categories if c.on}
    html = _document(assets(theme, AssetKind.UNDECIDED).style, banner_html(view, texts), texts)
    return _notice("banner", heading, purposes, on, html, texts)


@lru_cache(maxsize=256)
def _preferences_notice(
    heading: _Heading, purposes: _Purposes, view: PreferencesView, texts: Texts
) -> Notice:
    on = {c.category for c in view.categories if c.on}
    return _notice("preferences", heading, purposes, on, preferences_page(view, texts), texts)


@lru_cache(maxsize=256)
def _placeholder_notice(
    heading: _Heading, vendors: tuple[Vendor, ...], theme: Theme, texts: Texts
) -> Notice:
    style = assets(theme, AssetKind.PLACEHOLDER).style
    body = "".join(
        placeholder_html(vendor.id, vendor.name, vendor.embed or "other", None, None, texts)
        for vendor in vendors
    )
    purposes = tuple((vendor.category, (vendor,)) for vendor in vendors)
    return _notice("placeholder", heading, purposes, (), _document(style, body, texts), texts)


def _document(style: str, body: str, texts: Texts) -> str:
    return (
        f'<!doctype html>\n<html lang="{escape(texts.lang)}" dir="{escape(texts.dir)}">\n<head>\n'
        f'<meta charset="utf-8">\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n'
        "</html>\n"
    )


def _notice(
    surface: str,
    heading: _Heading,
    purposes: _Purposes,
    on: Collection[Category],
    html: str,
    texts: Texts,
) -> Notice:
    shown: list[Json] = [
        {
            "category": category,
            "title": texts[f"category.{category}.title"],
            "text": texts[f"category.{category}.text"],
            "on": category in on,
            "vendors": [_vendor(vendor) for vendor in vendors],
        }
        for category, vendors in purposes
    ]
    content = canonical(
        {
            "format": FORMAT,
            "surface": surface,
            "language": texts.lang,
            "controller": heading.controller,
            "policy_version": heading.policy_version,
            "policy_url": heading.policy_url,
            "gpc": heading.opt_out_signal,
            "purposes": shown,
            "html": html,
        }
    )
    return Notice(sha256(content).hexdigest(), content)


def _vendor(vendor: Vendor) -> Json:
    return {
        "id": vendor.id,
        "name": vendor.name,
        "company": vendor.company,
        "policy_url": vendor.policy_url,
        "cookies": list(vendor.cookies),
    }
