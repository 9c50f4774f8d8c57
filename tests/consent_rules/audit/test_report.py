"""What an audit did not see is told as such: it is not taken for clean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_rules.audit.observations import PageVisit, SkipCause, SkippedState
from consent_rules.audit.report import skipped_states
from consent_rules.audit.states import AuditState
from tests.support.audits import START, catalogue_scope, report_of, visit

TWO = (AuditState.NO_CHOICE, AuditState.GPC)
REFUSED = "net::ERR_CONNECTION_REFUSED"


@pytest.mark.parametrize(
    ("visits", "expected"),
    [
        pytest.param([visit(), visit(state=AuditState.GPC, status=200)], {}, id="opened"),
        pytest.param(
            [visit(error=REFUSED), visit(state=AuditState.GPC, error=REFUSED)],
            {AuditState.NO_CHOICE: REFUSED, AuditState.GPC: REFUSED},
            id="no server",
        ),
        pytest.param(
            [visit(status=403), visit(state=AuditState.GPC, status=200)],
            {AuditState.NO_CHOICE: "HTTP status 403"},
            id="refused in one state",
        ),
        pytest.param(
            [visit(status=200), visit(path="/a", status=404), visit(state=AuditState.GPC)],
            {},
            id="another page is missing",
        ),
    ],
)
def test_a_state_in_which_the_first_page_did_not_open_is_not_reached(
    visits: list[PageVisit], expected: dict[AuditState, str]
) -> None:
    skipped = skipped_states(TWO, START, visits, ())
    assert {one.state: one.reason for one in skipped} == expected
    assert {one.cause for one in skipped} <= {SkipCause.NOT_OPENED}


def test_a_state_without_a_visit_is_not_reached() -> None:
    known = SkippedState(AuditState.REJECTED, "no button", SkipCause.NO_BUTTON)
    states = (AuditState.NO_CHOICE, AuditState.REJECTED, AuditState.GPC)
    assert skipped_states(states, START, [visit()], [known]) == (
        known,
        SkippedState(AuditState.GPC, "the time limit was reached", SkipCause.NOT_VISITED),
    )


@pytest.mark.parametrize(
    ("skipped", "sentence"),
    [
        ((), ""),
        ([SkippedState(AuditState.GPC, "no button", SkipCause.NO_BUTTON)], ""),
        (
            [SkippedState(state, REFUSED, SkipCause.NOT_OPENED) for state in TWO],
            f"The site could not be opened: {REFUSED}.",
        ),
        (
            [SkippedState(AuditState.GPC, REFUSED, SkipCause.NOT_OPENED)],
            f"The site could not be opened in 1 of 2 states: {REFUSED}.",
        ),
        (
            [SkippedState(state, "no button", SkipCause.NO_BUTTON) for state in TWO],
            "Nothing was audited: none of the states could be reached.",
        ),
    ],
)
def test_an_audit_that_saw_nothing_has_failed(skipped: list[SkippedState], sentence: str) -> None:
    report = replace(report_of(catalogue_scope(), visit()), states=TWO, skipped=tuple(skipped))
    assert report.failure == sentence


def test_the_pages_say_which_did_not_open() -> None:
    report = report_of(catalogue_scope(), visit(status=200), visit(path="/a", status=404))
    assert [page.failed for page in report.pages] == ["", "HTTP status 404"]
