"""The scope and the plan of an audit, from a config or from the catalogue alone."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from urllib.parse import urlsplit

from consent_rules.audit.scope import AuditScope, catalogue_rules, with_own_hosts
from consent_rules.audit.states import AuditVisitor
from consent_rules.catalogue.load import catalogue
from consent_rules.categories import Regime
from consent_rules.config.build_rules import build_rules
from consent_rules.config.checks.public_suffixes import public_suffixes
from consent_rules.config.load import Config
from consent_rules.matching.urls import host_of_authority
from consent_rules.wording import quoted
from proxy.cookies.vendor_cookies import CookieIndex

PATIENT_WORDS = (
    "/patient*", "/*/patient*", "/portal*", "/my-account*", "/appointment*", "/*/appointment*",
    "/pay-bill*", "/pay-my-bill*", "/billpay*", "/intake*", "/prescription*", "/results*",
    "/symptom*", "/telehealth*",
)  # fmt: skip
"""Paths that look like pages for patients, where no config says which are."""


class InvalidAuditError(ValueError):
    """The audit cannot be made so; the message says what to write."""


def start_url(text: str) -> str:
    """The address of the page that the audit begins with. Raises InvalidAuditError."""
    try:
        parts = urlsplit(text)
        host = host_of_authority(parts.netloc) if parts.scheme in {"http", "https"} else ""
    except ValueError:
        host = ""
    if not host or not text.isprintable() or "@" in parts.netloc:
        raise InvalidAuditError(f"{quoted(text)} is not a site's address; write https://host/")
    return parts._replace(path=parts.path or "/", fragment="").geturl()


def scope_by_config(
    config: Config, start: str, *, region: str, today: datetime.date, watched: Iterable[str] = ()
) -> tuple[AuditScope, bool]:
    """The scope, and whether a site of the config has the address's host: else the first site's
    rules hold, and the host counts as its own.
    """
    rules = build_rules(config, catalogue())
    parts = urlsplit(start)
    host = host_of_authority(parts.netloc)
    site = rules.site_of(host, parts.port)
    given = site is not None
    site = site or with_own_hosts(rules.sites[0], [host])
    scope = AuditScope(
        rules=rules,
        site=site,
        visitor=AuditVisitor(region, rules.policy_version),
        today=today,
        cookie_vendors=CookieIndex(rules.vendors.values()).vendors_of,
        watched=_watched(watched),
    )
    return scope, given


def scope_by_catalogue(
    start: str,
    *,
    own: Iterable[str],
    patient_pages: Iterable[str],
    regime: Regime,
    region: str,
    today: datetime.date,
    watched: Iterable[str] = (),
) -> AuditScope:
    """The scope without a config. The hosts of the address's registrable domain are the site's."""
    host = host_of_authority(urlsplit(start).netloc)
    domain = public_suffixes().privatesuffix(host)
    is_name = any(character.isalpha() for character in host.rpartition(".")[2])
    guessed = f"*.{domain}" if domain and is_name and "." in domain else host
    patient = tuple(patient_pages) or PATIENT_WORDS
    rules = catalogue_rules(catalogue(), (guessed, *own), patient, regime)
    return AuditScope(
        rules=rules,
        site=rules.sites[0],
        visitor=AuditVisitor(region, rules.policy_version),
        today=today,
        cookie_vendors=CookieIndex(rules.vendors.values()).vendors_of,
        watched=_watched(watched),
        by_catalogue=True,
    )


def _watched(values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((f"watched value {number}", value) for number, value in enumerate(values, 1))
