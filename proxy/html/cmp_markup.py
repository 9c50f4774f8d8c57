"""Markup of other consent tools: scripts and frames held back by a type and a mark.

Such a page need not be rewritten to move to us. A marked script belongs to its vendor like any
other, and is turned on when its vendor is open; one of the site's own, when the visitor allowed
the categories that the mark names. Otherwise it is never run. A marked frame is turned on with its
vendor.

The marks, as the tools' documentation shows them:

    data-category               orestbida/cookieconsent 3, Complianz (and data-service), c15t
    data-cookiecategory         orestbida/cookieconsent 2, CookieScript, Pandectes
    data-name, data-type        Klaro
    data-cookieconsent          Cookiebot
    optanon-category-* (class)  OneTrust
    data-cookieyes              CookieYes
    _iub_cs_activate (class)    iubenda, with data-iub-purposes
    data-usercentrics, uc-src   Usercentrics
    data-cookiefirst-category   CookieFirst
    data-vendor                 Didomi, with the type didomi/javascript
    data-borlabs-cookie-*-id    Borlabs Cookie 3
    consent-id                  Real Cookie Banner, with the type application/consent
    data-categories             Termly
    data-osano                  Osano
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from consent_rules.categories import CHOOSABLE, FOREIGN_NAMES, Category
from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.owners import AllowedCategory, KnownVendor, Owner
from proxy.html.tree import Element

_CATEGORY_NAMES: Mapping[str, Category] = {
    **FOREIGN_NAMES,
    # OneTrust's own groups.
    "c0001": Category.NECESSARY,
    "c0002": Category.ANALYTICS,
    "c0003": Category.FUNCTIONAL,
    "c0004": Category.ADVERTISING,
    "c0005": Category.SOCIAL,
    # c15t, Osano, CookieScript, Termly.
    "measurement": Category.ANALYTICS,
    "experience": Category.FUNCTIONAL,
    "personalization": Category.FUNCTIONAL,
    "strict": Category.NECESSARY,
    "social_networking": Category.SOCIAL,
}
_PURPOSES: Mapping[str, Category] = {
    "1": Category.NECESSARY,
    "2": Category.FUNCTIONAL,
    "3": Category.FUNCTIONAL,
    "4": Category.ANALYTICS,
    "5": Category.ADVERTISING,
}
"""iubenda's: necessary, functionality, experience, measurement, marketing."""

_HELD_TYPES = frozenset({"text/plain", "javascript/blocked", "didomi/javascript",
                         "application/consent", "text/template"})  # fmt: skip
_CATEGORY_MARKS = (
    "data-category", "data-cookieconsent", "data-cookiecategory", "data-cookieyes",
    "data-cookiefirst-category", "data-categories", "data-osano",
)  # fmt: skip
_VENDOR_MARKS = (
    "data-name", "data-service", "data-usercentrics", "data-vendor",
    "data-borlabs-cookie-script-blocker-id", "data-borlabs-cookie-content-blocker-id", "consent-id",
)  # fmt: skip
_BORLABS = "data-borlabs-cookie-"
_OPTANON = lazy_pattern(r"(?:^|\s)optanon-category-(\S+)", re.IGNORECASE)
_IUBENDA = lazy_pattern(r"(?:^|\s)_iub_cs_activate(?:-inline)?(?:\s|\Z)")
_NAME = lazy_pattern(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NOT_A_NAME = lazy_pattern(r"[^a-z0-9]+")
_SEPARATORS = lazy_pattern(r"[\s,;]+")

HELD_ADDRESS = "consent-original-src-_"
"""Real Cookie Banner's name for an address, which does not end as the others do."""
_FRAME_ADDRESSES = ("uc-src", "data-src-cmplz")
"""Names that are marks by themselves."""


def marks_of(element: Element) -> frozenset[Owner]:
    """The condition of a marked script or frame: categories, or a vendor by the tool's name of it.
    Empty where it is not marked, or by unknown words.
    """
    is_frame = element.tag == "iframe"
    kind = (element.attr("type") or "").strip().lower()
    if not is_frame and kind not in _HELD_TYPES:
        return frozenset()
    if kind == "text/template" and not any(name.startswith(_BORLABS) for name in element.attrs):
        return frozenset()
    for name in _CATEGORY_MARKS:
        value = element.attr(name)
        if value:
            return _categories(_SEPARATORS.split(value.strip()))
    classes = element.attr("class") or ""
    found = _OPTANON.search(classes)
    if found:
        return _categories(found[1].split("-"))
    if _IUBENDA.search(classes):
        return _purposes(element.attr("data-iub-purposes") or "")
    for name in _VENDOR_MARKS:
        value = (element.attr(name) or "").strip().lower().removeprefix("c:")
        service = _NOT_A_NAME.sub("-", value).strip("-")
        if _NAME.fullmatch(service):
            return frozenset({KnownVendor(service)})
    if is_frame and any(element.attr(name) for name in _FRAME_ADDRESSES):
        return frozenset({KnownVendor("marked-frame")})
    return frozenset()


def _categories(words: list[str]) -> frozenset[Owner]:
    """The categories of a mark, if all are known: `!analytics` (run when refused) or a site's own
    word is not.
    """
    lowered = (word.lower().removeprefix("cookieyes-") for word in words if word)
    known = [_CATEGORY_NAMES.get(word) for word in lowered]
    if not known or None in known:
        return frozenset()
    return frozenset(AllowedCategory(category) for category in known if category is not None)


def _purposes(value: str) -> frozenset[Owner]:
    """iubenda's purposes; without any, and with unknown ones, the consent to all."""
    known = [_PURPOSES.get(word) for word in _SEPARATORS.split(value.strip()) if word]
    if not known or None in known:
        return frozenset(map(AllowedCategory, CHOOSABLE))
    return frozenset(AllowedCategory(category) for category in known if category is not None)
