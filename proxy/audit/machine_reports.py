"""The report for machines: JUnit XML for continuous integration, SARIF 2.1.0 for code review."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from consent_rules.audit.findings import AuditFinding, Rule, Severity
from consent_rules.audit.observations import SkipCause, SkippedState
from consent_rules.audit.report import AuditReport, PageRow
from consent_rules.categories import Audience

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
    """One suite a state, one case a page; a page with findings is a failed case. A state in which
    the site did not open is an error, and so is each where nothing at all was audited.
    """
    pages = report.pages or (PageRow(report.start, Audience.MARKETING, "", (), ""),)
    suites = []
    for state in report.states:
        skipped = next((one for one in report.skipped if one.state is state), None)
        is_error = skipped is not None and (
            skipped.cause is SkipCause.NOT_OPENED or not report.reached
        )
        counts = dict.fromkeys(("failures", "errors", "skipped"), 0)
        cases = []
        for page in pages:
            found = [f for f in report.findings if f.state is state and page.url in f.pages]
            outcome, inside = _outcome(page, found, skipped, is_error=is_error)
            if outcome:
                counts[outcome] += 1
            name = f'classname="audit.{state}" name={_attribute(page.url)}'
            cases.append(f"<testcase {name}>{inside}</testcase>")
        numbers = " ".join(f'{name}="{number}"' for name, number in counts.items())
        suites.append(
            f'<testsuite name="{state}" tests="{len(cases)}" {numbers}>{"".join(cases)}</testsuite>'
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>{"".join(suites)}</testsuites>\n'


def _outcome(
    page: PageRow, found: list[AuditFinding], skipped: SkippedState | None, *, is_error: bool
) -> tuple[str, str]:
    """A case's outcome ("" for a passed one), and its element. JUnit knows one for each case."""
    if found:
        return "failures", "".join(map(_failure, found))
    if skipped is not None:
        message = _attribute(skipped.reason)
        return ("errors", f"<error message={message}/>") if is_error else _skipped(message)
    return _skipped(_attribute(page.failed)) if page.failed else ("", "")


def _skipped(message: str) -> tuple[str, str]:
    return "skipped", f"<skipped message={message}/>"


def _failure(finding: AuditFinding) -> str:
    title = f"{finding.severity}: {finding.receiver}: {finding.rule.words}"
    text = f"{finding.reason}\n{finding.remedy}\n" + "\n".join(
        f"{evidence.url} {evidence.detail}" for evidence in finding.evidence
    )
    return f'<failure type="{finding.rule}" message={_attribute(title)}>{_text(text)}</failure>'


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
