"""What two readings of the product's own metrics tell."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.http.access_record import Access, PageRecord
from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from proxy.observability.readings import Activity, Reading, activity, read_metrics

NO_FIELDS = CIMultiDictProxy(CIMultiDict[str]())
STARTED = 1_800_000_000.0


def access(
    status: int = 200, cache: str = "miss", seconds: float = 0.01, site: str = "www", **more: object
) -> Access:
    return Access("1", "GET", "/", status, 100, seconds, "", NO_FIELDS, site, cache, None)._replace(
        **more  # type: ignore[arg-type]
    )


def reading(metrics: Metrics, at: float) -> Reading:
    return read_metrics(metrics_text(metrics).decode(), at)


def looked(metrics: Metrics, *between: Access, seconds: float = 2.0) -> Activity:
    before = reading(metrics, 10.0)
    for one in between:
        metrics(one)
    return activity(before, reading(metrics, 10.0 + seconds), STARTED)


def test_a_quiet_proxy() -> None:
    metrics = Metrics()
    metrics(access())
    found = looked(metrics)
    (site,) = found.sites
    assert (found.requests_per_second, site.requests_per_second) == (0, 0)
    assert (site.hits, site.server_errors, site.milliseconds, site.slow_milliseconds) == (None,) * 4


def test_only_what_came_between_counts() -> None:
    metrics = Metrics()
    for _ in range(50):
        metrics(access(500, seconds=9.0))
    page = PageRecord("marketing", True, 2, 3)
    found = looked(
        metrics,
        access(cache="hit", seconds=0.002),
        access(cache="hit", seconds=0.002),
        access(404, seconds=0.004, page=page),
        access(503, "bypass", seconds=0.032),
        access(421, site=""),
    )
    (site,) = found.sites
    assert found.requests_per_second == 2.5
    assert found.unknown_hosts_per_second == 0.5
    assert site.requests_per_second == 2.0
    assert (site.hits, site.client_errors, site.server_errors) == (0.5, 0.25, 0.25)
    assert site.milliseconds == pytest.approx(10.0)
    assert (site.pages_per_second, site.closed_per_second) == (0.5, 1.5)


@pytest.mark.parametrize(
    ("seconds", "within"),
    [([0.0001] * 20, True), ([0.0001] * 19 + [1000.0], True), ([0.0001] * 18 + [1000.0] * 2, None)],
)
def test_how_slow_the_slow_ones_are(seconds: list[float], within: bool | None) -> None:
    (site,) = looked(Metrics(), *(access(seconds=one) for one in seconds)).sites
    assert (site.slow_milliseconds is not None) is (within is True)
    assert site.slow_milliseconds is None or site.slow_milliseconds <= 5


def test_a_proxy_that_was_started_anew() -> None:
    """Its counters begin again: no rate is negative."""
    metrics, anew = Metrics(), Metrics()
    for _ in range(50):
        metrics(access())
    anew(access())
    found = activity(reading(metrics, 1.0), reading(anew, 2.0), STARTED)
    assert found.requests_per_second == 1
    assert found.sites[0].milliseconds == pytest.approx(10.0)


def test_upstreams() -> None:
    metrics = Metrics()
    one, other = "http://10.0.0.1", "unix:/run/b.sock"
    metrics.watch_all(
        "upstream_exchanges",
        lambda: {(one, "active"): 3, (one, "stream"): 2, (one, "waiting"): 1, (other, "active"): 0},
    )
    metrics.watch_all("upstream_exchanges_limit", lambda: {(one, "active"): 256})
    metrics.watch_all("upstream_up", lambda: {("www", one): 1.0, ("shop", one): 0.0})
    metrics.count("upstream_failures", "www", one, by=2)
    first, second = looked(metrics).upstreams
    assert (first.upstream, first.is_up, first.active, first.active_limit) == (one, False, 3, 256)
    assert (first.streams, first.waiting, first.failures) == (2, 1, 0)
    assert (second.upstream, second.is_up, second.active_limit) == (other, None, None)


def test_choices_of_all_regimes() -> None:
    metrics = Metrics()
    metrics(access(choice=("accept_all", "opt_in")))
    metrics(access(choice=("accept_all", "opt_out")))
    found = looked(metrics, access(choice=("reject_all", "opt_in")))
    assert [(one.action, one.number, one.new) for one in found.choices] == [
        ("accept_all", 2, 0),
        ("reject_all", 1, 1),
    ]


def test_workers() -> None:
    metrics = Metrics()
    metrics.watch("worker_start_timestamp_seconds", lambda: STARTED - 90)
    metrics.watch("resident_bytes", lambda: 5 * 2**20)
    metrics.watch("config_last_reload_successful", lambda: 0.0)
    found = looked(metrics)
    assert (found.workers, found.up_seconds, found.resident_bytes) == (1, 90, 5 * 2**20)
    assert not found.takes_config
    assert found.version


@pytest.mark.parametrize("text", ["<html>", "a{", 'a{b="c} 1'])
def test_what_is_no_metrics(text: str) -> None:
    with pytest.raises(ValueError):
        read_metrics(text, 0.0)
