"""Audits of sites on this machine, for tests: Playwright's own loop beside the tests' one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from consent_rules.audit.scope import AuditScope
from e2e.chromium import LOOPBACK
from proxy.audit.crawl import CrawlPlan
from proxy.audit.run import FinishedAudit, run_audit
from proxy.audit.state_file import StateFile


def audited(
    plan: CrawlPlan,
    scope: AuditScope,
    *,
    aliases: Mapping[str, str] | None = None,
    state_file: StateFile | None = None,
    flags: tuple[str, ...] = (LOOPBACK,),
) -> FinishedAudit:
    """Run an audit to its end. `aliases` is the DNS: host -> what it is a name for."""
    names = aliases or {}

    async def chain(host: str) -> tuple[str, ...]:
        return (names[host],) if host in names else ()

    def run() -> FinishedAudit:
        return asyncio.run(
            run_audit(plan, scope, aliases=chain, flags=flags, state_file=state_file)
        )

    # A thread of its own: the synchronous Playwright of the tests has a loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()
