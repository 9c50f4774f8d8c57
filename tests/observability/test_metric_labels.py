"""The labels of /metrics are bounded by the config and the code, not by what a visitor sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.observability.metrics import Metrics
from proxy.observability.process_metrics import watch_process
from proxy.observability.prometheus import FAMILIES, LABELLED_GAUGES, metrics_text
from tests.support.debian_programs import promtool
from tests.support.prometheus_text import samples
from tests.support.site import PAGE, TAGS, Proxied, proxied, reply

FROM_CONFIG = {"site", "vendor", "upstream"}
FROM_CODE = {
    "status": {f"{hundreds}xx" for hundreds in range(1, 10)},
    "cache": {
        "", "hit", "collapsed", "miss", "stale", "bypass", "method", "request", "vary-miss",
        "uri-miss", "partial",
    },
    "audience": {"marketing", "patient"},
    "banner": {"shown", "none"},
    "device": {"phone", "tablet", "desktop", "bot", "other"},
    "state": {"open", "closed", "active", "stream", "waiting"},
    "cause": {"unknown_key", "revoked_key", "damaged"},
    "action": {
        "accept_all", "reject_all", "save", "vendor", "once", "opt_out", "limit",
    },
    "kind": {"host", "vendor"},
    "regime": {"opt_in", "opt_out", "mixed"},
}  # fmt: skip

CANARY = "canary77zz"
FORGED = "consent=" + "A" * 40 + "." + CANARY
HOSTILE: list[dict[str, object]] = [
    {"path": f"/{CANARY}?{CANARY}={CANARY}"},
    {"path": "/", "host": f"{CANARY}.example"},
    {"path": "/", "method": CANARY.upper()},
    {"path": "/", "headers": (f"User-Agent: {CANARY}",)},
    {"path": "/", "headers": (f"X-Forwarded-For: {CANARY}", f"X-Forwarded-Host: {CANARY}")},
    {"path": "/", "headers": (f"X-Country: {CANARY[:8]}", "Sec-GPC: 1")},
    {"path": "/", "headers": (f"X-Request-Id: {CANARY}", f"traceparent: {CANARY}")},
    {"path": "/", "cookie": FORGED},
    {"path": f"/patients/{CANARY}"},
    {"path": f"/.consent/{CANARY}"},
    {"path": "/.consent/choice", "method": "POST", "body": f"action={CANARY}".encode()},
    {"path": "/.consent/choice", "method": "POST", "body": f"action=once&vendor={CANARY}".encode()},
    {"path": "/.consent/report", "method": "POST", "body": CANARY.encode()},
    {"path": "/", "dest": CANARY},
]


async def send(site: Proxied, one: dict[str, object]) -> None:
    options = dict(one)
    headers = options.pop("headers", ())
    assert isinstance(headers, tuple)
    if options.get("method") == "POST":
        headers = (*headers, "Sec-Fetch-Site: same-origin",
                   "Content-Type: application/x-www-form-urlencoded")  # fmt: skip
    await site.ask(str(options.pop("path")), *headers, **options)  # type: ignore[arg-type]


def test_every_label_is_of_the_config_or_of_a_list() -> None:
    tables = [labels for _, labels in FAMILIES.values()]
    tables += [labels for _, labels, _ in LABELLED_GAUGES.values()]
    names = {label for labels in tables for label in labels}
    assert names == FROM_CONFIG | set(FROM_CODE)


async def test_nothing_that_a_visitor_sends_becomes_a_label(tmp_path: Path) -> None:
    metrics = Metrics(1)
    async with proxied(tmp_path, {"*": reply(PAGE)}, access=metrics) as site:
        for one in HOSTILE:
            await send(site, one)
        told = metrics_text(metrics)
        series = set(samples(told))
        for number in range(30):  # as many again, of other values: no more series
            await site.ask(f"/{number}", f"User-Agent: {number}", host=f"{number}.example")
        assert set(samples(metrics_text(metrics))) == series
    assert CANARY not in told.decode().lower()
    values: dict[str, set[str]] = {}
    for name, labels in FAMILIES.items():
        for (known, found), _ in metrics.all_workers()[0].counters.items():
            if known == name:
                for label, value in zip(labels[1], found, strict=True):
                    values.setdefault(label, set()).add(value)
    assert values.pop("site") == {"www", ""}
    assert values
    for label, found_values in values.items():
        assert found_values <= FROM_CODE[label], label


async def test_unknown_hosts_are_counted(tmp_path: Path) -> None:
    metrics = Metrics(1)
    async with proxied(tmp_path, access=metrics) as site:
        await site.ask(host="other.example")
        await site.ask(host="not a host")
        await site.ask(method="TRACE")
    assert samples(metrics_text(metrics))["unknown_hosts_total", ()] == 1


async def test_the_upstreams_time_has_a_histogram(tmp_path: Path) -> None:
    metrics = Metrics(1)
    page = reply(PAGE, "Cache-Control: public, max-age=600")
    async with proxied(tmp_path, {"page": page}, access=metrics) as site:
        for _ in range(3):
            await site.ask("/page")
    found = samples(metrics_text(metrics))
    assert found["request_seconds_count", ("www",)] == 3
    assert found["upstream_seconds_count", ("www",)] == 1


def test_labelled_gauges_are_one_for_all_workers() -> None:
    metrics = Metrics(2)
    for worker, waiting in ((0, 2.0), (1, 3.0)):
        metrics.begin(worker)
        metrics.gauges("upstream_exchanges", {("http://a", "waiting"): waiting})
        metrics.gauges("tag_expiry_timestamp_seconds", {("www", "hotjar"): 100.0 + worker})
        metrics.publish()
    found = samples(metrics_text(metrics))
    assert found["upstream_exchanges", ("waiting", "http://a")] == 5
    assert found["tag_expiry_timestamp_seconds", ("www", "hotjar")] == 100
    metrics.gauges("upstream_exchanges", {})  # that upstream is in no config any more
    metrics.publish()
    assert samples(metrics_text(metrics))["upstream_exchanges", ("waiting", "http://a")] == 2


@pytest.mark.slow
async def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    metrics = Metrics(1)
    metrics.begin(0)
    watch_process(metrics)
    metrics.gauges("upstream_exchanges", {("http://a", "waiting"): 1})
    async with proxied(tmp_path, {"*": reply(PAGE)}, access=metrics) as site:
        for one in HOSTILE:
            await send(site, one)
        await site.ask(cookie=site.cookie("analytics"))
    assert len(TAGS) > 1
    assert promtool("check", "metrics", stdin=metrics_text(metrics)) == ""
