"""Checks across several values of the config, in order.

Each check reads partial tables, so it also runs on the valid part of an invalid file. What is only
a risk is in `warnings`.
"""

from __future__ import annotations

from collections.abc import Iterator

from consent_rules.config.checks import libraries, settings, sites, tags, vendors
from consent_rules.config.checks.context import CheckContext
from consent_rules.config.problems import Problem

__all__ = ["CheckContext", "check_all"]

_CHECKS = (
    settings.check_listeners,
    settings.check_proxy_protocol,
    settings.check_tls,
    settings.check_key_source,
    settings.check_cookie_domain,
    settings.check_regions,
    settings.check_theme,
    sites.check_names,
    sites.check_hosts,
    sites.check_upstreams,
    sites.check_balance,
    sites.check_upstream_tls,
    sites.check_wide_hosts,
    sites.check_first_party,
    sites.check_page_rules,
    vendors.check_ids,
    vendors.check_new_vendors,
    vendors.check_loosened_vendors,
    vendors.check_wide_hosts,
    vendors.check_claims,
    tags.check_vendors,
    tags.check_sites,
    tags.check_dates,
    tags.check_pages,
    tags.check_agreements,
    tags.check_pins,
    tags.check_duplicates,
    libraries.check_types,
    libraries.check_duplicates,
)


def check_all(context: CheckContext) -> Iterator[Problem]:
    """Every error that is not in the schema, and every expired tag."""
    for check in _CHECKS:
        yield from check(context)
