"""vanilla-cookieconsent v3: `categories` with their services and auto-clear cookies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from consent_rules.categories import Category
from consent_rules.importers.js_literals import Regex, objects_in
from consent_rules.importers.service import (
    ImportResult,
    NothingToImportError,
    Service,
    Tool,
    category_of,
    code_pattern,
    cookie_names,
    days_of,
    list_of,
    remainder,
    vendor_of,
    vendors_in_code,
    vendors_set_by,
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
            vendor = vendor_of(key, title, catalogue)
            cookies = cookie_names(found, key, service.get("cookies"))
            found.services.append(Service(key, title, vendor, category, cookies))
        cleared = table.get("autoClear")
        if isinstance(cleared, dict) and not services:
            _by_cookies(found, name, category, list_of(cleared.get("cookies")), catalogue)
    have = {service.vendor for service in found.services}
    for known in vendors_in_code(source, catalogue):
        if known.id not in have:
            title = f"{known.name} (its code stands in the file)"
            found.services.append(Service(known.id, title, known.id, None))
    remainder(found, config, {"categories", "cookie", "revision"})
    return found


def _by_cookies(
    found: ImportResult,
    name: str,
    category: Category | None,
    cookies: list[Any],
    catalogue: Mapping[str, Vendor],
) -> None:
    """A category that names no services still clears cookies by which vendors are known."""
    meant: dict[str, Vendor] = {}
    for cookie in cookies:
        given = cookie.get("name") if isinstance(cookie, dict) else cookie
        if isinstance(given, Regex):
            expression = given
        else:
            names = cookie_names(found, name, [cookie])
            if not names:
                continue
            expression = Regex(f"^{re.escape(names[0].rstrip('*'))}")
        setters = vendors_set_by(expression, catalogue)
        alike = [vendor for vendor in setters if vendor.category is category] or setters
        if not 0 < len(alike) <= _MAX_SETTERS:
            found.left_out.append(
                f'the cookie {_shown(given)} of "{name}": '
                + ("no known vendor sets it" if not alike else "too many vendors may set it")
            )
            continue
        meant |= {vendor.id: vendor for vendor in alike}
    found.services += [Service(name, v.name, v.id, category) for v in meant.values()]


_MAX_SETTERS = 4


def _shown(cookie: object) -> str:
    return f"/{cookie.pattern}/" if isinstance(cookie, Regex) else str(cookie)
