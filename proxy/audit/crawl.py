"""crawl(): every page of a site, in each state."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin, urlsplit

import aiohttp

from consent_rules.audit.observations import PageVisit, SkippedState
from consent_rules.audit.states import AuditState
from proxy.audit.choosing import ChoiceWays, NoChoiceError
from proxy.audit.politeness import Fetch, Pace, Robots, pages_of_sitemaps, read_robots
from proxy.audit.recorder import MAX_BODY
from proxy.audit.shared_workers import shared_workers
from proxy.audit.state_file import StateFile
from proxy.audit.visiting import (
    Markers,
    Screenshots,
    VisitLimits,
    Visitor,
    WantsScreenshot,
    same_origin,
)

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

_NO_PAGE = re.compile(
    r"\.(?:pdf|zip|gz|png|jpe?g|gif|webp|avif|svg|ico|css|m?js|json|xml|txt|mp4|mp3|webm|woff2?|"
    r"docx?|xlsx?|pptx?|ics|exe|dmg)$",
    re.IGNORECASE,
)
_LEAVES_SESSION = re.compile(r"(?:log|sign)[-_]?(?:out|off)\b", re.IGNORECASE)
_MAX_QUERIES = 2
"""Addresses of one path that differ in their query: calendars and filters have no end."""

_GPC_SCRIPT = (
    "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
)


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """How much of a site is visited. `seconds` is for the whole audit (0: no limit), `rate` pages a
    second at most (0: no limit), `at_once` pages of one state at the same time.
    """

    pages: int = 30
    depth: int = 3
    seconds: float = 0.0
    rate: float = 2.0
    at_once: int = 4
    visit: VisitLimits = field(default_factory=VisitLimits)


@dataclass(frozen=True, slots=True)
class CrawlPlan:
    """What is visited, and how. `more_pages` are visited besides those that are found;
    `storage_state` is a file of Playwright's with a signed-in session. `context` are further
    options of the browser's context.
    """

    start: str
    states: tuple[AuditState, ...]
    ways: ChoiceWays
    limits: CrawlLimits = field(default_factory=CrawlLimits)
    more_pages: tuple[str, ...] = ()
    obey_robots: bool = True
    types_into_fields: bool = True
    storage_state: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` visits; `total` grows while pages are found."""

    done: int
    total: int
    state: AuditState
    url: str


@dataclass(frozen=True, slots=True)
class Crawl:
    """What was seen. `pages` are the addresses; `unvisited` says why the crawl is not whole."""

    visits: tuple[PageVisit, ...]
    pages: tuple[str, ...]
    skipped: tuple[SkippedState, ...]
    unvisited: tuple[str, ...]
    seconds: float


class _Crawler:
    def __init__(
        self,
        browser: Browser,
        plan: CrawlPlan,
        state_file: StateFile | None,
        tell: Callable[[Progress], None],
        wants_screenshot: WantsScreenshot,
        screenshots: Screenshots,
    ) -> None:
        self._browser = browser
        self._plan = plan
        self._file = state_file
        self._tell = tell
        self._wants_screenshot = wants_screenshot
        self._screenshots = screenshots
        self._begin = time.monotonic()
        self._known: dict[tuple[AuditState, str, bool], PageVisit] = {}
        self._visits: list[PageVisit] = []
        self._skipped: list[SkippedState] = []
        self._unvisited: dict[str, None] = {}
        self._robots = Robots(None)
        self._pace = Pace(0.0)
        self._ways = plan.ways
        self._total = 0
        self._markers = Markers.of(plan.start) if plan.types_into_fields else None

    async def run(self) -> Crawl:
        plan = self._plan
        if self._file is not None:
            for visit in self._file.read(plan.start):
                # Its picture is gone with the run that took it.
                self._known[_key(visit)] = replace(visit, screenshot="")
            self._file.begin(plan.start, self._known.values())
        async with _fetching() as fetch:
            if plan.obey_robots:
                self._robots = await read_robots(plan.start, fetch)
            interval = 1 / plan.limits.rate if plan.limits.rate else 0.0
            self._pace = Pace(max(interval, self._robots.delay))
            listed = await pages_of_sitemaps(plan.start, self._robots.sitemaps, fetch)
            self._ways = await _ways_of(plan, fetch)
        first, *others = plan.states
        pages = await self._discover(first, listed)
        self._total = len(self._visits) + len(others) * len(pages)
        for state in others:
            await self._visit_all(state, pages)
        return Crawl(
            tuple(self._visits),
            tuple(pages),
            tuple(self._skipped),
            tuple(self._unvisited),
            time.monotonic() - self._begin,
        )

    # --- States

    async def _discover(self, state: AuditState, listed: Iterable[str]) -> list[str]:
        """Visit the pages in a first state, following links."""
        plan = self._plan
        found: dict[str, int] = {plan.start: 0}
        for url in (*plan.more_pages, *map(self._here, listed)):
            self._add(urljoin(plan.start, url), 1, found)
        async with self._visitor(state) as visitor:
            if visitor is None:
                return list(found)
            done: set[str] = set()
            while True:
                wave = [url for url in found if url not in done]
                if not wave:
                    break
                self._total = len(found)
                done |= set(wave)
                for visit in await self._visit_pages(visitor, wave):
                    depth = found[visit.url] + 1
                    for link in visit.links:
                        self._add(link, depth, found)
        return list(found)

    async def _visit_all(self, state: AuditState, pages: list[str]) -> None:
        async with self._visitor(state) as visitor:
            if visitor is None:
                self._total -= len(pages)
                return
            await self._visit_pages(visitor, pages)

    @asynccontextmanager
    async def _visitor(self, state: AuditState) -> AsyncIterator[Visitor | None]:
        """A profile in the state; None where the choice could not be made."""
        async with (
            shared_workers(self._browser, max_body=MAX_BODY) as workers,
            self._context(state) as context,
        ):
            visitor = Visitor(
                context,
                state,
                self._plan.limits.visit,
                self._markers,
                self._wants_screenshot,
                self._screenshots,
                workers,
            )
            if state.allowed is not None:
                await self._pace.wait()
                try:
                    self._add_visit(await visitor.choose(self._plan.start, self._ways))
                except NoChoiceError as error:
                    self._skipped.append(SkippedState(state, str(error), error.cause))
                    yield None
                    return
            yield visitor

    @asynccontextmanager
    async def _context(self, state: AuditState) -> AsyncIterator[BrowserContext]:
        options: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
        options |= self._plan.context
        if self._plan.storage_state is not None:
            options["storage_state"] = self._plan.storage_state
        if state is AuditState.NO_SCRIPT:
            options["java_script_enabled"] = False
        if state is AuditState.GPC:
            fields = dict(options.get("extra_http_headers") or {})
            options["extra_http_headers"] = fields | {"Sec-GPC": "1"}
        context = await self._browser.new_context(**options)
        try:
            if state is AuditState.GPC:
                await context.add_init_script(_GPC_SCRIPT)
            yield context
        finally:
            await context.close()

    # --- Pages

    async def _visit_pages(self, visitor: Visitor, pages: Iterable[str]) -> list[PageVisit]:
        waiting = list(pages)[::-1]
        visits: dict[str, PageVisit] = {}
        order = list(waiting[::-1])

        async def work() -> None:
            while waiting:
                url = waiting.pop()
                visit = self._known.get((visitor.state, url, False))
                if visit is None:
                    if self._is_over():
                        self._unvisited["the time limit was reached"] = None
                        return
                    await self._pace.wait()
                    visit = await visitor.visit(url)
                visits[url] = visit
                self._add_visit(visit)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, self._plan.limits.at_once)):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first says enough
        return [visits[url] for url in order if url in visits]

    def _is_over(self) -> bool:
        limit = self._plan.limits.seconds
        return bool(limit) and time.monotonic() - self._begin > limit

    def _add_visit(self, visit: PageVisit) -> None:
        self._visits.append(visit)
        if _key(visit) not in self._known:
            self._known[_key(visit)] = visit
            if self._file is not None:
                self._file.add(visit)
        done = len(self._visits)
        self._tell(Progress(done, max(done, self._total), visit.state, visit.url))

    def _here(self, url: str) -> str:
        """An address of a sitemap, on the host that is audited: a sitemap names the public one."""
        parts, start = urlsplit(url), urlsplit(self._plan.start)
        return parts._replace(scheme=start.scheme, netloc=start.netloc).geturl()

    def _add(self, url: str, depth: int, found: dict[str, int]) -> None:
        """Add a page to those that are visited, within the limits."""
        url = urldefrag(url)[0]
        limits, path = self._plan.limits, urlsplit(url).path
        if url in found or not same_origin(url, self._plan.start):
            return
        if _NO_PAGE.search(path) or _LEAVES_SESSION.search(path):
            return
        prefix = self._plan.ways.prefix
        if prefix and path.startswith(f"{prefix}/"):
            return
        if not self._robots.allows(url):
            self._unvisited["robots.txt asks crawlers to leave some pages out"] = None
            return
        if depth > limits.depth:
            self._unvisited[f"pages more than {limits.depth} links away (--depth)"] = None
            return
        if len(found) >= limits.pages:
            self._unvisited[f"more than {limits.pages} pages (--pages)"] = None
            return
        if sum(urlsplit(one).path == path for one in found) > _MAX_QUERIES:
            return
        found[url] = depth


async def _ways_of(plan: CrawlPlan, fetch: Fetch) -> ChoiceWays:
    """How to choose: without our prefix where the site is not served by consent-proxy."""
    prefix = plan.ways.prefix
    if prefix and (await fetch(urljoin(plan.start, f"{prefix}/state")))[0] != 200:
        return replace(plan.ways, prefix="")
    return plan.ways


def _key(visit: PageVisit) -> tuple[AuditState, str, bool]:
    return visit.state, visit.url, bool(visit.choices)


@asynccontextmanager
async def _fetching() -> AsyncIterator[Fetch]:
    """Fetches robots.txt and sitemaps."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as client:

        async def fetch(url: str) -> tuple[int, bytes]:
            try:
                async with client.get(url) as response:
                    return response.status, await response.content.read(20_000_000)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                return 0, b""

        yield fetch


async def crawl(
    browser: Browser,
    plan: CrawlPlan,
    *,
    state_file: StateFile | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
    wants_screenshot: WantsScreenshot = lambda _: False,
    screenshots: Screenshots = lambda _visit, _picture: "",
) -> Crawl:
    """Visit the pages of a site in each state of the plan. Raises StateFileError."""
    return await _Crawler(browser, plan, state_file, tell, wants_screenshot, screenshots).run()
