"""Klaro: `services` of its configuration."""

from __future__ import annotations

from collections.abc import Mapping

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
    list_of,
    policy_url_of,
    remainder,
    vendor_of,
)
from consent_rules.vendors import Vendor

# --- Klaro


def read_klaro(source: str, catalogue: Mapping[str, Vendor]) -> ImportResult:
    found = ImportResult(Tool.KLARO)
    config = next(
        (o for o in objects_in(source) if isinstance(o.get("services", o.get("apps")), list)), None
    )
    if config is None:
        raise NothingToImportError("no object with a list of services, as in klaroConfig = {...}")
    days_of(found, config.get("cookieExpiresAfterDays"))
    policy_url_of(found, config.get("privacyPolicy"))
    for service in list_of(config.get("services", config.get("apps"))):
        if not isinstance(service, dict) or not isinstance(service.get("name"), str):
            found.left_out.append("a service without a name that can be read")
            continue
        name = service["name"]
        title = service["title"] if isinstance(service.get("title"), str) else name
        purposes = [p for p in list_of(service.get("purposes")) if isinstance(p, str)]
        category = next((c for p in purposes if (c := category_of(p)) is not None), None)
        if service.get("required") is True:
            found.left_out.append(
                f'"{name}" is required there; here a vendor runs unasked only if its category is '
                "necessary"
            )
        if service.get("default") is True:
            found.left_out.append(f'"{name}" is on by default there; here the regime decides')
        code_pattern(found, name, service)
        cookies = cookie_names(found, name, service.get("cookies"))
        found.services.append(
            Service(name, title, vendor_of(name, title, catalogue), category, cookies)
        )
    remainder(
        found, config, {"services", "apps", "cookieExpiresAfterDays", "privacyPolicy", "version"}
    )
    return found
