"""Scopes and visits for tests of the audit's judgement, without a browser."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from consent_rules.audit.judge import judge
from consent_rules.audit.observations import (
    Channel,
    ObservedCookie,
    ObservedRequest,
    PageVisit,
    StorageEntry,
)
from consent_rules.audit.report import (
    AuditReport,
    cookie_rows,
    own_hosts_in,
    page_rows,
    receiver_rows,
    timelines,
)
from consent_rules.audit.scope import AuditScope
from consent_rules.audit.states import AuditState
from consent_rules.categories import Regime
from proxy.audit.scopes import scope_by_catalogue

START = "https://www.example.com/"
TODAY = datetime.date(2026, 11, 29)


def catalogue_scope(
    *, patient: Iterable[str] = ("/patients/*",), watched: Iterable[str] = ()
) -> AuditScope:
    """example.com, judged by the catalogue, with opt-in."""
    return scope_by_catalogue(
        START,
        own=(),
        patient_pages=patient,
        regime=Regime.OPT_IN,
        region="",
        today=TODAY,
        watched=watched,
    )


def request(
    url: str,
    channel: Channel = Channel.FETCH,
    state: AuditState | None = AuditState.NO_CHOICE,
    **fields: Any,
) -> ObservedRequest:
    return ObservedRequest(url, fields.pop("method", "GET"), channel, state, **fields)


def visit(
    *requests: ObservedRequest,
    path: str = "/",
    state: AuditState = AuditState.NO_CHOICE,
    cookies: Mapping[str, str] | None = None,
    storage: Mapping[str, str] | None = None,
    **fields: Any,
) -> PageVisit:
    """A visit of a page of example.com. `cookies` and `storage` are the site's own."""
    return PageVisit(
        f"https://www.example.com{path}",
        state,
        requests=requests,
        cookies=tuple(
            ObservedCookie(name, value, ".example.com") for name, value in (cookies or {}).items()
        ),
        storage=tuple(
            StorageEntry("https://www.example.com", "localStorage", key, value)
            for key, value in (storage or {}).items()
        ),
        **fields,
    )


def report_of(scope: AuditScope, *visits: PageVisit, config: str = "") -> AuditReport:
    """The report of an audit that saw these visits."""
    findings = judge(visits, scope)
    return AuditReport(
        start=START,
        made_at="2026-11-29T20:00:00+00:00",
        version="1",
        config=config,
        seconds=1.0,
        visits=len(visits),
        states=tuple(AuditState),
        skipped=(),
        unvisited=(),
        own_hosts=own_hosts_in(visits, scope),
        pages=page_rows(visits, scope),
        findings=findings,
        receivers=receiver_rows(visits, findings, scope),
        cookies=cookie_rows(visits, scope),
        timelines=timelines(visits, scope),
    )
