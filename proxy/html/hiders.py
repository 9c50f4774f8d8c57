"""Styles and scripts that hide a page until a vendor's script shows it again.

Tools for experiments hide what they may change ("anti-flicker"), AMP the whole page until its
runtime is there. Where what shows the page is closed, what hides it has to be closed, too.
"""

from __future__ import annotations

import re

from consent_rules.lazy_pattern import lazy_pattern

_HIDDEN = (
    r"opacity['\"]?\s*[:=]\s*['\"]?0(?!\.\d*[1-9])|visibility['\"]?\s*[:=]\s*['\"]?hidden"
    r"|display['\"]?\s*[:=]\s*['\"]?none"
)
_HIDES = lazy_pattern(_HIDDEN, re.IGNORECASE)
_HIDES_PAGE = lazy_pattern(
    rf"(?<![\w.#-])(?:html|body|:root|\*)[^{{}}]*\{{[^{{}}]*(?:{_HIDDEN})", re.IGNORECASE
)
_VENDORS = tuple(
    (lazy_pattern(pattern, re.IGNORECASE), vendor)
    for pattern, vendor in (
        (r"async-hide", "google-optimize"),
        (r"chartbeat-flicker", "chartbeat"),
        (r"at-(?:body|makers)-style|alloy-prehiding|mbox-?default|mbox-name", "adobe-target"),
        (r"-amp-start|amp4?(?:ads)?-boilerplate", "amp"),
        (r"ab-?tasty", "ab-tasty"),
        (r"kameleoon", "kameleoon"),
        (r"\bconv(?:ert)?[_-](?:\w*hide|page|prevent|anti)|convertexperiments", "convert"),
        (r"dynamic-?yield|\bdy-(?:\w+-)?(?:anti|hid|flicker)", "dynamic-yield"),
        (r"_vis_opt|\bvwo", "vwo"),
        (r"optimizely|\boptly", "optimizely"),
        (r"monetate", "monetate"),
        (r"intelligems", "intelligems"),
        (r"qubit|smartserve", "qubit"),
        (r"omniconvert|mktz", "omniconvert"),
        (r"evolv-", "evolv"),
        (r"ablyft", "ablyft"),
        (r"nosto", "nosto"),
    )
)
"""What stands in the name of such a style, or in its text, and the vendor whose script ends it."""
_FOR_THIS_ALONE = frozenset({"google-optimize", "chartbeat", "adobe-target", "amp"})
"""Vendors whose style of such a name hides nothing but what they show again. Of all others a style
must hide the whole page.
"""
_OF_TEXT = ("async-hide", "-amp-start", "mboxdefault")
"""What identifies a style without a name, in lower case."""
_ANYBODYS = lazy_pattern(
    r"(?:anti|no)-?flicker|pre-?hid(?:e|ing)\b|page-?hid(?:er|ing)", re.IGNORECASE
)
_OF_ANYBODYS = ("flicker", "prehid", "pre-hid", "pagehid", "page-hid")
"""One of these is in every match, in lower case. To look for them takes a fiftieth of the time that
the expression takes for a long script."""

ANY_VENDOR = "*"
"""In place of a vendor: whichever the page loads."""


def hider_vendor(name: str, text: str) -> str:
    """The vendor whose script shows again what a style hides; `ANY_VENDOR` where its name tells
    only what it is for, "" for any other style. `name` is the style's id, classes and attributes.
    """
    lowered = text.lower()
    name = " ".join(filter(None, (name, *(one for one in _OF_TEXT if one in lowered))))
    if not name or not _HIDES.search(text):
        return ""
    for pattern, vendor in _VENDORS:
        if pattern.search(name):
            is_for_this = vendor in _FOR_THIS_ALONE or _HIDES_PAGE.search(text)
            return vendor if is_for_this else ""
    return ANY_VENDOR if _ANYBODYS.search(name) and _HIDES_PAGE.search(text) else ""


def hides_page(script: str) -> bool:
    """Whether an inline script, which no vendor owns, hides the page for whichever it loads."""
    lowered = script.lower()
    if not any(one in lowered for one in _OF_ANYBODYS):
        return False
    return _ANYBODYS.search(script) is not None and _HIDES.search(script) is not None
