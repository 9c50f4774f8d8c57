"""What the proxy itself stores on a visitor's device, for the cookie declaration."""

from __future__ import annotations

from consent_rules.catalogue.cookie_details import SESSION, CookiePurpose
from consent_rules.config.load import Config
from consent_rules.vendors import CookieDetail
from proxy.cookies.preference_cookie import (
    LOAD_ONCE_SECONDS,
    SAVED_FORM_COOKIE,
    cookie_name,
    load_once_cookie_name,
)
from proxy.cookies.wp_consent import WP_PREFIX

SAVED_FORM_SECONDS = 30
SAVED_FORM_ITEM = "consent"
"""Of `sessionStorage`: what was typed into forms, while a choice loads the page anew
(`static/banner/save_form.js`)."""


def own_storage(config: Config) -> tuple[CookieDetail, ...]:
    """Names, lifetimes and purposes, as a page reached over HTTPS has them."""
    chosen = f"{config.policy.max_age_days} days"
    domain = config.preferences.cookie_domain
    found = [
        CookieDetail(cookie_name(domain, secure=True), chosen, CookiePurpose.CONSENT),
        CookieDetail(
            load_once_cookie_name(secure=True),
            f"{LOAD_ONCE_SECONDS} seconds",
            CookiePurpose.CONSENT,
        ),
        CookieDetail(SAVED_FORM_COOKIE, f"{SAVED_FORM_SECONDS} seconds", CookiePurpose.SETTINGS),
        CookieDetail(f"{SAVED_FORM_ITEM} (sessionStorage)", SESSION, CookiePurpose.SETTINGS),
    ]
    if config.signals.wp_consent_cookies:
        found.append(CookieDetail(f"{WP_PREFIX}*", chosen, CookiePurpose.CONSENT))
    return tuple(found)
