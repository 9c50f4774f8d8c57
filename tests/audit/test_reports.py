"""The report in each format: whole, readable by others, and safe whatever the site holds."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from consent_rules.audit.findings import Severity
from consent_rules.audit.observations import Channel
from consent_rules.audit.report import AuditReport, changes_since, is_at_least
from consent_rules.audit.states import AuditState
from proxy.audit.html_report import as_html, span_words
from proxy.audit.json_report import ReportError, as_json, read_report
from proxy.audit.machine_reports import as_junit, as_sarif
from tests.support.audits import catalogue_scope, report_of, request, visit

GA = "https://www.google-analytics.com/g/collect?v=2"
EVIL = "\"'><script>alert(1)</script>&amp;</svg>{{7*7}}\x00\x1b[31m\u202e]]>"


def sample(*, evil: str = "") -> AuditReport:
    visits = [
        visit(request(GA, Channel.BEACON, at=0.4), cookies={"_ga": "GA1.1.2.3"}, title="Home"),
        visit(
            request(GA, Channel.BEACON, state=AuditState.ACCEPTED, at=2.0),
            request(GA, at=0.5),
            state=AuditState.ACCEPTED,
            choices=(1.0,),
        ),
        visit(request(f"https://nobody.example/{evil}"), path="/patients/x", title=evil or "Pay"),
    ]
    if evil:
        visits.append(
            visit(
                request(f"https://t.example/?{evil}", initiator=evil, body=evil),
                path=f"/{evil}",
                title=evil,
                cookies={f"_ga_{evil}": evil, evil: "x"},
                storage={f"ajs_{evil}": evil},
                console_errors=(evil,),
                error=evil,
                typed=((evil, evil),),
            )
        )
    return report_of(catalogue_scope(), *visits, config=evil or "consent-proxy.toml")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_html_report_stands_for_itself() -> None:
    text = as_html(sample(), {})
    tags = _Tags()
    tags.feed(text)
    assert not tags.tags & {"script", "link", "iframe", "a", "form", "object", "base"}
    assert "src" not in tags.attributes
    assert "default-src 'none'" in text
    for part in (
        "Who got data, where, and what to do",
        "Google Analytics",
        "/patients/x",
        "2 years",
    ):
        assert part in text


def test_what_the_site_holds_is_text() -> None:
    harmless, hostile = _Tags(), _Tags()
    harmless.feed(as_html(sample(), {}))
    text = as_html(sample(evil=EVIL), {})
    hostile.feed(text)
    assert hostile.tags - harmless.tags <= {"figure", "ul", "li"}
    assert hostile.attributes == harmless.attributes
    assert "<script" not in text
    assert "{{7*7}}" in text
    assert not [c for c in "\x00\x1b\u202e" if c in text]


@pytest.mark.parametrize("evil", ["", EVIL])
def test_junit_is_xml_with_a_failed_case_for_each_page_with_findings(evil: str) -> None:
    root = ET.fromstring(as_junit(sample(evil=evil)))
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == set(AuditState)
    failed = suites["no-choice"].findall("testcase[failure]")
    assert len(failed) == int(suites["no-choice"].get("failures", "0")) == (3 if evil else 2)
    assert not suites["rejected"].findall("testcase[failure]")


@pytest.mark.parametrize("evil", ["", EVIL])
def test_sarif_has_a_result_for_each_finding(evil: str) -> None:
    report = sample(evil=evil)
    (run,) = json.loads(as_sarif(report))["runs"]
    assert len(run["results"]) == len(report.findings)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["locations"][0]["logicalLocations"]


@pytest.mark.parametrize("evil", ["", EVIL])
def test_json_is_read_back_as_it_was(tmp_path: Path, evil: str) -> None:
    report = sample(evil=evil)
    file = tmp_path / "report.json"
    file.write_text(as_json(report), encoding="utf-8")
    assert read_report(file) == report


@pytest.mark.parametrize("text", ["", "{}", '{"start": 1}'])
def test_no_report_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(ReportError, match="is no report"):
        read_report(file)


def test_what_changed() -> None:
    scope = catalogue_scope()
    earlier = report_of(scope, visit(request(GA)))
    now = report_of(
        scope, visit(request(GA), path="/other"), visit(request("https://nobody.example/x"))
    )
    changes = changes_since(earlier, now)
    assert [f.receiver for f in changes.new] == ["nobody.example"]
    assert changes.new_receivers == ("nobody.example",)
    assert (changes.gone, changes.gone_receivers) == ((), ())
    back = changes_since(now, earlier)
    assert [f.receiver for f in back.gone] == ["nobody.example"]
    assert "nobody.example" in as_html(now, {}, changes)


def test_a_report_without_findings_says_so() -> None:
    text = as_html(report_of(catalogue_scope(), visit()), {})
    assert "Nobody received data about a visitor" in text


def test_severity_decides() -> None:
    findings = report_of(catalogue_scope(), visit(request(GA))).findings
    assert is_at_least(findings, Severity.HIGH)
    assert not is_at_least(findings, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "session"), (0, "session"), (1800, "30 minutes"), (86_400, "1 day"),
        (34_560_000, "1.1 years"), (63_072_000, "2 years"), (5, "5 seconds"),
    ],
)  # fmt: skip
def test_lifetimes_in_words(seconds: float | None, words: str) -> None:
    assert span_words(seconds) == words
