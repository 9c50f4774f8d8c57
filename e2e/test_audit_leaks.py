"""Each kind of leak is found and named, and nothing that only looks like one."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from consent_rules.audit.findings import AuditFinding
from consent_rules.audit.report import AuditReport
from consent_rules.audit.states import AuditState
from consent_rules.categories import Regime
from e2e.audits import audited
from e2e.planted import ALIASES, INNOCENT, LEAKS, START, Leak, planted_site
from proxy.audit.choosing import ChoiceWays
from proxy.audit.crawl import CrawlLimits, CrawlPlan
from proxy.audit.scopes import scope_by_catalogue
from proxy.audit.visiting import VisitLimits

OF_NO_PAGE = {"cookie", "storage", "lifetime"}
ASIDE = {("contact", "pinterest-tag"), ("contact", "fullstory"), ("contact", "tiktok-pixel"),
         ("contact", "hubspot"), ("contact", "posthog"), ("contact", "plausible"),
         ("page-data", "plausible"), ("page-data", "posthog"),
    ("page-data", "linkedin-insight"), ("contact", "logrocket"), ("contact", "quora-pixel"),
    ("contact", "snap-pixel"), ("cookie", "meta-pixel"),
}  # fmt: skip
"""What the planted leaks are besides: a request that tells something is a contact too."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditReport]:
    with planted_site(tmp_path_factory.mktemp("planted")) as flags:
        plan = CrawlPlan(
            start=START,
            states=(AuditState.NO_CHOICE, AuditState.WITHDRAWN, AuditState.NO_SCRIPT),
            ways=ChoiceWays("", (".yes",), (".no",)),
            limits=CrawlLimits(rate=0, visit=VisitLimits(quiet=0.5, patience=30.0)),
            context={"ignore_https_errors": True},
        )
        scope = scope_by_catalogue(
            START,
            own=(),
            patient_pages=["/patients/*"],
            regime=Regime.OPT_IN,
            region="",
            today=datetime.date(2026, 11, 29),
        )
        yield audited(plan, scope, aliases=ALIASES, flags=flags).report


def _named(leak: Leak, finding: AuditFinding) -> bool:
    audience = "site" if finding.audience is None else finding.audience
    names = {*finding.channels, *finding.subjects}
    here = finding.rule in OF_NO_PAGE or leak.page in {urlsplit(p).path for p in finding.pages}
    return (
        (finding.rule, finding.vendor or finding.receiver) == (leak.rule, leak.receiver)
        and (finding.state, audience) == (leak.state, leak.audience)
        and here
        and leak.what in names
    )


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_each_leak_is_found_and_named(report: AuditReport, leak: Leak) -> None:
    found = [one for one in report.findings if _named(leak, one)]
    near = [
        one
        for one in report.findings
        if leak.receiver in {one.vendor, one.receiver} or leak.rule == one.rule
    ]
    assert found, near


def test_there_are_enough_of_both() -> None:
    assert len(LEAKS) >= 25
    assert len(INNOCENT) >= 25


def test_nothing_else_is_found(report: AuditReport) -> None:
    """Of the state without a choice every finding is one that was planted."""
    planted = {(leak.rule, leak.receiver) for leak in LEAKS if leak.state == "no-choice"}
    found = {
        (str(one.rule), one.vendor or one.receiver)
        for one in report.findings
        if one.state is AuditState.NO_CHOICE
    }
    assert found - planted == ASIDE - planted
    assert planted - found == set()


def test_look_alikes_are_no_findings_in_any_state(report: AuditReport) -> None:
    fine = {"/fine", "/patients/fine", "/"}
    wrong = [
        one
        for one in report.findings
        if one.rule not in OF_NO_PAGE and fine & {urlsplit(page).path for page in one.pages}
    ]
    assert wrong == []
    assert {"/fine", "/patients/fine"} <= {urlsplit(page.url).path for page in report.pages}


def test_what_the_audit_went_through_is_told(report: AuditReport) -> None:
    assert report.skipped == ()
    assert {page.failed for page in report.pages} == {""}
    (withdrawal,) = report.timelines
    assert {entry.receiver for entry in withdrawal.entries} == {"Twilio Segment"}
