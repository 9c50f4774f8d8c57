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
    proxy, tls = context.tables.proxy, context.tables.tls
    listen, admin = proxy.get("listen"), proxy.get("admin_listen")
    if _same_address(listen, admin):
        yield Problem(
            proxy.at("admin_listen"),
            f'admin_listen: "{admin}" is where visitors come in (listen); '
            "give the admin pages a port of their own",
        )
    redirect = tls.get("redirect_listen")
    for key, other in (("listen", listen), ("admin_listen", admin)):
        if _same_address(redirect, other):
            yield Problem(
                tls.at("redirect_listen"),
                f'redirect_listen: "{redirect}" is {key} of [proxy] already; give the redirects a '
                "port of their own",
            )


def _same_address(first: str | None, second: str | None) -> bool:
    """Whether two addresses cannot both be listened on."""
    if not first or not second:
        return False
    (host, port), (other_host, other_port) = split_address(first), split_address(second)
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    same = host == other_host or not everywhere.isdisjoint({host, other_host})
    return bool(port or host.startswith("unix:")) and port == other_port and same


def check_proxy_protocol(context: CheckContext) -> Iterator[Problem]:
    proxy = context.tables.proxy
    listen, networks = proxy.get("listen"), proxy.get("trusted_proxies")
    if not proxy.get("proxy_protocol") or listen is None or listen.startswith("unix:"):
        return
    if networks == ():
        yield Problem(
            proxy.at("proxy_protocol"),
            "proxy_protocol: nobody may send a PROXY header while trusted_proxies is empty; name "
            'the networks of the load balancer there, such as ["10.0.0.0/8"]',
        )


def check_tls(context: CheckContext) -> Iterator[Problem]:
    tls = context.tables.tls
    if tls.get("certificates") == () and context.places.has(tls.path):
        yield Problem(
            tls.path,
            "[tls] has no certificate: add [[tls.certificate]] with file and key, or remove the "
            "table where a server in front ends TLS",
        )
    acme, redirect = tls.get("acme_challenge"), tls.get("redirect_listen")
    if acme and redirect == "":
        yield Problem(
            tls.at("acme_challenge"),
            "acme_challenge: certificate authorities ask on port 80; set redirect_listen to an "
            "address with that port, too",
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
