"""Metrics of upstreams with several servers, or with health checks: what this worker knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxy.observability.metrics import Labels, Metrics
from proxy.upstream.group import UpstreamGroup


def watch_upstreams(metrics: Metrics, groups: Callable[[], Iterable[UpstreamGroup]]) -> None:
    """The state of each server, and counts of failures, ejections and retries."""
    counted: dict[tuple[str, Labels], int] = {}

    def up() -> dict[Labels, float]:
        return {
            (group.site, member.server.name): float(member.health.is_up)
            for group in groups()
            if group.only is None
            for member in group.members
        }

    def count() -> None:
        for group in groups():
            add("upstream_retries", (group.site,), group.retries)
            for member in group.members:
                labels = group.site, member.server.name
                add("upstream_failures", labels, member.failures)
                add("upstream_ejections", labels, member.ejections)

    def add(family: str, labels: Labels, total: int) -> None:
        before = counted.get((family, labels), 0)
        counted[family, labels] = total
        if total > before:
            metrics.count(family, *labels, by=total - before)

    metrics.watch_all("upstream_up", up)
    metrics.on_publish(count)
