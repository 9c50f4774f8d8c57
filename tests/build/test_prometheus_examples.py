"""examples/prometheus and examples/grafana, held against the metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from tests.support.debian_programs import promtool

ROOT = Path(__file__).parents[2]
RULES = ROOT / "examples/prometheus/alerts.yml"
RULE_TESTS = ROOT / "examples/prometheus/alerts.test.yml"
DASHBOARD = json.loads((ROOT / "examples/grafana/consent-proxy.json").read_text("utf-8"))
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    for rule in group["rules"]
}


def metrics_and_labels() -> dict[str, set[str]]:
    """The names of all time series of /metrics, with the names of their labels."""
    told = metrics_text(Metrics(1)).decode()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", told, re.MULTILINE))
    names: dict[str, set[str]] = {name: set() for name in types if types[name] != "histogram"}
    for name in (name for name in types if types[name] == "histogram"):
        names |= {f"{name}_bucket": {"le"}, f"{name}_count": set(), f"{name}_sum": set()}
    return names


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\bconsent_proxy_\w+", expression))


def queries() -> dict[str, str]:
    """The expressions of the dashboard by the title of their panel."""
    found = {}
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = variable["query"]["query"]
    for annotation in DASHBOARD["annotations"]["list"]:
        found[annotation["name"]] = annotation["expr"]
    return found


@pytest.mark.parametrize("title", queries())
def test_the_dashboard_asks_for_metrics_that_exist(title: str) -> None:
    names = asked(queries()[title])
    assert names
    assert names <= set(metrics_and_labels())


def test_the_dashboard_shows_every_metric() -> None:
    """Of a histogram the buckets; of a gauge that only says how much there may be, its use."""
    shown = set().union(*map(asked, queries().values()))
    buckets = {name.removesuffix("_bucket") for name in shown if name.endswith("_bucket")}
    missing = [
        name
        for name in metrics_and_labels()
        if name not in shown and name.rpartition("_")[0] not in buckets
    ]
    assert missing == []


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_asks_for_metrics_that_exist_and_leads_to_its_runbook(alert: str) -> None:
    rule = ALERTS[alert]
    assert asked(rule["expr"]) <= set(metrics_and_labels())
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{alert.lower()}"
    section = re.search(rf"^### {alert}\n(.*?)(?=^##|\Z)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert section, f"no runbook for {alert}"
    assert len(section[1]) > 200


def test_each_runbook_is_of_an_alert() -> None:
    assert set(re.findall(r"^### (ConsentProxy\w+)$", OPERATIONS, re.MULTILINE)) == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_seen_to_fire_alone(alert: str) -> None:
    cases = yaml.safe_load(RULE_TESTS.read_text("utf-8"))["tests"]
    firing = [
        case for case in cases
        if [sample["labels"] for one in case["promql_expr_test"] for sample in one["exp_samples"]]
        == [f'{{alertname="{alert}"}}']
    ]  # fmt: skip
    assert len(firing) == 1
    assert firing[0]["name"].startswith(f"{alert}: ")


@pytest.mark.slow
def test_promtool_passes_the_rules_and_their_tests() -> None:
    said = promtool("check", "rules", RULES.name, cwd=RULES.parent)
    assert f"{len(ALERTS)} rules found" in said
    promtool("test", "rules", RULE_TESTS.name, cwd=RULE_TESTS.parent)


@pytest.mark.slow
def test_promtool_passes_the_configuration_of_prometheus() -> None:
    said = promtool("check", "config", "prometheus.yml", cwd=RULES.parent)
    assert "is valid prometheus config file syntax" in said
