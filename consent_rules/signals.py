"""What the tags that do run are told about the visitor's choice.

Google Consent Mode v2: seven types, each "granted" or "denied". All seven are sent, for one
that is not set counts as neither (https://developers.google.com/tag-platform/security/guides/consent).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from consent_rules.categories import Category

_CONSENT_MODE: Mapping[str, Category] = {
    "ad_storage": Category.ADVERTISING,
    "ad_user_data": Category.ADVERTISING,
    "ad_personalization": Category.ADVERTISING,
    "analytics_storage": Category.ANALYTICS,
    "functionality_storage": Category.FUNCTIONAL,
    "personalization_storage": Category.FUNCTIONAL,
    "security_storage": Category.NECESSARY,
}

GOOGLE_VENDORS = frozenset({"google-tag-manager", "google-analytics", "google-ads"})
"""The vendors that read Consent Mode."""


def consent_mode(categories: Mapping[Category, bool]) -> dict[str, str]:
    """The visitor's true state in Consent Mode's types."""
    return {
        name: "granted" if categories.get(category, False) else "denied"
        for name, category in _CONSENT_MODE.items()
    }


def consent_mode_script(categories: Mapping[Category, bool]) -> str:
    """The script that must run before any Google tag. ASCII only.

    The state is known before the page is written, so there is nothing to wait for; and
    `url_passthrough` stays off, for it would carry click identifiers from page to page.
    """
    state = json.dumps(consent_mode(categories), separators=(",", ":"))
    return (
        "window.dataLayer=window.dataLayer||[];"
        "window.gtag=window.gtag||function(){dataLayer.push(arguments)};"
        f"gtag('consent','default',{state});"
        "gtag('set','ads_data_redaction',true);gtag('set','url_passthrough',false)"
    )
