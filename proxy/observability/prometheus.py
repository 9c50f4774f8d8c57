"""Metrics of all workers in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from proxy.observability.metrics import BOUNDS, Counts, Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "consent_proxy_"

FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "requests": (
        "Requests answered. status 4xx with the visitor gone counts as 499. cache: hit, or why the "
        "upstream was asked (RFC 9211); empty where the cache was not asked.",
        ("site", "status", "cache"),
    ),
    "response_bytes": ("Bytes of answers, heads included, as sent.", ("site",)),
    "pages": ("Pages that were gated and sent.", ("site", "audience", "banner")),
    "pages_by_device": (
        "The same pages by class of device: phone, tablet, desktop, bot, other.",
        ("site", "device"),
    ),
    "gates": ("Resources on pages sent, by whether they were let through.", ("site", "state")),
    "unreadable_choices": (
        "Pages sent to visitors whose preference cookie could not be read. cause: unknown_key, or "
        "damaged.",
        ("site", "cause"),
    ),
    "keys_made": (
        "First keys made, as preferences.keys held none: choices that other keys signed cannot be "
        "read.",
        (),
    ),
    "config_refusals": ("Reloads of a config with a fault.", ()),
}
"""Counters: what each tells, and the names of its labels."""

GAUGES: dict[str, str] = {
    "worker_start_timestamp_seconds": "When the worker began.",
    "config_last_reload_successful": "1 if the worker serves by the config file as it is, 0 if "
    "that was rejected, and the last good one is still served.",
    "config_last_good_timestamp_seconds": "When the worker took the config that it serves by.",
    "cache_bytes": "Bytes that the worker's shared cache holds.",
    "cache_entries": "Answers that the worker's shared cache holds.",
}
"""Gauges, one value a worker: what each tells."""


def metrics_text(metrics: Metrics) -> bytes:
    """All metrics in the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    return generate_latest(registry)


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        workers = self._metrics.all_workers()
        total = Counts()
        for counts in workers.values():
            total.add(counts)
        yield from _counters(total)
        yield _seconds(total)
        yield from _gauges(workers)


def _counters(total: Counts) -> Iterator[Metric]:
    for name, (help_text, labels) in FAMILIES.items():
        family = CounterMetricFamily(_PREFIX + name, help_text, labels=labels)
        for (known, values), number in sorted(total.counters.items()):
            if known == name:
                family.add_metric(values, number)
        if not labels and not family.samples:
            family.add_metric((), 0)
        yield family


def _seconds(total: Counts) -> Metric:
    family = HistogramMetricFamily(
        f"{_PREFIX}request_seconds",
        "Time from a request's head to the end of its answer.",
        labels=("site",),
    )
    for site, times in sorted(total.seconds.items()):
        so_far = 0.0
        buckets: list[tuple[str, float]] = []
        for bound, number in zip((*map(str, BOUNDS), "+Inf"), times[:-1], strict=True):
            so_far += number
            buckets.append((bound, so_far))
        family.add_metric((site,), buckets, sum_value=times[-1])
    return family


def _gauges(workers: dict[int, Counts]) -> Iterator[Metric]:
    for name, help_text in GAUGES.items():
        family = GaugeMetricFamily(_PREFIX + name, help_text, labels=("worker",))
        for index, counts in workers.items():
            if name in counts.gauges:
                family.add_metric((str(index),), counts.gauges[name])
        yield family
