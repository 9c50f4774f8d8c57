"""The WP Consent API's cookies (https://github.com/WordPress/wp-consent-level-api).

WordPress plugins that support the API read `wp_consent_<category>`, "allow" or "deny", in PHP and
in JavaScript. With `wp_consent_cookies` these cookies mirror the visitor's choice: they are set
with it, corrected on the next page where they were changed, and expired with it. The `Cookie` field
is corrected before it is forwarded to the site.
"""

from __future__ import annotations

from collections.abc import Mapping

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from consent_rules.preferences import Preferences
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in, value_in

WP_PREFIX = "wp_consent_"
_CATEGORIES: Mapping[str, Category] = {
    # The API's "functional" is what a site cannot do without.
    "functional": Category.NECESSARY,
    "preferences": Category.FUNCTIONAL,
    "statistics-anonymous": Category.ANALYTICS,
    "statistics": Category.ANALYTICS,
    "marketing": Category.ADVERTISING,
}


def wp_cookies(preferences: Preferences | None, decision: Decision) -> Mapping[str, str]:
    """The cookies that mirror a choice, name -> value. None before a choice; those of a refusal
    where the preference cookie cannot be read.
    """
    if not decision.unreadable_choice and (preferences is None or preferences.only_vendors):
        return {}
    patient = decision.audience is Audience.PATIENT

    def value(category: Category) -> str:
        if category is Category.NECESSARY:
            return "allow"
        return "allow" if decision.categories[category] and not patient else "deny"

    return {f"{WP_PREFIX}{name}": value(category) for name, category in _CATEGORIES.items()}


def set_wp_cookies(
    context: RequestContext, preferences: Preferences | None, decision: Decision, domain: str
) -> list[str]:
    """Set-Cookie values that correct the browser's cookies.

    `preferences` are those in force from now on, `decision` is the whole site's under them;
    `domain` is that of the preference cookie, or "".
    """
    sent, wanted = context.cookie_header, wp_cookies(preferences, decision)
    end = "; Path=/; SameSite=Lax"
    if domain:
        end += f"; Domain={domain}"
    if context.secure:
        end += "; Secure"
    left = 0 if preferences is None else max(0, preferences.expires_at - int(context.received_at))
    # Without a choice in force they last no longer than the browser runs.
    lasts = f"; Max-Age={left}" if left else ""
    stray = [
        n for n in dict.fromkeys(names_in(sent)) if n.startswith(WP_PREFIX) and n not in wanted
    ]
    wrong = {name: value for name, value in wanted.items() if value_in(sent, name) != value}
    return [
        *(f"{name}=; Max-Age=0{end}" for name in stray),
        *(f"{name}={value}{lasts}{end}" for name, value in wrong.items()),
    ]


def with_wp_cookies(sent: str, wanted: Mapping[str, str]) -> str:
    """A Cookie header in which these cookies have their correct values."""
    if WP_PREFIX not in sent and not wanted:
        return sent
    remaining = [
        pair.strip()
        for pair in sent.split(";")
        if pair.strip() and not pair.strip().startswith(WP_PREFIX)
    ]
    return "; ".join([*remaining, *(f"{name}={value}" for name, value in wanted.items())])
