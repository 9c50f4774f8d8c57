"""The report for machines: JUnit XML for continuous integration, SARIF 2.1.0 for code review."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from consent_rules.audit.findings import AuditFinding, Rule, Severity
from consent_rules.audit.report import AuditReport
from consent_rules.audit.states import AuditState

# XML 1.0 has no other control characters, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
_SECURITY_SEVERITY = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.0",
    Severity.LOW: "2.0",
}


def as_junit(report: AuditReport) -> str:
    """One suite a state, one case a page; a page with findings is a failed case."""
    suites = []
    for state in report.states:
        skipped = next((s.reason for s in report.skipped if s.state is state), None)
        cases, failures = [], 0
        for page in report.pages:
            found = [f for f in report.findings if f.state is state and page.url in f.pages]
            failures += bool(found)
            cases.append(_case(state, page.url, found, skipped))
        count = len(report.pages) if skipped is not None else 0
        suites.append(
            f'<testsuite name="{state}" tests="{len(cases)}" failures="{failures}" '
            f'skipped="{count}">{"".join(cases)}</testsuite>'
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>{"".join(suites)}</testsuites>\n'


def _case(state: AuditState, url: str, found: list[AuditFinding], skipped: str | None) -> str:
    inside = "" if skipped is None else f"<skipped message={_attribute(skipped)}/>"
    for finding in found:
        title = f"{finding.severity}: {finding.receiver}: {finding.rule.words}"
        text = f"{finding.reason}\n{finding.remedy}\n" + "\n".join(
            f"{evidence.url} {evidence.detail}" for evidence in finding.evidence
        )
        inside += (
            f'<failure type="{finding.rule}" message={_attribute(title)}>{_text(text)}</failure>'
        )
    return f'<testcase classname="audit.{state}" name={_attribute(url)}>{inside}</testcase>'


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def as_sarif(report: AuditReport) -> str:
    """SARIF 2.1.0. A result's place is the config that permits or forbids it, where there is one;
    the page is its logical location.
    """
    used = sorted({finding.rule for finding in report.findings}, key=list(Rule).index)
    log: dict[str, Any] = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "consent-proxy audit",
                        "version": report.version,
                        "rules": [
                            {"id": str(rule), "shortDescription": {"text": rule.words}}
                            for rule in used
                        ],
                    }
                },
                "results": [_result(finding, report, used) for finding in report.findings],
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"


def _result(finding: AuditFinding, report: AuditReport, used: list[Rule]) -> dict[str, Any]:
    audience = "" if finding.audience is None else f", {finding.audience} pages"
    text = (
        f"{finding.receiver}: {finding.rule.words} ({finding.state.words}{audience}): "
        f"{finding.reason}. {finding.remedy}"
    )
    place = report.config or finding.pages[0]
    return {
        "ruleId": str(finding.rule),
        "ruleIndex": used.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": place},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": page, "kind": "resource"} for page in finding.pages
                ],
            }
        ],
        "partialFingerprints": {"auditFinding/v1": finding.key},
        "properties": {"security-severity": _SECURITY_SEVERITY[finding.severity]},
    }
