"""docs/metrics.md names every metric of the registry, no other, and with the right labels."""

from __future__ import annotations

import re
from pathlib import Path

from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import FAMILIES, GAUGES, LABELLED_GAUGES, metrics_text

TEXT = (Path(__file__).parents[2] / "docs/metrics.md").read_text("utf-8")
HISTOGRAMS = {"request_seconds": {"site"}, "upstream_seconds": {"site"}}
OTHERS = {"build_info": {"version"}}


def _told() -> dict[str, set[str]]:
    """Name -> labels, from the table; a row may name several."""
    table = TEXT.partition("| metric, after `consent_proxy_` |")[2].partition("\n\n")[0]
    found = {}
    for names, labels in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*?) \|", table, re.M):
        words = re.sub(r"\(.*?\)", "", labels)
        for name in re.findall(r"`(\w+)`", names):
            found[name] = set(re.findall(r"`(\w+)`", words))
    return found


def _registered() -> dict[str, set[str]]:
    counters = {f"{name}_total": set(labels) for name, (_, labels) in FAMILIES.items()}
    gauges = {name: {"worker"} for name in GAUGES}
    labelled = {name: set(labels) for name, (_, labels, _) in LABELLED_GAUGES.items()}
    return counters | gauges | labelled | HISTOGRAMS | OTHERS


def test_every_metric_and_no_other_with_its_labels() -> None:
    assert _told() == _registered()


def test_nothing_else_is_published() -> None:
    """What the tables of the code do not hold is in the two of this file."""
    types = re.findall(r"^# TYPE consent_proxy_(\w+) ", metrics_text(Metrics(1)).decode(), re.M)
    assert set(types) == set(_registered())
