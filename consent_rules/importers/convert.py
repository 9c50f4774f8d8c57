"""The configuration of another consent tool, as ours: its services as tags and vendors.

Formats as the tools document them: Klaro (`services`, https://klaro.org/docs), cookieconsent 3
(`CookieConsent.run({categories})`, https://cookieconsent.orestbida.com), tarteaucitron
(`tarteaucitron.init({...})` and `tarteaucitron.job.push("gtag")`).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from consent_rules.categories import Category
from consent_rules.config.toml.editing import Value, as_toml
from consent_rules.importers.js_literals import (
    UNREADABLE,
    Regex,
    assignments_in,
    calls_in,
    objects_in,
)
from consent_rules.vendors import Vendor


class Tool(StrEnum):
    """A consent tool whose configuration we read."""

    KLARO = "klaro"
    COOKIECONSENT = "cookieconsent"
    TARTEAUCITRON = "tarteaucitron"


class NothingToImportError(ValueError):
    """The file holds no configuration of the tool. The message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the other tool. `vendor` is our id for it, "" where we have none."""

    name: str
    title: str
    vendor: str
    category: Category | None
    cookies: tuple[str, ...] = ()


@dataclass(slots=True)
class Imported:
    """What was found. `left_out` says in sentences what could not be carried over."""

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
    "necessary": Category.NECESSARY,
    "essential": Category.NECESSARY,
    "security": Category.NECESSARY,
    "functional": Category.FUNCTIONAL,
    "functionality": Category.FUNCTIONAL,
    "preferences": Category.FUNCTIONAL,
    "livechat": Category.FUNCTIONAL,
    "styling": Category.FUNCTIONAL,
    "media": Category.FUNCTIONAL,
    "analytics": Category.ANALYTICS,
    "statistics": Category.ANALYTICS,
    "performance": Category.ANALYTICS,
    "marketing": Category.ADVERTISING,
    "advertising": Category.ADVERTISING,
    "ads": Category.ADVERTISING,
    "targeting": Category.ADVERTISING,
    "social": Category.SOCIAL,
}


def imported(source: str, tool: Tool, catalogue: Mapping[str, Vendor]) -> Imported:
    """Read another tool's configuration. Raises NothingToImportError."""
    reader = {
        Tool.KLARO: _klaro,
        Tool.COOKIECONSENT: _cookieconsent,
        Tool.TARTEAUCITRON: _tarteaucitron,
    }[tool]
    return reader(source, catalogue)


# --- Klaro


def _klaro(source: str, catalogue: Mapping[str, Vendor]) -> Imported:
    found = Imported(Tool.KLARO)
    config = next(
        (o for o in objects_in(source) if isinstance(o.get("services", o.get("apps")), list)), None
    )
    if config is None:
        raise NothingToImportError("no object with a list of services, as in klaroConfig = {...}")
    _days(found, config.get("cookieExpiresAfterDays"))
    _policy_url(found, config.get("privacyPolicy"))
    for service in _list(config.get("services", config.get("apps"))):
        if not isinstance(service, dict) or not isinstance(service.get("name"), str):
            found.left_out.append("a service without a name that can be read")
            continue
        name = service["name"]
        title = service["title"] if isinstance(service.get("title"), str) else name
        purposes = [p for p in _list(service.get("purposes")) if isinstance(p, str)]
        category = next((c for p in purposes if (c := _category(p)) is not None), None)
        if service.get("required") is True:
            found.left_out.append(
                f'"{name}" is required there; here a vendor runs unasked only if its category is '
                "necessary"
            )
        if service.get("default") is True:
            found.left_out.append(f'"{name}" is on by default there; here the regime decides')
        _code(found, name, service)
        cookies = _cookie_names(found, name, service.get("cookies"))
        found.services.append(
            Service(name, title, _vendor(name, title, catalogue), category, cookies)
        )
    _rest(found, config, {"services", "apps", "cookieExpiresAfterDays", "privacyPolicy", "version"})
    return found


# --- cookieconsent


def _cookieconsent(source: str, catalogue: Mapping[str, Vendor]) -> Imported:
    found = Imported(Tool.COOKIECONSENT)
    config = next((o for o in objects_in(source) if isinstance(o.get("categories"), dict)), None)
    if config is None:
        raise NothingToImportError(
            "no object with categories, as in CookieConsent.run({categories: {...}}); "
            "version 3 is understood"
        )
    cookie = config.get("cookie")
    if isinstance(cookie, dict):
        _days(found, cookie.get("expiresAfterDays"))
    revision = config.get("revision")
    if isinstance(revision, int) and revision:
        found.policy["version"] = str(revision)
    for name, said in config["categories"].items():
        category = _category(name)
        if category is None:
            found.left_out.append(
                f'the category "{name}"; ours are necessary, functional, analytics, '
                "session_replay, advertising and social"
            )
        table = said if isinstance(said, dict) else {}
        if table.get("enabled") is True and table.get("readOnly") is not True:
            found.left_out.append(f'"{name}" is on by default there; here the regime decides')
        services = table.get("services")
        services = services if isinstance(services, dict) else {}
        for key, service in services.items():
            service = service if isinstance(service, dict) else {}
            label = service.get("label")
            title = re.sub(r"<[^>]*>", "", label) if isinstance(label, str) else key
            _code(found, key, service)
            cookies = _cookie_names(found, key, service.get("cookies"))
            found.services.append(
                Service(key, title, _vendor(key, title, catalogue), category, cookies)
            )
        cleared = table.get("autoClear")
        names = _cookie_names(
            found, name, cleared.get("cookies") if isinstance(cleared, dict) else None
        )
        if names and not services:
            _by_cookies(found, name, category, names, catalogue)
    _rest(found, config, {"categories", "cookie", "revision"})
    return found


def _by_cookies(
    found: Imported,
    name: str,
    category: Category | None,
    cookies: tuple[str, ...],
    catalogue: Mapping[str, Vendor],
) -> None:
    """A category that names no services still clears cookies that tell whose they are."""
    left = list(cookies)
    for vendor in catalogue.values():
        stems = {cookie.rstrip("*") for cookie in vendor.cookies}
        mine = [cookie for cookie in left if cookie.rstrip("*") in stems]
        if mine:
            left = [cookie for cookie in left if cookie not in mine]
            found.services.append(Service(name, vendor.name, vendor.id, category, ()))
    if left:
        found.left_out.append(
            f'the cookies {", ".join(left)} of "{name}": nobody is known to set them'
        )


# --- tarteaucitron


def _tarteaucitron(source: str, catalogue: Mapping[str, Vendor]) -> Imported:
    found = Imported(Tool.TARTEAUCITRON)
    calls = list(calls_in(source))
    init = next((c for c in calls if c.name == "tarteaucitron.init"), None)
    jobs = [
        argument
        for call in calls
        if re.search(r"tarteaucitron\.job\b[\s\S]*\.push\Z", call.name)
        for argument in call.arguments
    ]
    if init is None and not jobs:
        raise NothingToImportError(
            'no tarteaucitron.init({...}) and no tarteaucitron.job.push("...")'
        )
    options = init.arguments[0] if init is not None and init.arguments else {}
    if isinstance(options, dict):
        _policy_url(found, options.get("privacyUrl"))
        _rest(found, options, {"privacyUrl"})
    for job in dict.fromkeys(job for job in jobs if isinstance(job, str)):
        vendor = _vendor(job, job, catalogue)
        category = catalogue[vendor].category if vendor else None
        found.services.append(Service(job, job, vendor, category))
    if any(not isinstance(job, str) for job in jobs):
        found.left_out.append("a service whose name is computed")
    for left, value in assignments_in(source):
        if left.startswith("tarteaucitron.user.") and not left.endswith("More"):
            said = f" = {value!r}" if isinstance(value, str | int) else ""
            found.left_out.append(
                f"{left}{said}: the tag itself stays in the page, as its vendor gives it"
            )
    return found


# --- What the tools have in common


def _vendor(name: str, title: str, catalogue: Mapping[str, Vendor]) -> str:
    forms = {_form(vendor.id): vendor.id for vendor in catalogue.values()}
    forms |= {_form(vendor.name): vendor.id for vendor in catalogue.values()}
    for said in (name, title):
        alias = _ALIASES.get(_form(said), "")
        if alias in catalogue:
            return alias
        if _form(said) in forms:
            return forms[_form(said)]
    return ""


def _form(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _category(word: str) -> Category | None:
    return _CATEGORIES.get(_form(word))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _days(found: Imported, days: Any) -> None:
    if isinstance(days, int) and not isinstance(days, bool) and days > 0:
        found.policy["max_age_days"] = min(days, 400)
    elif days is not None:
        found.left_out.append("how long a choice is remembered: it is computed")


def _policy_url(found: Imported, url: Any) -> None:
    if isinstance(url, dict):
        url = next((text for text in url.values() if isinstance(text, str)), None)
    if isinstance(url, str) and url.startswith(("/", "http://", "https://")) and url.isprintable():
        found.policy["url"] = url
    elif isinstance(url, str) and url:
        found.left_out.append(f"the link to the privacy policy, {url!r}: write it under [policy]")


def _code(found: Imported, name: str, service: Mapping[str, Any]) -> None:
    named = [key for key, value in service.items() if value is UNREADABLE]
    if named:
        found.left_out.append(f'code of "{name}" ({", ".join(named)}): nothing of it is run')


def _cookie_names(found: Imported, name: str, cookies: Any) -> tuple[str, ...]:
    names = []
    for cookie in _list(cookies):
        said = cookie[0] if isinstance(cookie, list) and cookie else cookie
        said = said.get("name") if isinstance(said, dict) else said
        pattern = _pattern(said)
        if pattern:
            names.append(pattern)
        else:
            shown = f"/{said.pattern}/" if isinstance(said, Regex) else "one that is computed"
            found.left_out.append(f'a cookie of "{name}": {shown} cannot be written with "*"')
    return tuple(dict.fromkeys(names))


_COOKIE = re.compile(r"[A-Za-z0-9_.$!#%&'+^`|~-]+\*?")
_SIMPLE = re.compile(r"(\^?)((?:[\w-]|\\[.$_-])+)(\.[*+]\$?|\$)?")


def _pattern(said: Any) -> str:
    """The name of a cookie in our way of writing, or ""."""
    if isinstance(said, Regex):
        simple = _SIMPLE.fullmatch(said.pattern)
        if simple is None:
            return ""
        star = "" if simple[3] == "$" else "*"
        return ("" if simple[1] else "*") + simple[2].replace("\\", "") + star
    return said if isinstance(said, str) and _COOKIE.fullmatch(said) else ""


def _rest(found: Imported, config: Mapping[str, Any], known: Iterable[str]) -> None:
    left = [key for key in config if key not in set(known)]
    if left:
        found.left_out.append(f"looks, texts and other options: {', '.join(left)}")


# --- Writing


def as_config(
    found: Imported,
    catalogue: Mapping[str, Vendor],
    *,
    site: str,
    approved_by: str,
    today: datetime.date,
    expires: datetime.date,
) -> str:
    """Our TOML. Tags are live only with an `approved_by`; else they are commented out, so that
    nothing is approved by being pasted."""
    lines = [f"# From a configuration of {found.tool}. Add it to your config, and check it."]
    if found.left_out:
        lines += ["#", "# Not carried over:"]
        lines += [f"#   - {_one_line(sentence)}" for sentence in found.left_out]
    if found.policy:
        lines += ["", "# Belongs under the [policy] that you have:"]
        lines += [f"# {key} = {_toml(value)}" for key, value in found.policy.items()]
    seen: set[str] = set()
    for service in found.services:
        vendor = service.vendor or _slug(service.name)
        if vendor in seen:
            continue
        seen.add(vendor)
        known = catalogue.get(service.vendor)
        lines += ["", f"# {_one_line(service.title)}"]
        if known is None:
            lines += _new_vendor(service, vendor)
        elif service.category is not None and known.category is not service.category:
            lines.append(
                f"# there: {service.category.value}; here it is {known.category.value}, as the "
                "catalogue has it"
            )
        table: dict[str, Value] = {
            "vendor": vendor,
            "sites": (site,),
            "approved_by": approved_by or "...",
            "approved_on": today,
            "expires": expires,
        }
        mark = "" if approved_by and known is not None else "# "
        lines += [f"{mark}[[tag]]", *(f"{mark}{k} = {as_toml(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _new_vendor(service: Service, vendor: str) -> list[str]:
    category = service.category.value if service.category else "..."
    lines = [
        "# nobody that the catalogue knows: say where it comes from, and take the # away",
        "# [[vendor]]",
        f"# id = {as_toml(vendor)}",
        f"# name = {as_toml(_one_line(service.title))}",
        f"# category = {as_toml(category)}",
        '# hosts = ["..."]',
    ]
    if service.cookies:
        lines.append(f"# cookies = {as_toml(service.cookies)}")
    return lines


def _toml(value: Value | int) -> str:
    return str(value) if isinstance(value, int) else as_toml(value)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "unnamed"
