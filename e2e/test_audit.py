"""`consent-proxy audit` of the demo: every finding without the proxy, none with it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from consent_rules.audit.findings import AuditFinding, Severity
from consent_rules.audit.scope import AuditScope
from consent_rules.audit.states import AuditState
from consent_rules.config.load import load_config
from e2e.audits import audited
from e2e.site import EVERY_VENDOR, PATIENT_PAGE, RunningDemo
from examples.demo.running import config_text
from proxy.audit.choosing import ChoiceWays
from proxy.audit.crawl import CrawlLimits, CrawlPlan
from proxy.audit.scopes import scope_by_config
from proxy.audit.visiting import VisitLimits

EXPECTED = Path(__file__).with_name("audit_demo.txt")
QUICK = VisitLimits(quiet=0.3, patience=30.0)


def rows(findings: Iterable[AuditFinding]) -> set[tuple[str, ...]]:
    return {
        (
            str(found.state),
            "site" if found.audience is None else str(found.audience),
            str(found.rule),
            found.vendor or found.receiver.partition(":")[0],
        )
        for found in findings
    }


def expected() -> set[tuple[str, ...]]:
    lines = EXPECTED.read_text().splitlines()
    return {tuple(line.split()) for line in lines if line and not line.startswith("#")}


def plan_of(start: str, states: Iterable[AuditState]) -> CrawlPlan:
    """The start page follows from its links; three pages are enough to meet every vendor."""
    return CrawlPlan(
        start=f"{start}{EVERY_VENDOR}",
        states=tuple(states),
        ways=ChoiceWays("/.consent", (".no-such",), (".no-such",)),
        limits=CrawlLimits(pages=2, depth=1, rate=0, visit=QUICK),
        more_pages=(PATIENT_PAGE,),
    )


def scope_of(demo: RunningDemo, start: str) -> AuditScope:
    text = config_text(demo.ports, demo.state)
    today = datetime.date(2026, 12, 1)
    loaded = load_config(text, "consent-proxy.toml", today=today)
    return scope_by_config(loaded.config, start, region="", today=today)[0]


def test_without_the_proxy_every_finding_is_named(demo_site: RunningDemo) -> None:
    start = demo_site.origin_url("")
    states = (
        AuditState.NO_CHOICE,
        AuditState.REJECTED,
        AuditState.GPC,
        AuditState.NO_SCRIPT,
    )
    report = audited(plan_of(start, states), scope_of(demo_site, start)).report
    assert rows(report.findings) == expected()
    # Where nobody asks, nobody can refuse.
    assert [skipped.state for skipped in report.skipped] == [AuditState.REJECTED]
    worst = [f for f in report.findings if f.severity is Severity.CRITICAL]
    assert {f.audience for f in worst} == {"patient"}


def test_with_the_proxy_there_is_none_in_any_state(demo_site: RunningDemo) -> None:
    start = demo_site.url("")
    report = audited(plan_of(start, AuditState), scope_of(demo_site, start)).report
    assert rows(report.findings) == set()
    assert [skipped.state for skipped in report.skipped] == [AuditState.ONLY_SOCIAL]
    assert {page.failed for page in report.pages} == {""}
    # It was not blind: what was accepted was seen to fire.
    fired = {row.id for row in report.receivers if AuditState.ACCEPTED in dict(row.requests)}
    assert fired >= {"google-analytics", "meta-pixel", "hotjar", "youtube", "tawk"}
    (withdrawn,) = [t for t in report.timelines if t.state is AuditState.WITHDRAWN]
    assert {e.state for e in withdrawn.entries if e.at < withdrawn.choices[0]} == set()
    assert AuditState.WITHDRAWN not in {e.state for e in withdrawn.entries}
