"""Checks of `[proxy]`, `[preferences]`, `[policy]` and `[theme]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from consent_rules.config.checks.context import CheckContext
from consent_rules.config.checks.public_suffixes import public_suffixes
from consent_rules.config.problems import Problem
from consent_rules.config.theme import contrast_errors
from consent_rules.config.toml.positions import Path
from consent_rules.config.values import is_loopback, split_address
from consent_rules.matching.hosts import host_covers


def check_listeners(context: CheckContext) -> Iterator[Problem]:
    proxy = context.tables.proxy
    if proxy.get("listen") is None or proxy.get("admin_listen") is None:
        return
    host, port = split_address(proxy.get("listen"))
    admin_host, admin_port = split_address(proxy.get("admin_listen"))
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    same = host == admin_host or not everywhere.isdisjoint({host, admin_host})
    if (port or host.startswith("unix:")) and port == admin_port and same:
        yield Problem(
            proxy.at("admin_listen"),
            f'admin_listen: "{proxy.get("admin_listen")}" is where visitors come in (listen); '
            "give the admin pages a port of their own",
        )


def check_key_source(context: CheckContext) -> Iterator[Problem]:
    preferences = context.tables.preferences
    if preferences.get("keys_variable") and preferences.get("keys_command"):
        yield Problem(
            preferences.at("keys_command"),
            "keys_command: keys_variable is set, too; keys come from one place: remove either",
        )


def check_cookie_domain(context: CheckContext) -> Iterator[Problem]:
    path = context.tables.preferences.at("cookie_domain")
    domain = context.tables.preferences.get("cookie_domain")
    if not domain:
        return
    if domain.replace(".", "").isdigit():
        yield Problem(
            path, f'cookie_domain: "{domain}" is an IP address; browsers share no cookies there'
        )
        return
    meant = _shared_domain(host for s in context.tables.sites for _, host in s.items("hosts"))
    if public_suffixes().is_public(domain):
        yield Problem(
            path,
            f'cookie_domain: "{domain}" is a public suffix, under which anyone may have a site; '
            f'write "{meant}", or leave it out, and each host has its own',
        )
        return
    for site in context.tables.sites:
        for host_path, host in site.items("hosts"):
            if not is_loopback(host) and not host_covers(f"*.{domain}", host):
                yield Problem(
                    path,
                    f'cookie_domain: "{domain}" does not cover the host "{host}" '
                    f"({context.line(host_path, path)}): browsers would drop the cookie there; "
                    + (f'write "{meant}"' if meant else 'write "", so that each host has its own'),
                )


def _shared_domain(hosts: Iterable[str]) -> str:
    """The domain that all hosts of the sites are in, or "" where there is none of their own."""
    names = {host.removeprefix("*.") for host in hosts if not is_loopback(host)}
    found = {public_suffixes().privatesuffix(name) or "" for name in names}
    return found.pop() if len(found) == 1 else ""


def check_regions(context: CheckContext) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for rule in context.tables.regions:
        for path, region in rule.items("regions"):
            if region in seen:
                yield Problem(
                    path,
                    f'regions: "{region}" already stands at {context.line(seen[region], path)}; '
                    "a region has one regime",
                )
            seen.setdefault(region, path)


def check_theme(context: CheckContext) -> Iterator[Problem]:
    theme = context.tables.theme
    if not theme.model.model_fields.keys() <= theme.values.keys():
        return  # the invalid value may be the one that gives the contrast
    for key, message in contrast_errors(theme.values):
        yield Problem(theme.at(key), message)
