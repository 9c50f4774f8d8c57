"""What a page says of consent tools in its bytes: its code names some, its links lead to some.

Asked of a page once. What is put together from blocks has what each of them says (no sign stands
across the end of one, for a tag begins there), and a page that is patched what its pattern has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import ahocorasick_rs

LINK_ALONE = "link:"
LINK_MARKS = {
    "cookiebot": ("cookiebot-renew", "Cookiebot."),
    "onetrust": ("ot-sdk-", "optanon-", "OneTrust.", "Optanon."),
    "usercentrics": ("UC_UI.", "__ucCmp.", "usercentrics-psl", "data-uc-open", "uc-btn-open"),
    "osano": ("osano-cm-", "Osano."),
    "trustarc": ("truste", "teconsent"),
    "didomi": ("Didomi.", "didomi-show-"),
    "termly": ("displayPreferenceModal", "termly-"),
    "iubenda": ("_iub.", "iubenda-"),
    "cookieyes": ("cky-", "revisitCkyConsent"),
    "cookie-script": ("CookieScript.", "csconsentlink"),
    "cookiefirst": ("CookieFirst.", "data-cookiefirst-action"),
    "cookie-information": ("CookieInformation.", "CookieConsent.renew"),
    "complianz": ("cmplz-",),
    "consentmanager": ("__cmp(", "cmpboxbtnrecall", "cmpscreen", "cmpfooterlinkcmp"),
    "quantcast-choice": ("displayConsentUi", "displayUspUi"),
    "sourcepoint": ("_sp_.",),
    "google-funding-choices": ("googlefc.",),
    "axeptio": ("openAxeptioCookies", "axeptioSDK", "axeptio-open"),
    "civic-cookie-control": ("CookieControl.",),
    "ketch": ("ketch(",),
    "transcend": ("transcend.showConsentManager",),
    "evidon": ("evidon.",),
    "securiti": ("cmp-revoke-consent",),
}
"""What pages have of a tool's own links to its preferences."""

_IN_LINKS = tuple(
    (mark.encode(), tool) for tool, marks in sorted(LINK_MARKS.items()) for mark in marks
)
_LINKED = ahocorasick_rs.BytesAhoCorasick([mark for mark, _ in _IN_LINKS])
# Whether there is any, in a sixth of the time.
_ANY_LINK = ahocorasick_rs.BytesAhoCorasick(
    [mark for mark, _ in _IN_LINKS], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)

WITHOUT_VENDOR = {
    "klaro": ("klaro",),
    "cookieconsent": ("CookieConsent", "initCookieConsent"),
    "tarteaucitron": ("tarteaucitron",),
}
"""Tools that sites load from hosts on which anybody publishes, so that no vendor has them, and the
globals of each.
"""

_USES = tuple(
    (f"{name}{mark}".encode(), tool)
    for tool, names in sorted(WITHOUT_VENDOR.items())
    for name in names
    for mark in (".", "(")
)
_IN_CODE = ahocorasick_rs.BytesAhoCorasick(
    [use for use, _ in _USES], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)


class ToolSigns(NamedTuple):
    """What a page says of consent tools, or a part of one."""

    linked: frozenset[str]
    """The tools to whose preferences it may have a link, each behind `LINK_ALONE`: such a tool has
    no stand-in, since it may be there after all."""
    named: frozenset[str]
    """The tools without a vendor that its code names."""


def tool_signs(text: bytes) -> ToolSigns:
    """What a page says of consent tools, or a part of one."""
    linked = named = frozenset[str]()
    if _ANY_LINK.find_matches_as_indexes(text):
        hits = _LINKED.find_matches_as_indexes(text, overlapping=True)
        linked = frozenset(f"{LINK_ALONE}{_IN_LINKS[hit][1]}" for hit, _, _ in hits)
    uses = _IN_CODE.find_matches_as_indexes(text)
    if uses:
        named = frozenset(_USES[use][1] for use, _, _ in uses)
    return ToolSigns(linked, named)


_NO_SIGNS = ToolSigns(frozenset(), frozenset())


def has_tool_signs(text: bytes) -> bool:
    """Whether a text says anything of consent tools."""
    return tool_signs(text) != _NO_SIGNS


def signs_of_all(parts: Iterable[ToolSigns]) -> ToolSigns:
    """What a page says whose parts say this."""
    linked = named = frozenset[str]()
    for part in parts:
        if part.linked:
            linked |= part.linked
        if part.named:
            named |= part.named
    return ToolSigns(linked, named)
