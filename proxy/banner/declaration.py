"""The cookie declaration: which companies have tools on a site, what they store and for how long.

Made from the config and the catalogue: a page, JSON, and a part for the site's own policy page. It
is the same for every visitor.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from markupsafe import Markup

from consent_rules.catalogue.cookie_details import (
    SESSION,
    CookiePurpose,
    details_of,
    third_party_details,
)
from consent_rules.categories import Category
from consent_rules.config.load import Config
from consent_rules.config.theme import Theme
from consent_rules.rules import SiteRules
from consent_rules.vendors import CookieDetail, Vendor
from proxy.banner.assets import AssetKind, assets
from proxy.banner.banner import environment
from proxy.banner.presenters import shown_under
from proxy.banner.texts import Texts

_PART_LEVEL = 3
"""Of the headings in a site's own page: below its title and the heading of its section."""


@dataclass(frozen=True, slots=True)
class DeclaredCookie:
    """One cookie in the visitor's language. `purpose` is "" where it is unknown."""

    name: str
    purpose: str
    lifetime: str


@dataclass(frozen=True, slots=True)
class DeclaredVendor:
    """One company's tool. `embed` is set where it shows content in frames, which may set cookies
    of the company's own domain: more than those that are known.
    """

    id: str
    name: str
    company: str
    policy_url: str
    cookies: tuple[DeclaredCookie, ...]
    embed: bool = False


@dataclass(frozen=True, slots=True)
class DeclaredCategory:
    """The vendors of one category."""

    category: Category
    title: str
    text: str
    vendors: tuple[DeclaredVendor, ...]


def vendors_on(site: SiteRules, today: datetime.date) -> tuple[str, ...]:
    """The vendors with a tag that is in force, in the order of the config."""
    return tuple(
        dict.fromkeys(tag.vendor for tag in site.tags if tag.approved_on <= today < tag.expires)
    )


def declaration(
    site: SiteRules,
    config: Config,
    texts: Texts,
    vendors: Collection[str],
    own: Collection[CookieDetail],
) -> tuple[DeclaredCategory, ...]:
    """The site's declaration, by category. `vendors` are ids, from `vendors_on`, `own` is
    what the proxy itself stores (`cookies.own_storage`).
    """
    listed = [vendor for vendor in site.listed if vendor.id in vendors]
    found = []
    for category in Category:
        declared = [_vendor(v, texts) for v in listed if category in shown_under(site, v)]
        if category is Category.NECESSARY:
            declared.insert(0, _own(config, own, texts))
        if declared:
            title, text = (texts[f"category.{category}.{key}"] for key in ("title", "text"))
            found.append(DeclaredCategory(category, title, text, tuple(declared)))
    return tuple(found)


def _own(config: Config, own: Iterable[CookieDetail], texts: Texts) -> DeclaredVendor:
    """The site itself: what the proxy stores on the visitor's device."""
    cookies = tuple(_cookie(detail, texts) for detail in own)
    return DeclaredVendor("", config.policy.controller, "", config.policy.url or "", cookies)


def _vendor(vendor: Vendor, texts: Texts) -> DeclaredVendor:
    return DeclaredVendor(
        vendor.id,
        vendor.name,
        vendor.company if vendor.company.lower() != vendor.name.lower() else "",
        vendor.policy_url,
        tuple(
            _cookie(detail, texts)
            for detail in (*details_of(vendor), *third_party_details().get(vendor.id, ()))
        ),
        embed=bool(vendor.embed),
    )


def _cookie(detail: CookieDetail, texts: Texts) -> DeclaredCookie:
    known = detail.purpose in set(CookiePurpose)
    purpose = texts[f"cookie.{detail.purpose}"] if known else detail.purpose
    return DeclaredCookie(detail.name, purpose, _lifetime(detail.lifetime, texts))


def _lifetime(lifetime: str, texts: Texts) -> str:
    if not lifetime:
        return texts["declaration.unknown"]
    if lifetime == SESSION:
        return texts["declaration.session"]
    count, unit = lifetime.split()
    return texts.count(f"lifetime.{unit.removesuffix('s')}", int(count), "count")


def declaration_part(found: tuple[DeclaredCategory, ...], texts: Texts, *, prefix: str) -> str:
    """For the site's own policy page: no style, no script, no id."""
    return _rendered("declaration_part.html", found, texts, prefix, level=_PART_LEVEL)


def declaration_page(
    found: tuple[DeclaredCategory, ...],
    texts: Texts,
    *,
    prefix: str,
    theme: Theme,
    controller: str,
) -> str:
    """The whole page. Its CSP needs the style's hash of `assets(theme, AssetKind.PREFERENCES)`."""
    style = Markup(assets(theme, AssetKind.PREFERENCES).style)  # noqa: S704 - ours
    return _rendered(
        "declaration.html", found, texts, prefix, level=2, style=style, controller=controller
    )


def _rendered(
    template: str,
    found: tuple[DeclaredCategory, ...],
    texts: Texts,
    prefix: str,
    **more: Any,
) -> str:
    only_own = all(not vendor.id for category in found for vendor in category.vendors)
    return (
        environment()
        .get_template(template)
        .render(categories=found, t=texts, prefix=prefix, only_own=only_own, **more)
    )


def declaration_json(found: tuple[DeclaredCategory, ...], texts: Texts) -> dict[str, Any]:
    """For a site that renders the declaration itself."""
    return {"language": texts.lang, "categories": [asdict(category) for category in found]}
