"""A script of ours in the place of another consent tool that is closed.

The site's own code asks such a tool what the visitor allows (`Cookiebot.consent.marketing`), waits
for its events, and links to its preferences. The script answers by the visitor's choice, and opens
our preferences. It needs the page's own API (`core.js`) before it.
"""

from __future__ import annotations

from collections.abc import Iterable

import ahocorasick_rs

from proxy.banner.assets import minified_script, script_part
from proxy.banner.injected_scripts import Script, inline_script

_GLOBALS = {
    "cookiebot": ("Cookiebot",),
    "onetrust": ("OneTrust", "Optanon"),
    "usercentrics": ("UC_UI",),
    "osano": ("Osano",),
    "klaro": ("klaro",),
    "cookieconsent": ("CookieConsent", "initCookieConsent"),
    "tarteaucitron": ("tarteaucitron",),
}
"""The tools whose own API is answered, and the names that it has."""

_NO_VENDORS = frozenset({"klaro", "cookieconsent", "tarteaucitron"})
"""Of these, those that sites load from hosts on which anybody publishes: no vendor has them."""

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
        "#csconsentlink,.axeptio-open,.truste-link",
    )
)
"""What opens the tools' preferences by its id or class, as their documentation has it."""


def tool_names(vendors: Iterable[str]) -> frozenset[str]:
    """The globals of closed vendors for which the script stands, so that they need no other."""
    found: set[str] = set()
    for vendor in vendors:
        found.update(_GLOBALS.get(vendor, ()), _OTHERS.get(vendor, "").split())
    return frozenset(found)


_USES = tuple(
    (f"{name}{mark}".encode(), tool)
    for tool in sorted(_NO_VENDORS)
    for name in _GLOBALS[tool]
    for mark in (".", "(")
)
_IN_CODE = ahocorasick_rs.BytesAhoCorasick(
    [use for use, _ in _USES], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)


def tools_named(body: bytes) -> frozenset[str]:
    """The tools without a vendor that a page names in its code."""
    return frozenset(_USES[use][1] for use, _, _ in _IN_CODE.find_matches_as_indexes(body))


def consent_tools(closed: Iterable[str]) -> Script | None:
    """The script for closed tools, by vendor id or name; None where there is none among them."""
    known = sorted({*_GLOBALS, *_OTHERS}.intersection(closed))
    if not known:
        return None
    parts = {tool: script_part(f"tools/{tool}.js") for tool in _GLOBALS if tool in known}
    named = " ".join(names for tool in known if (names := _OTHERS.get(tool, "")))
    data = {"opening": _OPENING, **({"named": named} if named else {})}
    return inline_script(minified_script("tools.js", **parts), data)
