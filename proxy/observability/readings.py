"""What happened between two readings of `/metrics`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

from prometheus_client.parser import text_string_to_metric_families

from proxy.observability.prometheus import PREFIX

_SLOW_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Reading:
    """The samples of `/metrics` at a moment (seconds of any clock): name without our prefix ->
    labels -> value.
    """

    at: float
    samples: Mapping[str, Mapping[frozenset[tuple[str, str]], float]]

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The sums of a metric by the values of these labels."""
        sums: dict[tuple[str, ...], float] = defaultdict(float)
        for found, value in self.samples.get(name, {}).items():
            known = dict(found)
            sums[tuple(known.get(label, "") for label in labels)] += value
        return sums

    def values(self, name: str) -> list[float]:
        """The values of a metric, one a worker."""
        return list(self.samples.get(name, {}).values())


def read_metrics(text: str, at: float) -> Reading:
    """A reading of the text format. Raises ValueError."""
    samples: dict[str, dict[frozenset[tuple[str, str]], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix(PREFIX)
            samples[name][frozenset(sample.labels.items())] = sample.value
    return Reading(at, samples)


@dataclass(frozen=True, slots=True)
class SiteActivity:
    """Of one site, between two readings. Shares are 0 to 1, None where there was no request.
    `milliseconds` is the mean, `slow_milliseconds` a bound that 95 % stay within (None: above all).
    """

    site: str
    requests_per_second: float
    hits: float | None
    client_errors: float | None
    server_errors: float | None
    milliseconds: float | None
    slow_milliseconds: float | None
    pages_per_second: float
    closed_per_second: float


@dataclass(frozen=True, slots=True)
class UpstreamActivity:
    """Exchanges with an upstream now. `is_up` is None where that is not known: of a site with one
    server and no checks. `failures` are those between the readings.
    """

    upstream: str
    is_up: bool | None
    active: int
    active_limit: int | None
    streams: int
    waiting: int
    failures: int


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices since the start, and between the readings."""

    site: str
    action: str
    number: int
    new: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What the proxy does. `up_seconds` is of the worker that runs longest."""

    version: str
    workers: int
    up_seconds: float
    seconds: float
    requests_per_second: float
    resident_bytes: int
    open_files: int
    takes_config: bool
    unknown_hosts_per_second: float
    sites: tuple[SiteActivity, ...]
    upstreams: tuple[UpstreamActivity, ...]
    choices: tuple[Choices, ...]


def activity(before: Reading, now: Reading, clock: float) -> Activity:
    """What happened between two readings; `clock` is the time in seconds since 1970. Counters that
    went back, of a proxy that was started anew, count from nothing.
    """
    seconds = max(now.at - before.at, 0.001)
    starts = now.values("worker_start_timestamp_seconds")
    sites = tuple(_sites(before, now, seconds))
    (version,) = next(iter(now.by("build_info", "version")), ("",))
    hosts = sum(_more(before, now, "unknown_hosts_total").values())
    return Activity(
        version=version,
        workers=len(starts),
        up_seconds=max(clock - min(starts), 0.0) if starts else 0.0,
        seconds=seconds,
        requests_per_second=sum(_more(before, now, "requests_total").values()) / seconds,
        resident_bytes=int(sum(now.values("resident_bytes"))),
        open_files=int(sum(now.values("open_files"))),
        takes_config=all(now.values("config_last_reload_successful")),
        unknown_hosts_per_second=hosts / seconds,
        sites=sites,
        upstreams=tuple(_upstreams(before, now)),
        choices=tuple(_choices(before, now)),
    )


def _more(before: Reading, now: Reading, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """How much each sum of a counter grew."""
    earlier = before.by(name, *labels)
    return {
        key: value - earlier.get(key, 0.0) if value >= earlier.get(key, 0.0) else value
        for key, value in now.by(name, *labels).items()
    }


def _sites(before: Reading, now: Reading, seconds: float) -> Iterator[SiteActivity]:
    requests = _more(before, now, "requests_total", "site", "status", "cache")
    took = _more(before, now, "request_seconds_sum", "site")
    counted = _more(before, now, "request_seconds_count", "site")
    buckets = _more(before, now, "request_seconds_bucket", "site", "le")
    pages = _more(before, now, "pages_total", "site")
    gates = _more(before, now, "gates_total", "site", "state")
    for name in sorted({site for site, _, _ in requests if site}):
        of_site = {(s, c): number for (site, s, c), number in requests.items() if site == name}
        total = sum(of_site.values())

        def share(number: float, total: float = total) -> float | None:
            return number / total if total else None

        number = counted.get((name,), 0.0)
        yield SiteActivity(
            site=name,
            requests_per_second=total / seconds,
            hits=share(sum(n for (_, cache), n in of_site.items() if cache == "hit")),
            client_errors=share(sum(n for (status, _), n in of_site.items() if status == "4xx")),
            server_errors=share(sum(n for (status, _), n in of_site.items() if status == "5xx")),
            milliseconds=took.get((name,), 0.0) / number * 1000 if number else None,
            slow_milliseconds=_within(
                {float(le): n for (site, le), n in buckets.items() if site == name}, number
            ),
            pages_per_second=pages.get((name,), 0.0) / seconds,
            closed_per_second=gates.get((name, "closed"), 0.0) / seconds,
        )


def _within(buckets: Mapping[float, float], number: float) -> float | None:
    """The first bound, in milliseconds, below which 95 % of a histogram are."""
    for bound, so_far in sorted(buckets.items()):
        if number and so_far >= number * _SLOW_SHARE and bound < inf:
            return bound * 1000
    return None


def _upstreams(before: Reading, now: Reading) -> Iterator[UpstreamActivity]:
    exchanges = now.by("upstream_exchanges", "upstream", "state")
    limits = now.by("upstream_exchanges_limit", "upstream", "state")
    # A server of two sites: it is down where one of them says so.
    up: dict[str, float] = {}
    for (_, name), value in now.by("upstream_up", "site", "upstream").items():
        up[name] = min(up.get(name, 1.0), value)
    failures = _more(before, now, "upstream_failures_total", "upstream")
    for name in sorted({upstream for upstream, _ in exchanges} | up.keys()):
        limit = limits.get((name, "active"))
        yield UpstreamActivity(
            upstream=name,
            is_up=bool(up[name]) if name in up else None,
            active=int(exchanges.get((name, "active"), 0)),
            active_limit=None if limit is None else int(limit),
            streams=int(exchanges.get((name, "stream"), 0)),
            waiting=int(exchanges.get((name, "waiting"), 0)),
            failures=int(failures.get((name,), 0)),
        )


def _choices(before: Reading, now: Reading) -> Iterator[Choices]:
    new = _more(before, now, "choices_total", "site", "action")
    for (site, action), number in sorted(now.by("choices_total", "site", "action").items()):
        yield Choices(site, action, int(number), int(new[site, action]))
