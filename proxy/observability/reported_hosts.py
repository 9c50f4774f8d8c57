"""Rate limits of the hosts that CSP reports may add."""

from __future__ import annotations

from cachetools import LRUCache

from proxy.observability.rate_limit import RateLimit

_MAX_HOSTS = 10_000
_MAX_LENGTH = 253
"""Of a name (RFC 1035, 2.3.4)."""
_NEW_AT_ONCE = 20
_NEW_A_SECOND = 1 / 300


class ReportedHosts:
    """The hosts that were reported to this worker.

    A new one counts while its sender, a network, is within its limit: what is on a page is reported
    by other visitors, too.
    """

    def __init__(self) -> None:
        self._known: LRUCache[tuple[str, str], None] = LRUCache(_MAX_HOSTS)
        self._new = RateLimit(a_second=_NEW_A_SECOND, at_once=_NEW_AT_ONCE)

    def may_name(self, site: str, host: str, sender: str, now: float) -> bool:
        """Whether a report of `sender` counts; `now` in seconds."""
        if (site, host) in self._known:
            return True
        if len(host) > _MAX_LENGTH or not self._new.allow(sender, now):
            return False
        self._known[site, host] = None
        return True
