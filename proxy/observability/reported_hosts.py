"""Budgets of the hosts that CSP reports may name."""

from __future__ import annotations

from cachetools import LRUCache

from proxy.observability.rate_limit import RateLimit

_MAX_HOSTS = 10_000
_NEW_AT_ONCE = 20
_NEW_A_SECOND = 1 / 300


class ReportedHosts:
    """The hosts that were named to this worker. A new one counts as long as its sender, a network,
    has not named too many: what is on a page is reported by the others who see it, too.
    """

    def __init__(self) -> None:
        self._known: LRUCache[tuple[str, str], None] = LRUCache(_MAX_HOSTS)
        self._new = RateLimit(a_second=_NEW_A_SECOND, at_once=_NEW_AT_ONCE)

    def may_name(self, site: str, host: str, sender: str, now: float) -> bool:
        """Whether a report of `sender` counts; `now` in seconds."""
        if (site, host) in self._known:
            return True
        if not self._new.allow(sender, now):
            return False
        self._known[site, host] = None
        return True
