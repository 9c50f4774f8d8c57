"""Metrics of all workers in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from proxy import __version__
from proxy.observability.metrics import BOUNDS, Counts, Labels, Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "consent_proxy_"

FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "requests": (
        "Requests with a response. status: class of the status code; a visitor who disconnected "
        "counts as 4xx (499). cache: hit, or why the request was forwarded (RFC 9211); empty where "
        "the cache was not used.",
        ("site", "status", "cache"),
    ),
    "response_bytes": ("Bytes of responses as sent, heads included.", ("site",)),
    "pages": ("Pages gated and sent.", ("site", "audience", "banner")),
    "pages_by_device": (
        "The same pages by class of device: phone, tablet, desktop, bot, other.",
        ("site", "device"),
    ),
    "gates": ("Resources of the pages sent, by the state of their gate.", ("site", "state")),
    "unreadable_choices": (
        "Pages sent to visitors whose preference cookie could not be read. cause: unknown_key, "
        "revoked_key or damaged.",
        ("site", "cause"),
    ),
    "choices": (
        "Choices made. action: accept_all, reject_all, save, vendor (one vendor's content, for "
        "good), once (the same for one page), opt_out or limit; regime: the visitor's.",
        ("site", "action", "regime"),
    ),
    "keys_made": (
        "First keys created, as preferences.keys held none: choices signed by other keys cannot be "
        "read.",
        (),
    ),
    "receipts": ("Receipts of choices written, before the visitor's reply.", ()),
    "receipt_failures": (
        "Receipts that could not be written: their choices were refused, and nothing was opened.",
        (),
    ),
    "log_lines_dropped": (
        "Lines of the log that were dropped, as its reader did not take them in time.",
        (),
    ),
    "unknown_hosts": ("Requests for a host that no site has: each got a 421.", ()),
    "upstream_failures": (
        "Requests that failed by a server's fault, of sites with several servers or with health "
        "checks.",
        ("site", "upstream"),
    ),
    "upstream_ejections": (
        "How often a server got no more requests: after failures in a row, or failed checks; by "
        "each worker.",
        ("site", "upstream"),
    ),
    "upstream_retries": ("Requests that were sent again, to another server.", ("site",)),
    "new_third_parties": (
        "Third parties without an approval that were seen for the first time. kind: vendor, or "
        "host (one that no vendor has).",
        ("site", "kind"),
    ),
    "config_reloads": ("Reloads of a config that was taken, by each worker.", ()),
    "config_refusals": ("Reloads of an invalid config, by each worker.", ()),
}
"""Counters: help text, and the names of the labels."""

GAUGES: dict[str, str] = {
    "worker_start_timestamp_seconds": "Start time of the worker.",
    "config_last_reload_successful": "1 if the worker serves the config file as it is, 0 if "
    "that was rejected and the last good one is still served.",
    "config_last_good_timestamp_seconds": "When the worker loaded the config that it serves.",
    "config_reload_seconds": "Time that the last reload took: reading and compiling the config, "
    "while requests went on; 0 before the first.",
    "signing_key_due_timestamp_seconds": "When the key that signs choices has signed for "
    "preferences.rotate_days; 0 where its age is not known or not limited.",
    "tls_certificate_expiry_timestamp_seconds": "When the first of the certificates that visitors "
    "get expires; 0 where a server in front ends TLS.",
    "receipt_log_leaves": "Leaves of the log of receipts: receipts and erasures.",
    "receipt_log_newest_timestamp_seconds": "When the newest receipt of the log was made, which "
    "its newest checkpoint covers; 0 where there is none.",
    "receipt_outbox_items": "Receipts and erasures of this node that the database "
    "does not have yet.",
    "receipt_log_readable": "1 if the log of receipts could be read a moment ago.",
    "resident_bytes": "Memory of the worker that is in use (RSS), shared pages included.",
    "open_files": "Descriptors that the worker has open: connections, files.",
    "max_open_files": "Descriptors that the worker may have open.",
    "cache_bytes": "Bytes stored in the worker's shared cache.",
    "cache_entries": "Responses stored in the worker's shared cache.",
}
"""Gauges, one value a worker: help text."""

Merge = Callable[[Iterable[float]], float]

LABELLED_GAUGES: dict[str, tuple[str, tuple[str, ...], Merge]] = {
    "tag_expiry_timestamp_seconds": (
        "When the approval of a vendor on a site ends: the first, where it has several.",
        ("site", "vendor"),
        min,
    ),
    "upstream_up": (
        "1 if a server gets requests, 0 if at least one worker has ejected it, or its health "
        "checks fail. Of sites with several servers, or with health checks.",
        ("site", "upstream"),
        min,
    ),
    "upstream_exchanges": (
        "Exchanges with an upstream. state: active (each holds a connection), stream (event "
        "streams, WebSockets and long ones) or waiting (for a connection).",
        ("upstream", "state"),
        sum,
    ),
    "upstream_exchanges_limit": (
        "How many there may be, all workers together. state: active, stream or waiting; none where "
        "there is no limit.",
        ("upstream", "state"),
        sum,
    ),
}
"""Gauges of what the config names: help text, names of the labels, and how the workers' values
become one.
"""


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
        yield _build_info()
        yield from _counters(total)
        yield _seconds(
            "request_seconds", "Time from a request's head to the end of its response.",
            total.seconds,
        )  # fmt: skip
        yield _seconds(
            "upstream_seconds",
            "Time from the request to the upstream to its response's head, or its failure.",
            total.upstream_seconds,
        )
        yield from _gauges(workers)
        yield from _labelled_gauges(workers)


def _build_info() -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}build_info", "1, with the version.", labels=("version",))
    family.add_metric((__version__,), 1)
    return family


def _counters(total: Counts) -> Iterator[Metric]:
    for name, (help_text, labels) in FAMILIES.items():
        family = CounterMetricFamily(PREFIX + name, help_text, labels=labels)
        for (known, values), number in sorted(total.counters.items()):
            if known == name:
                family.add_metric(values, number)
        if not labels and not family.samples:
            family.add_metric((), 0)
        yield family


def _seconds(name: str, help_text: str, by_site: dict[str, list[float]]) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, help_text, labels=("site",))
    for site, times in sorted(by_site.items()):
        so_far = 0.0
        buckets: list[tuple[str, float]] = []
        for bound, number in zip((*map(str, BOUNDS), "+Inf"), times[:-1], strict=True):
            so_far += number
            buckets.append((bound, so_far))
        family.add_metric((site,), buckets, sum_value=times[-1])
    return family


def _gauges(workers: dict[int, Counts]) -> Iterator[Metric]:
    for name, help_text in GAUGES.items():
        family = GaugeMetricFamily(PREFIX + name, help_text, labels=("worker",))
        for index, counts in workers.items():
            if name in counts.gauges:
                family.add_metric((str(index),), counts.gauges[name][()])
        yield family


def _labelled_gauges(workers: dict[int, Counts]) -> Iterator[Metric]:
    for name, (help_text, labels, merge) in LABELLED_GAUGES.items():
        found: dict[Labels, list[float]] = {}
        for counts in workers.values():
            for values, number in counts.gauges.get(name, {}).items():
                found.setdefault(values, []).append(number)
        family = GaugeMetricFamily(PREFIX + name, help_text, labels=labels)
        for values, numbers in sorted(found.items()):
            family.add_metric(values, merge(numbers))
        yield family
