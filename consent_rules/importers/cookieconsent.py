"""vanilla-cookieconsent v3: `categories` with their services and auto-clear cookies."""

from __future__ import annotations

import re
from collections.abc import Mapping

from consent_rules.categories import Category
from consent_rules.importers.js_literals import objects_in
from consent_rules.importers.service import (
    ImportResult,
    NothingToImportError,
    Service,
    Tool,
    category_of,
    code_pattern,
    cookie_names,
    days_of,
    remainder,
    vendor_of,
)
from consent_rules.vendors import Vendor

# --- cookieconsent


def read_cookieconsent(source: str, catalogue: Mapping[str, Vendor]) -> ImportResult:
    found = ImportResult(Tool.COOKIECONSENT)
    config = next((o for o in objects_in(source) if isinstance(o.get("categories"), dict)), None)
    if config is None:
        raise NothingToImportError(
            "no object with categories, as in CookieConsent.run({categories: {...}}); "
            "version 3 is understood"
        )
    cookie = config.get("cookie")
    if isinstance(cookie, dict):
        days_of(found, cookie.get("expiresAfterDays"))
    revision = config.get("revision")
    if isinstance(revision, int) and revision:
        found.policy["version"] = str(revision)
    for name, value in config["categories"].items():
        category = category_of(name)
        if category is None:
            found.left_out.append(
                f'the category "{name}"; ours are necessary, functional, analytics, '
                "session_replay, advertising and social"
            )
        table = value if isinstance(value, dict) else {}
        if table.get("enabled") is True and table.get("readOnly") is not True:
            found.left_out.append(f'"{name}" is on by default there; here the regime decides')
        services = table.get("services")
        services = services if isinstance(services, dict) else {}
        for key, service in services.items():
            service = service if isinstance(service, dict) else {}
            label = service.get("label")
            title = re.sub(r"<[^>]*>", "", label) if isinstance(label, str) else key
            code_pattern(found, key, service)
            cookies = cookie_names(found, key, service.get("cookies"))
            found.services.append(
                Service(key, title, vendor_of(key, title, catalogue), category, cookies)
            )
        cleared = table.get("autoClear")
        names = cookie_names(
            found, name, cleared.get("cookies") if isinstance(cleared, dict) else None
        )
        if names and not services:
            _by_cookies(found, name, category, names, catalogue)
    remainder(found, config, {"categories", "cookie", "revision"})
    return found


def _by_cookies(
    found: ImportResult,
    name: str,
    category: Category | None,
    cookies: tuple[str, ...],
    catalogue: Mapping[str, Vendor],
) -> None:
    """A category that names no services still clears cookies by which vendors are known."""
    left = list(cookies)
    for vendor in catalogue.values():
        stems = {cookie.rstrip("*") for cookie in vendor.cookies}
        mine = [cookie for cookie in left if cookie.rstrip("*") in stems]
        if mine:
            left = [cookie for cookie in left if cookie not in mine]
            found.services.append(Service(name, vendor.name, vendor.id, category, ()))
    if left:
        found.left_out.append(
            f'the cookies {", ".join(left)} of "{name}": no known vendor sets them'
        )
