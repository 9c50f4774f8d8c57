"""A service of another consent tool: its fields and their types."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from consent_rules.categories import FOREIGN_NAMES, Category
from consent_rules.config.toml.editing import Value
from consent_rules.importers.js_literals import UNREADABLE, Regex
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor


class Tool(StrEnum):
    """A consent tool whose configuration we read."""

    KLARO = "klaro"
    COOKIECONSENT = "cookieconsent"
    TARTEAUCITRON = "tarteaucitron"


class NothingToImportError(ValueError):
    """The file holds no configuration of the tool. The message names what was expected."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the other tool. `vendor` is our id for it, "" where there is none."""

    name: str
    title: str
    vendor: str
    category: Category | None
    cookies: tuple[str, ...] = ()


@dataclass(slots=True)
class ImportResult:
    """The imported services. `left_out` has a sentence for each one that could not be converted."""

    tool: Tool
    services: list[Service] = field(default_factory=list)
    policy: dict[str, Value | int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


_ALIASES: Mapping[str, str] = {
    "ga": "google-analytics",
    "ga4": "google-analytics",
    "gtag": "google-analytics",
    "gajs": "google-analytics",
    "analytics": "google-analytics",
    "multiplegtag": "google-analytics",
    "gtm": "google-tag-manager",
    "googletagmanager": "google-tag-manager",
    "multiplegoogletagmanager": "google-tag-manager",
    "adsense": "google-adsense",
    "googleads": "google-ads",
    "googleadwordsconversion": "google-ads",
    "googleadwordsremarketing": "google-ads",
    "facebookpixel": "meta-pixel",
    "metapixel": "meta-pixel",
    "facebook": "meta-pixel",
    "linkedininsighttag": "linkedin-insight",
    "clarity": "microsoft-clarity",
    "bingads": "microsoft-ads",
    "twitteruwt": "x-ads",
    "tiktok": "tiktok-pixel",
    "matomocloud": "matomo",
    "matomohightrack": "matomo",
    "googlemaps": "google-maps",
    "googlefonts": "google-fonts",
    "recaptcha": "recaptcha",
}
_CATEGORIES: Mapping[str, Category] = {
    **FOREIGN_NAMES,
    # In the examples of the tools, and as sites call them, in a few languages.
    **dict.fromkeys(
        ("security", "required", "strictlynecessary", "technical", "mandatory", "essentials",
         "notwendig", "essenziell", "necessaires", "obligatoires", "necesarias", "necessari"),
        Category.NECESSARY,
    ),
    **dict.fromkeys(
        ("livechat", "chat", "support", "styling", "media", "externalmedia", "externalcontent",
         "embeds", "video", "videos", "maps", "preference", "personalization", "personalisation",
         "comfort", "convenience", "experience", "funktional", "komfort", "externemedien",
         "fonctionnels", "funcionales", "preferenze"),
        Category.FUNCTIONAL,
    ),
    **dict.fromkeys(
        ("analytic", "analytical", "statistic", "stats", "measurement", "audience",
         "audiencemeasurement", "webanalytics", "statistik", "statistiken", "statistiques",
         "mesuredaudience", "estadisticas", "statistiche"),
        Category.ANALYTICS,
    ),
    **dict.fromkeys(
        ("ad", "adverts", "remarketing", "retargeting", "profiling", "publicite", "werbung",
         "publicidad", "pubblicita", "marketingadvertising"),
        Category.ADVERTISING,
    ),
    **dict.fromkeys(("socialmedia", "socialnetworks", "reseauxsociaux"), Category.SOCIAL),
    **dict.fromkeys(("sessionreplay", "recording", "heatmaps"), Category.SESSION_REPLAY),
}  # fmt: skip


# --- What the tools have in common


def vendor_of(name: str, title: str, catalogue: Mapping[str, Vendor]) -> str:
    forms = {_form(vendor.id): vendor.id for vendor in catalogue.values()}
    forms |= {_form(vendor.name): vendor.id for vendor in catalogue.values()}
    for value in (name, title):
        alias = _ALIASES.get(_form(value), "")
        if alias in catalogue:
            return alias
        if _form(value) in forms:
            return forms[_form(value)]
    return ""


def _form(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def category_of(word: str) -> Category | None:
    """Our category for another tool's, by a name in use for it."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    form = _form(plain)
    known = _CATEGORIES.get(form)
    return known or _CATEGORIES.get(re.sub(r"(?:cookies?|storage|tracking)\Z", "", form))


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def days_of(found: ImportResult, days: Any) -> None:
    if isinstance(days, int) and not isinstance(days, bool) and days > 0:
        found.policy["max_age_days"] = min(days, 400)
    elif days is not None:
        found.left_out.append("how long a choice is remembered: it is computed")


def policy_url_of(found: ImportResult, url: Any) -> None:
    if isinstance(url, dict):
        url = next((text for text in url.values() if isinstance(text, str)), None)
    if isinstance(url, str) and url.startswith(("/", "http://", "https://")) and url.isprintable():
        found.policy["url"] = url
    elif isinstance(url, str) and url:
        found.left_out.append(f"the link to the privacy policy, {url!r}: write it under [policy]")


def code_pattern(found: ImportResult, name: str, service: Mapping[str, Any]) -> None:
    named = [key for key, value in service.items() if value is UNREADABLE]
    if named:
        found.left_out.append(f'code of "{name}" ({", ".join(named)}): nothing of it is run')


def cookie_names(found: ImportResult, name: str, cookies: Any) -> tuple[str, ...]:
    names = []
    for cookie in list_of(cookies):
        value = cookie[0] if isinstance(cookie, list) and cookie else cookie
        value = value.get("name") if isinstance(value, dict) else value
        pattern = _pattern(value)
        if pattern:
            names.append(pattern)
        else:
            shown = f"/{value.pattern}/" if isinstance(value, Regex) else "one that is computed"
            found.left_out.append(f'a cookie of "{name}": {shown} cannot be written with "*"')
    return tuple(dict.fromkeys(names))


_COOKIE = re.compile(r"[A-Za-z0-9_.$!#%&'+^`|~-]+\*?")
_SIMPLE = re.compile(r"(\^?)((?:[\w-]|\\[.$_-])+)(\.[*+]\$?|\$)?")


def _pattern(value: Any) -> str:
    """The name of a cookie in our way of writing, or ""."""
    if isinstance(value, Regex):
        simple = _SIMPLE.fullmatch(value.pattern)
        if simple is None:
            return ""
        star = "" if simple[3] == "$" else "*"
        return ("" if simple[1] else "*") + simple[2].replace("\\", "") + star
    return value if isinstance(value, str) and _COOKIE.fullmatch(value) else ""


def vendors_set_by(pattern: Regex, catalogue: Mapping[str, Vendor]) -> list[Vendor]:
    """The vendors that set a cookie whose name an expression finds: only those of which it finds
    a whole name, where there are some (`^_ga` also begins `_gaexp`).
    """
    try:
        if (
            re.search(r"\)\??[*+{]", pattern.pattern)
            or len(re.findall(r"[*+{]", pattern.pattern)) > 4
        ):
            return []  # it could take for ever, and no name of a cookie needs it
        text = re.sub(r"\.[*+]\??\$?\Z", "", pattern.pattern[:_MAX_EXPRESSION])
        expression = re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError):
        return []
    whole, part = [], []
    for vendor in catalogue.values():
        names = [cookie.replace("*", "1a") for cookie in vendor.cookies]
        hits = [(one, name) for name in names if (one := expression.search(name)) is not None]
        if any(hit.end() == len(name) for hit, name in hits):
            whole.append(vendor)
        elif hits:
            part.append(vendor)
    return whole or part


_MAX_EXPRESSION = 300


def vendors_in_code(source: str, catalogue: Mapping[str, Vendor]) -> list[Vendor]:
    """The vendors whose code, or the address of it, a text holds."""
    named = VendorIndex(catalogue.values()).vendors_named(source)
    return [vendor for vendor in catalogue.values() if vendor.id in named]


def remainder(found: ImportResult, config: Mapping[str, Any], known: Iterable[str]) -> None:
    left = [key for key in config if key not in set(known)]
    if left:
        found.left_out.append(f"looks, texts and other options: {', '.join(left)}")
