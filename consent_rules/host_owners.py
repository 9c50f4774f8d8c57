"""Which vendors lay claim to hosts that a pattern names. Cost does not grow with the vendors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from consent_rules.matching.hosts import HostPattern, hosts_meet


class HostOwners:
    """Host patterns with the ids of their vendors."""

    def __init__(self, claims: Iterable[tuple[str, str]]) -> None:
        self._at: dict[str, list[tuple[str, str]]] = {}
        self._below: dict[str, list[tuple[str, str]]] = {}
        self.add(claims)

    def add(self, claims: Iterable[tuple[str, str]]) -> None:
        for pattern, owner in claims:
            host = HostPattern.parse(pattern).host
            self._at.setdefault(host, []).append((pattern, owner))
            for parent in _parents(host):
                self._below.setdefault(parent, []).append((pattern, owner))

    def meeting(self, pattern: str) -> Iterator[str]:
        """The owners of the patterns that share a host with this one, nearest first."""
        parsed = HostPattern.parse(pattern)
        for host in (parsed.host, *_parents(parsed.host)):
            for other, owner in self._at.get(host, ()):
                if hosts_meet(pattern, other):
                    yield owner
        if parsed.below:
            for other, owner in self._below.get(parsed.host, ()):
                if hosts_meet(pattern, other):
                    yield owner


def _parents(host: str) -> Iterator[str]:
    while host:
        _, _, host = host.partition(".")
        if host:
            yield host
