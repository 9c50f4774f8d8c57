"""run_audit(): crawl a site, judge what was seen, and make the report."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from consent_rules.audit.judge import judge
from consent_rules.audit.observations import PageVisit
from consent_rules.audit.report import (
    AuditReport,
    cookie_rows,
    own_hosts_in,
    page_rows,
    receiver_rows,
    skipped_states,
    timelines,
)
from consent_rules.audit.scope import AuditScope
from proxy import __version__
from proxy.audit.aliases import AliasesOf, aliases_of, cname_chain
from proxy.audit.browser import chromium
from proxy.audit.crawl import CrawlPlan, Progress, crawl
from proxy.audit.state_file import StateFile

_MAX_SCREENSHOTS = 12


@dataclass(frozen=True, slots=True)
class FinishedAudit:
    """The report, and the pictures (JPEG) that its evidence names."""

    report: AuditReport
    pictures: dict[str, bytes]


async def run_audit(
    plan: CrawlPlan,
    scope: AuditScope,
    *,
    config: str = "",
    state_file: StateFile | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
    aliases: AliasesOf = cname_chain,
    flags: Iterable[str] = (),
) -> FinishedAudit:
    """Audit a site. `flags` are further flags of Chromium. Raises MissingBrowserError and
    StateFileError.
    """
    pictures: dict[str, bytes] = {}
    pictured: set[str] = set()

    def wants(visit: PageVisit) -> bool:
        """One picture of a page: of the first state in which it has a finding."""
        if len(pictures) >= _MAX_SCREENSHOTS or visit.url in pictured:
            return False
        return bool(judge([visit], scope))

    def store(visit: PageVisit, picture: bytes) -> str:
        name = f"picture-{len(pictures) + 1}"
        pictures[name] = picture
        pictured.add(visit.url)
        return name

    async with chromium(flags) as browser:
        crawled = await crawl(
            browser,
            plan,
            state_file=state_file,
            tell=tell,
            wants_screenshot=wants,
            screenshots=store,
        )
    visits = crawled.visits
    own = own_hosts_in(visits, scope)
    scope = replace(scope, aliases=await aliases_of(own, aliases))
    findings = judge(visits, scope)
    report = AuditReport(
        start=plan.start,
        made_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        version=__version__,
        config=config,
        seconds=round(crawled.seconds, 1),
        visits=len(visits),
        states=plan.states,
        skipped=skipped_states(plan.states, plan.start, visits, crawled.skipped),
        unvisited=crawled.unvisited,
        own_hosts=own,
        pages=page_rows(visits, scope),
        findings=findings,
        receivers=receiver_rows(visits, findings, scope),
        cookies=cookie_rows(visits, scope),
        timelines=timelines(visits, scope),
    )
    return FinishedAudit(report, pictures)
