"""draft_by_visiting(): look at a site in a browser, and draft a first config from what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import aiohttp

from consent_rules.audit.draft import SiteDraft, draft_site
from consent_rules.audit.report import own_hosts_in, skipped_states
from consent_rules.audit.scope import AuditScope
from consent_rules.audit.states import AuditState
from proxy.audit.aliases import AliasesOf, aliases_of, cname_chain
from proxy.audit.browser import chromium
from proxy.audit.choosing import ACCEPT_BUTTONS, REJECT_BUTTONS, ChoiceWays
from proxy.audit.crawl import CrawlLimits, CrawlPlan, Progress, crawl

STATES = (AuditState.NO_CHOICE, AuditState.ACCEPTED)
"""What a site sends at first, and what it sends once everything is accepted in its consent tool."""


class NotOpenedError(Exception):
    """The first page did not open; the message says why."""


def draft_plan(start: str, limits: CrawlLimits, *, obey_robots: bool) -> CrawlPlan:
    """The plan of the visit: nothing is typed into fields."""
    return CrawlPlan(
        start=start,
        states=STATES,
        ways=ChoiceWays("", ACCEPT_BUTTONS, REJECT_BUTTONS),
        limits=limits,
        obey_robots=obey_robots,
        types_into_fields=False,
    )


async def final_address(start: str) -> str:
    """Where a site's address leads: `https://www.example.com/` of `http://example.com`. As it is
    where nothing answers: the browser tells why.
    """
    timeout = aiohttp.ClientTimeout(total=20)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, client.get(start) as response:
            return str(response.url.with_fragment(None))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return start


async def draft_by_visiting(
    plan: CrawlPlan,
    scope: AuditScope,
    *,
    tell: Callable[[Progress], None] = lambda _: None,
    aliases: AliasesOf = cname_chain,
    flags: Iterable[str] = (),
) -> SiteDraft:
    """Raises MissingBrowserError and NotOpenedError."""
    async with chromium(flags) as browser:
        crawled = await crawl(browser, plan, tell=tell)
    skipped = skipped_states(plan.states, plan.start, crawled.visits, crawled.skipped)
    unopened = [one.reason for one in skipped if one.state is AuditState.NO_CHOICE]
    if unopened:
        raise NotOpenedError(f"{plan.start} could not be opened: {unopened[0]}")
    # A host of the site's own that is a vendor's behind its name is no first party.
    own = own_hosts_in(crawled.visits, scope)
    scope = replace(scope, aliases=await aliases_of(own, aliases))
    return draft_site(plan.start, crawled.visits, scope)
