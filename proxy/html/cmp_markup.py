"""Markup of other consent tools: scripts held back by `type="text/plain"` and a mark.

Such a page need not be rewritten to move to us. A marked script belongs to its vendor like any
other, and is turned on when its vendor is open; one of the site's own, when the visitor allowed
the categories that the mark names. Otherwise it is never run.

The marks, as the tools' documentation shows them: `data-category` (orestbida/cookieconsent,
"Manage scripts"), `data-name` and `data-type` (Klaro, "Managing third-party services"),
`data-cookieconsent` (Cookiebot, "Manual implementation"), `optanon-category-*` (OneTrust, "Script
rewriting").
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from consent_rules.categories import FOREIGN_NAMES, Category
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
}
_OPTANON = re.compile(r"(?:^|\s)optanon-category-(\S+)", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SEPARATORS = re.compile(r"[\s,;]+")


def marks_of(element: Element) -> frozenset[Owner]:
    """The condition of a marked script: categories, or a vendor by Klaro's name of it. Empty where
    it is not marked, or by unknown words.
    """
    if (element.attr("type") or "").strip().lower() != "text/plain":
        return frozenset()
    for name in ("data-category", "data-cookieconsent"):
        value = element.attr(name)
        if value:
            return _categories(_SEPARATORS.split(value.strip()))
    found = _OPTANON.search(element.attr("class") or "")
    if found:
        return _categories(found[1].split("-"))
    service = (element.attr("data-name") or "").strip().lower()
    return frozenset({KnownVendor(service)}) if _NAME.fullmatch(service) else frozenset()


def _categories(words: list[str]) -> frozenset[Owner]:
    """The categories of a mark, if all are known: `!analytics` (run when refused) or a site's own
    word is not.
    """
    known = [_CATEGORY_NAMES.get(word.lower()) for word in words if word]
    if not known or None in known:
        return frozenset()
    return frozenset(AllowedCategory(category) for category in known if category is not None)
