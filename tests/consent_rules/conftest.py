"""A catalogue of a few vendors, so that no test depends on what the real one says today."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from consent_rules.categories import Category
from consent_rules.vendors import Vendor

_VENDORS = (
    Vendor(
        id="google-analytics",
        name="Google Analytics",
        category=Category.ANALYTICS,
        company="Google",
        hosts=("*.google-analytics.com",),
        inline=("gtag('config', 'G-",),
    ),
    Vendor(
        id="google-tag-manager",
        name="Google Tag Manager",
        category=Category.FUNCTIONAL,
        company="Google",
        hosts=("www.googletagmanager.com",),
        serves=(Category.ANALYTICS, Category.ADVERTISING),
    ),
    Vendor(
        id="meta-pixel",
        name="Meta Pixel",
        category=Category.ADVERTISING,
        company="Meta",
        hosts=("connect.facebook.net",),
        paths=("www.facebook.com/tr", "shared-cdn.example/meta/*"),
        inline=("fbq(",),
    ),
    Vendor(
        id="matomo",
        name="Matomo",
        category=Category.ANALYTICS,
        company="InnoCraft",
        hosts=("*.matomo.cloud",),
        inline=("_paq.push",),
    ),
    Vendor(
        id="google-fonts",
        name="Google Fonts",
        category=Category.FUNCTIONAL,
        company="Google",
        hosts=("fonts.gstatic.com",),
        policy_url="https://policies.google.com/privacy",
        looks=True,
    ),
    Vendor(
        id="zendesk",
        name="Zendesk",
        category=Category.FUNCTIONAL,
        company="Zendesk",
        hosts=("static.zdassets.com",),
        policy_url="https://www.zendesk.com/privacy",
    ),
    Vendor(
        id="stripe",
        name="Stripe",
        category=Category.NECESSARY,
        company="Stripe",
        hosts=("js.stripe.com",),
    ),
)


@pytest.fixture(scope="session")
def catalogue() -> Mapping[str, Vendor]:
    return {vendor.id: vendor for vendor in _VENDORS}
