"""Who the requests of a page reach, by the catalogue: for checks in a site's own browser tests."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from consent_rules.audit.receivers import Receiver, receiver_of
from consent_rules.audit.scope import AuditScope, with_own_hosts
from consent_rules.categories import Regime
from proxy.audit.scopes import scope_by_catalogue


@cache
def site_scope(host: str, own: tuple[str, ...]) -> AuditScope:
    """The scope of a site without a config. `own`: host patterns besides those of its domain."""
    scope = scope_by_catalogue(
        f"https://{host}/",
        own=own,
        patient_pages=(),
        regime=Regime.OPT_IN,
        region="",
        today=datetime.date.min,
    )
    return replace(scope, site=with_own_hosts(scope.site, own)) if own else scope


def receivers(
    scope: AuditScope, sent: Iterable[tuple[str, str]]
) -> dict[str, tuple[Receiver, str]]:
    """Vendor id, or host -> the receiver and the first address. `sent`: addresses and bodies."""
    found: dict[str, tuple[Receiver, str]] = {}
    for url, body in sent:
        receiver = receiver_of(url, body, scope.rules, scope.site, scope.aliases)
        if receiver is not None:
            found.setdefault(receiver.id or receiver.host, (receiver, url))
    return found


def line_of(receiver: Receiver, url: str) -> str:
    """One receiver as a sentence: name, id and category, address, how it was recognised."""
    who = receiver.name
    if receiver.vendor is not None:
        who = f"{receiver.name} ({receiver.id}, {receiver.vendor.category})"
    return f"{who} was sent {url[:200]}" + (f" ({receiver.detail})" if receiver.detail else "")
