"""A script of ours in the place of another consent tool that is closed.

The site's own code asks such a tool what the visitor allows (`Cookiebot.consent.marketing`), waits
for its events, and links to its preferences. The script answers by the visitor's choice, and opens
our preferences. It needs the page's own API (`core.js`) before it.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.banner.assets import minified_script, script_part
from proxy.banner.injected_scripts import Script, inline_script
from proxy.html.tool_signs import LINK_ALONE, LINK_MARKS, WITHOUT_VENDOR

_GLOBALS = {
    "cookiebot": ("Cookiebot",),
    "onetrust": ("OneTrust", "Optanon"),
    "usercentrics": ("UC_UI", "__ucCmp"),
    "osano": ("Osano",),
    **WITHOUT_VENDOR,
}
"""The tools whose own API is answered, and the names that it has."""

_OTHERS = {
    "trustarc": "truste",
    "didomi": "Didomi",
    "termly": "Termly displayPreferenceModal",
    "iubenda": "_iub",
    "cookieyes": "revisitCkyConsent",
    "cookie-script": "CookieScript",
    "cookiefirst": "CookieFirst",
    "cookie-information": "CookieConsent CookieInformation",
    "complianz": "",
    "consentmanager": "__cmp",
    "quantcast-choice": "",
    "sourcepoint": "_sp_",
    "google-funding-choices": "googlefc",
    "axeptio": "axeptioSDK openAxeptioCookies",
    "civic-cookie-control": "CookieControl",
    "ketch": "ketch",
    "transcend": "airgap transcend",
    "evidon": "evidon",
    "securiti": "",
    "secure-privacy": "",
    "enzuzo": "",
}
"""The other tools of the catalogue: only what opens their preferences has a meaning."""

_OPENING = ",".join(
    (
        "#ot-sdk-btn,.ot-sdk-show-settings,.optanon-show-settings,.optanon-toggle-display",
        ".cookiebot-renew,[data-cc=show-preferencesModal],[data-cc=c-settings]",
        "[data-klaro-trigger],.open-klaro,#uc-btn-open,[data-uc-open],.osano-cm-widget",
        ".tarteaucitronOpenPanel,#tarteaucitronManager,#teconsent,.cky-banner-element",
        ".iubenda-cs-preferences-link,.iubenda-cs-uspr-link,.termly-display-preferences",
        ".cmplz-show-banner,.cmplz-manage-consent,.didomi-show-preferences,.cmpboxbtnrecall",
        "#csconsentlink,.axeptio-open,.truste-link,#termly-consent-preferences,.cky-btn-revisit",
        "a[href='#cmplz-manage-consent-container'],a[href='#consent-change'],.rcb-sc-link",
        ".borlabs-cookie-open-dialog-preferences,.borlabs-cookie-preference,[data-cookiefirst-action]",
        "a[href='#cmpscreen'],.cmpfooterlinkcmp,.ch2-open-settings-btn,#usercentrics-psl",
        ".cmp-revoke-consent,.iubenda-advertising-preferences-link,#hs_show_banner_button",
        "[onclick*=displayConsentUi],[onclick*=displayUspUi],a[href*=displayConsentUi]",
        "a[href*=displayUspUi]",
    )
)
"""What opens the tools' preferences by its id or class, as their documentation has it."""


def tool_names(vendors: Iterable[str]) -> frozenset[str]:
    """The globals of closed vendors for which the script stands, so that they need no other."""
    found: set[str] = set()
    for vendor in vendors:
        found.update(_GLOBALS.get(vendor, ()), _OTHERS.get(vendor, "").split())
    return frozenset(found)


def _names_of(tool: str) -> tuple[str, ...]:
    return (*_GLOBALS.get(tool, ()), *_OTHERS.get(tool, "").split())


_CALLS = "|".join(sorted({name for tool in (*_GLOBALS, *_OTHERS) for name in _names_of(tool)}))


def consent_tools(closed: Iterable[str]) -> Script | None:
    """The script for closed tools, by vendor id or name, and for links to tools (`tool_signs`);
    None where there is none among them.
    """
    given = frozenset(closed)
    known = sorted({*_GLOBALS, *_OTHERS} & given)
    linked = sorted(
        tool for tool in LINK_MARKS if f"{LINK_ALONE}{tool}" in given and tool not in known
    )
    if not known and not linked:
        return None
    parts = {tool: script_part(f"tools/{tool}.js") for tool in _GLOBALS if tool in known}
    named = " ".join(names for tool in known if (names := _OTHERS.get(tool, "")))
    answered = {name for tool in known for name in _names_of(tool)}
    links = " ".join(name for tool in linked for name in _names_of(tool) if name not in answered)
    data = {"opening": _OPENING, "calls": _CALLS, "named": named, "links": links}
    data = {name: value for name, value in data.items() if value}
    return inline_script(minified_script("tools.js", **parts), data)
