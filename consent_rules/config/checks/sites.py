"""Checks of `[[site]]`: names, hosts, first parties and page rules."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from consent_rules.config.checks.context import CheckContext, site_name, vendor_name
from consent_rules.config.checks.public_suffixes import is_wide, known_suffixes
from consent_rules.config.models import Balance, Health, UpstreamTls
from consent_rules.config.partial import PartialTable
from consent_rules.config.problems import Problem
from consent_rules.config.toml.positions import Path
from consent_rules.config.values import is_loopback, split_address
from consent_rules.matching.hosts import HostClaims, host_covers, hosts_overlap
from consent_rules.matching.shared_hosts import narrower_pattern, shared_host_of
from consent_rules.wording import quoted


def check_names(context: CheckContext) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for site in context.tables.sites:
        name = site.get("name")
        if name is None:
            continue
        if name in seen:
            yield Problem(
                site.at("name"),
                f"name: {quoted(name)} already names the site at "
                f"{context.line(seen[name], site.at('name'))}; "
                "tags refer to sites by name, so each needs its own",
            )
        seen.setdefault(name, site.at("name"))


def check_hosts(context: CheckContext) -> Iterator[Problem]:
    seen: list[tuple[PartialTable, Path, str]] = []
    for site in context.tables.sites:
        for path, host in site.items("hosts"):
            for other, other_path, other_host in seen:
                if other is site or not hosts_overlap(host, other_host):
                    continue
                how = "is also" if host == other_host else f'overlaps "{other_host}",'
                yield Problem(
                    path,
                    f'hosts: "{host}" {how} a host of the site {site_name(other)} '
                    f"({context.line(other_path, path)}); a host belongs to one site",
                )
                break
            seen.append((site, path, host))


def check_upstreams(context: CheckContext) -> Iterator[Problem]:
    """An upstream that is this proxy itself: every request would come back to it."""
    for site in context.tables.sites:
        seen: set[str] = set()
        for path, upstream in site.items("upstream"):
            if upstream in seen:
                yield Problem(
                    path,
                    f"upstream: {quoted(upstream)} stands twice in the list; for a larger share of "
                    "the requests give it a larger one of the weights",
                )
            seen.add(upstream)
            for key, what in (("listen", "the proxy itself"), ("admin_listen", "its admin pages")):
                address = context.tables.proxy.get(key)
                if address is None or not _leads_to(upstream, address, context):
                    continue
                yield Problem(
                    path,
                    f'upstream: "{upstream}" leads to {what} ({key} = "{address}"); name '
                    f"the server that makes the pages, or change {key} to a port of its own",
                )


def _leads_to(upstream: str, address: str, context: CheckContext) -> bool:
    if upstream.startswith("unix:"):
        return upstream == address
    host, port = split_address(address)
    parts = urlsplit(upstream)
    asked, default = parts.hostname or "", 443 if parts.scheme == "https" else 80
    if not port or (parts.port or default) != port:
        return False
    if asked == host:
        return True
    if host in _EVERYWHERE:
        own = (name for site in context.tables.sites for _, name in site.items("hosts"))
        return (
            asked in _EVERYWHERE
            or is_loopback(asked)
            or any(host_covers(name, asked) for name in own)
        )
    # Two addresses of the loopback network are two sockets; a name is the first of each family.
    if not (is_loopback(host) and is_loopback(asked)):
        return False
    addresses = {one for one in (host, asked) if not one.endswith("localhost")}
    return len(addresses) < 2 and addresses <= _LOOPBACK


def check_balance(context: CheckContext) -> Iterator[Problem]:
    for site in context.tables.sites:
        upstreams, weights = site.get("upstream"), site.get("weights")
        if upstreams and weights and len(upstreams) != len(weights):
            yield Problem(
                site.at("weights"),
                f"weights: {len(weights)} of them for {len(upstreams)} servers of upstream; write "
                "one for each, in the same order",
            )
        if site.get("hash_by") not in {None, "client_address"} and site.get("balance") not in {
            None,
            Balance.HASH,
        }:
            yield Problem(
                site.at("hash_by"),
                f'hash_by changes nothing with balance = "{site.get("balance")}"; write balance = '
                '"hash", or remove it',
                at="key",
            )
        health = site.get("health")
        if isinstance(health, Health) and health.timeout > health.interval and health.path:
            yield Problem(
                (*site.at("health"), "timeout"),
                f"timeout: {health.timeout:g} is longer than interval ({health.interval:g}): a "
                "check would not have ended when the next one is due",
            )


def check_upstream_tls(context: CheckContext) -> Iterator[Problem]:
    for site in context.tables.sites:
        tls, upstreams = site.get("upstream_tls"), site.get("upstream")
        if not isinstance(tls, UpstreamTls) or tls == UpstreamTls():
            continue
        here = site.at("upstream_tls")
        if tls.key is not None and tls.certificate is None:
            yield Problem(
                (*here, "key"),
                f"key: {quoted(tls.key)} has no certificate; add certificate of the same "
                "[site.upstream_tls]",
            )
        if upstreams and not any(str(one).startswith("https:") for one in upstreams):
            yield Problem(
                here,
                "[site.upstream_tls] changes nothing: no upstream of the site is reached by TLS; "
                'write "https://" in upstream, or remove the table',
                at="key",
            )


_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def check_wide_hosts(context: CheckContext) -> Iterator[Problem]:
    for site in context.tables.sites:
        for key in ("hosts", "first_party"):
            for path, host in site.items(key):
                if is_wide(host, known_suffixes):
                    yield Problem(
                        path,
                        f'{key}: "{host}" would cover the sites of others: "{host[2:]}" is a '
                        "public suffix; write the hosts that are yours",
                    )


def check_first_party(context: CheckContext) -> Iterator[Problem]:
    if not any(site.get("first_party") for site in context.tables.sites):
        return
    owners = HostClaims((h, v.id) for v in context.catalogue.values() for h in v.hosts)
    for site in context.tables.sites:
        for path, host in site.items("first_party"):
            for owner in owners.overlapping(host):
                yield Problem(
                    path,
                    f'first_party: "{host}" belongs to {vendor_name(owner, context)}; as a first '
                    "party it would escape every choice. Remove it here; tags say what may act",
                )
                break
            else:
                yield from _shared(path, host)


def _shared(path: Path, host: str) -> Iterator[Problem]:
    shared = shared_host_of(host)
    if shared is None or is_wide(host, known_suffixes):
        return
    yield Problem(
        path,
        f'first_party: "{host}" serves what anybody publishes ({shared.name}); as a first party '
        "it would escape every choice. Write a [[vendor]] with the files that are yours, such as "
        f"{narrower_pattern(shared)}",
    )


def check_page_rules(context: CheckContext) -> Iterator[Problem]:
    for site in context.tables.sites:
        for path, rule in site.items("pages"):
            if rule.path is None and rule.when_cookie is None:
                yield Problem(
                    path,
                    "[[site.page]] names no page; add "
                    'path = "/patients/*" or when_cookie = "session"',
                    at="key",
                )
            elif rule.path is not None and rule.when_cookie is not None:
                yield Problem(
                    (*path, "when_cookie"),
                    "a [[site.page]] has a path or a when_cookie, not both; write two of them",
                    at="key",
                )
