"""The upstream of a site, as its config says."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from aiohttp import web

from consent_rules.config.models import Site
from proxy.http.addresses import client_address
from proxy.upstream.checks import HealthCheck
from proxy.upstream.group import Member, UpstreamGroup
from proxy.upstream.health import HealthPolicy
from proxy.upstream.retries import RetryBudget
from proxy.upstream.server import server_at
from proxy.upstream.tls import default_tls, upstream_tls

Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


def upstream_group(site: Site, folder: Path, trusted: Networks = ()) -> UpstreamGroup:
    """The servers of a site. Files are relative to `folder`; `trusted` are the proxies in front.
    Raises UpstreamTlsError.
    """
    tls, health = upstream_tls(site.upstream_tls, folder), site.health
    tls_name = site.upstream_tls.server_name or ""
    if tls is None and any(name.startswith("https:") for name in site.upstream):
        default_tls()  # read now, before workers are forked, and not on a visitor's time
    weights = site.weights or (1,) * len(site.upstream)
    members = tuple(
        Member(server_at(name, tls, tls_name), weight)
        for name, weight in zip(site.upstream, weights, strict=True)
    )
    check = None
    if health.path is not None:
        named = next((host for host in site.hosts if not host.startswith("*")), "")
        check = HealthCheck(
            path=health.path,
            host=named if site.preserve_host else "",
            interval=health.interval,
            timeout=health.timeout,
            status=frozenset(health.status),
        )
    return UpstreamGroup(
        site.name,
        members,
        balance=site.balance,
        hash_key=_hash_key(site.hash_by, trusted),
        policy=HealthPolicy(
            max_fails=health.max_fails,
            fail_timeout=health.fail_timeout,
            slow_start=health.slow_start,
            rise=health.rise,
            fall=health.fall,
        ),
        check=check,
        budget=RetryBudget(site.retry_budget),
        sends_own_host=not site.preserve_host,
    )


def _hash_key(hash_by: str, trusted: Networks) -> Callable[[web.BaseRequest], str]:
    """What a request is hashed by; its client address where it lacks what is named."""
    kind, _, name = hash_by.partition(":")
    by_address = partial(client_address, trusted=trusted)
    if kind == "cookie":
        return lambda request: request.cookies.get(name) or by_address(request)
    if kind == "header":
        return lambda request: request.headers.get(name) or by_address(request)
    return by_address
