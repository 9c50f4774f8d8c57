"""Host patterns: which hosts a pattern covers, and which pattern claims a host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


def host_covers(outer: str, inner: str) -> bool:
    """Whether every host that the pattern `inner` matches is matched by `outer` too."""
    a, b = HostPattern.parse(outer), HostPattern.parse(inner)
    if a.port is not None and a.port != b.port:
        return False
    if a.below:
        return b.host == a.host or b.host.endswith(f".{a.host}")
    return not b.below and a.host == b.host


def hosts_overlap(one: str, other: str) -> bool:
    """Whether some host matches both patterns."""
    a, b = HostPattern.parse(one), HostPattern.parse(other)
    if a.port is not None and b.port is not None and a.port != b.port:
        return False
    bare, bare_too = _without_port(one), _without_port(other)
    return host_covers(bare, bare_too) or host_covers(bare_too, bare)


def _without_port(pattern: str) -> str:
    return pattern.partition(":")[0]


def spellings(glob: str) -> tuple[str, ...]:
    """`/x/*` matches `/x` too."""
    if glob.endswith("/*") and len(glob) > 2:
        return (glob, glob[:-2])
    return (glob,)


@dataclass(frozen=True, slots=True)
class HostPattern:
    """`example.com`, `*.example.com`, either with `:port`."""

    host: str
    below: bool
    port: int | None

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        host, _, port = text.partition(":")
        below = host.startswith("*.")
        return cls(host[2:] if below else host, below, int(port) if port else None)


def domain_suffixes(host: str) -> Iterator[str]:
    """`a.b.c`, `b.c`, `c`: the host and its parent domains, nearest first."""
    while True:
        yield host
        _, dot, host = host.partition(".")
        if not dot:
            return


class HostSet:
    """A set of hosts given by patterns. Membership takes one look-up a label."""

    __slots__ = ("_below", "_exact")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: dict[str, set[int | None]] = {}
        self._below: dict[str, set[int | None]] = {}
        for text in patterns:
            pattern = HostPattern.parse(text)
            table = self._below if pattern.below else self._exact
            table.setdefault(pattern.host, set()).add(pattern.port)

    def holds(self, host: str, port: int | None) -> bool:
        ports = self._exact.get(host)
        if ports is not None and (None in ports or port in ports):
            return True
        if not self._below:
            return False
        for suffix in domain_suffixes(host):
            ports = self._below.get(suffix)
            if ports is not None and (None in ports or port in ports):
                return True
        return False


class HostClaims:
    """Host patterns with the ids of their vendors. The cost of a look-up does not grow with the
    vendors.
    """

    __slots__ = ("_at", "_below")

    def __init__(self, claims: Iterable[tuple[str, str]]) -> None:
        self._at: dict[str, list[tuple[str, str]]] = {}
        self._below: dict[str, list[tuple[str, str]]] = {}
        self.add(claims)

    def add(self, claims: Iterable[tuple[str, str]]) -> None:
        for pattern, vendor in claims:
            host = HostPattern.parse(pattern).host
            self._at.setdefault(host, []).append((pattern, vendor))
            for parent in _parents(host):
                self._below.setdefault(parent, []).append((pattern, vendor))

    def overlapping(self, pattern: str) -> Iterator[str]:
        """The vendors of the patterns that overlap a pattern, nearest first."""
        parsed = HostPattern.parse(pattern)
        for host in (parsed.host, *_parents(parsed.host)):
            for other, vendor in self._at.get(host, ()):
                if hosts_overlap(pattern, other):
                    yield vendor
        if parsed.below:
            for other, vendor in self._below.get(parsed.host, ()):
                if hosts_overlap(pattern, other):
                    yield vendor


def _parents(host: str) -> Iterator[str]:
    suffixes = domain_suffixes(host)
    next(suffixes)
    return suffixes
