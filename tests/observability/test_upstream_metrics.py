"""What is known of upstreams, as metrics."""

from __future__ import annotations

from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from proxy.observability.upstream_metrics import watch_upstreams
from proxy.upstream.group import Member, UpstreamGroup
from proxy.upstream.server import server_at
from tests.support.prometheus_text import samples

A, B = "http://10.0.0.1", "unix:/run/b.sock"


def group(*names: str) -> UpstreamGroup:
    return UpstreamGroup("www", tuple(Member(server_at(name)) for name in names))


def test_state_failures_and_retries() -> None:
    metrics, current = Metrics(), group(A, B)
    watch_upstreams(metrics, lambda: [current])
    up = {one: ("upstream_up", ("www", one)) for one in (A, B)}
    found = samples(metrics_text(metrics))
    assert (found[up[A]], found[up[B]]) == (1, 1)
    for now in range(4):
        current.failed(current.members[0], now, "it broke")
    current.retries += 2
    found = samples(metrics_text(metrics))
    assert (found[up[A]], found[up[B]]) == (0, 1)
    assert found["upstream_failures_total", ("www", A)] == 4
    assert found["upstream_ejections_total", ("www", A)] == 1
    assert found["upstream_retries_total", ("www",)] == 2
    # A reload goes on from what is known, and counts nothing twice.
    current = group(A, "http://10.0.0.3").follow(current)
    current.retries += 1
    found = samples(metrics_text(metrics))
    assert found[up[A]] == 0
    assert up[B] not in found
    assert found["upstream_failures_total", ("www", A)] == 4
    assert found["upstream_retries_total", ("www",)] == 3


def test_nothing_is_claimed_of_a_server_that_is_not_watched() -> None:
    metrics, current = Metrics(), group(A)
    watch_upstreams(metrics, lambda: [current])
    assert not [name for name, _ in samples(metrics_text(metrics)) if name == "upstream_up"]
