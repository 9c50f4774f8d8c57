"""Convert another consent tool's services to tags and vendors.

Formats as the tools document them: Klaro (`services`, https://klaro.org/docs), cookieconsent 3
(`CookieConsent.run({categories})`, https://cookieconsent.orestbida.com), tarteaucitron
(`tarteaucitron.init({...})` and `tarteaucitron.job.push("gtag")`).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping

from consent_rules.config.toml.editing import Value, as_toml
from consent_rules.importers.cookieconsent import read_cookieconsent
from consent_rules.importers.klaro import read_klaro
from consent_rules.importers.service import (
    ImportResult,
    NothingToImportError,
    Service,
    Tool,
    category_of,
    vendors_in_code,
)
from consent_rules.importers.tarteaucitron import read_tarteaucitron
from consent_rules.vendors import Vendor

MAX_CHARACTERS = 1_000_000
"""Of a file. A larger one is a bundle: the part of it that configures the tool is what to give."""


def read_foreign_config(source: str, tool: Tool, catalogue: Mapping[str, Vendor]) -> ImportResult:
    """Read another tool's configuration, also within a page or a template of PHP. Raises
    NothingToImportError, for a file larger than MAX_CHARACTERS too.
    """
    if len(source) > MAX_CHARACTERS:
        raise NothingToImportError(
            f"larger than {MAX_CHARACTERS:,} characters; give the part with the configuration alone"
        )
    reader = {
        Tool.KLARO: read_klaro,
        Tool.COOKIECONSENT: read_cookieconsent,
        Tool.TARTEAUCITRON: read_tarteaucitron,
    }[tool]
    if not _SCRIPT.search(source):
        return reader(source, catalogue)
    plain = _PHP.sub("0", source)
    scripts = "\n;\n".join(found[1] for found in _SCRIPT.finditer(plain))
    if not scripts.strip():
        return reader(source, catalogue)
    # In a text of PHP the quotes of the script are escaped.
    escaped = "\n;\n".join(one[1] for one in _SCRIPT.finditer(source))
    unescaped = escaped.replace('\\"', '"').replace("\\'", "'")
    try:
        found = reader(scripts, catalogue)
        if not found.services and unescaped != escaped:
            found = reader(unescaped, catalogue)
    except NothingToImportError:
        found = reader(unescaped, catalogue)
    return _with_pages_scripts(found, source, catalogue)


_SCRIPT = re.compile(r"<script\b[^>]*>(.*?)</script", re.DOTALL | re.IGNORECASE)
_PHP = re.compile(r"<\?(?:php|=)?.*?\?>", re.DOTALL)


def _with_pages_scripts(
    found: ImportResult, source: str, catalogue: Mapping[str, Vendor]
) -> ImportResult:
    """With the vendors whose scripts the page marks by a category, as cookieconsent has it."""
    have = {service.vendor for service in found.services}
    for tag in re.finditer(r"<script\b[^>]*\bdata-category=[^>]*>", source, re.IGNORECASE):
        named = re.search(r"data-category=[\"']?!?([\w-]+)", tag[0], re.IGNORECASE)
        for vendor in vendors_in_code(tag[0], catalogue):
            if vendor.id not in have:
                have.add(vendor.id)
                category = category_of(named[1]) if named else None
                found.services.append(Service(vendor.id, vendor.name, vendor.id, category))
    return found


# --- Writing

NO_VENDOR = (
    "The file names no vendor: what its categories stand for is written in your pages. "
    '"consent-proxy explain URL --html PAGE" names the vendors of a page; once the proxy runs, '
    '"consent-proxy discovered" lists what all pages load.'
)


_COMMENTED_OUT = (
    "# Every line is commented out: nothing is approved by being pasted. Add it to your config.",
    "# For each tag that you approve, remove the # of its lines, write who approves it and what",
    '# is "..." elsewhere. Then run "consent-proxy check".',
)
_LIVE = (
    "# The tags count as soon as they stand in your config: add them, run",
    '# "consent-proxy check", and "consent-proxy diff OLD NEW", which says who receives data then.',
    "# What is commented out needs somebody to fill it in first.",
)


def as_config(
    found: ImportResult,
    catalogue: Mapping[str, Vendor],
    *,
    site: str,
    approved_by: str,
    today: datetime.date,
    expires: datetime.date,
    approved: Collection[str] = (),
) -> str:
    """Our TOML. Tags are live only with an `approved_by`; else they are commented out, so that
    nothing is approved by being pasted. `approved` are vendors that have a tag on the site.
    """
    lines = [
        f"# From a configuration of {found.tool}.",
        *(_LIVE if approved_by else _COMMENTED_OUT),
    ]
    if found.left_out:
        lines += ["#", "# Not carried over:"]
        lines += [f"#   - {_one_line(sentence)}" for sentence in found.left_out]
    if found.policy:
        lines += ["", "# Belongs under the [policy] that you have:"]
        lines += [f"# {key} = {_toml(value)}" for key, value in found.policy.items()]
    if not found.services:
        lines += ["#", f"# {NO_VENDOR}"]
    seen: set[str] = set()
    for service in found.services:
        vendor = service.vendor or _slug(service.name)
        if vendor in seen:
            continue
        seen.add(vendor)
        known = catalogue.get(service.vendor)
        lines += ["", f"# {_one_line(service.title)}"]
        if vendor in approved:
            lines.append(f"# {vendor} has a tag on {site} already")
            continue
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
        "# unknown to the catalogue: name its hosts, and remove the #",
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
