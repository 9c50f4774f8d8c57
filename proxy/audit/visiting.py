"""One page in one state: open it, wait until it is quiet, type into its fields, read what it left
behind, and leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from consent_rules.audit.observations import (
    ObservedCookie,
    PageVisit,
    SkipCause,
    StorageEntry,
    failure_of_status,
)
from consent_rules.audit.states import AuditState
from proxy.audit.choosing import ChoiceWays, NoChoiceError, make_choice
from proxy.audit.recorder import Recorder
from proxy.audit.shared_workers import SharedWorkers

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ElementHandle, Page, Request, Response

Screenshots = Callable[[PageVisit, bytes], str]
"""Takes a picture of a page into store and gives its name."""
WantsScreenshot = Callable[[PageVisit], bool]

_MAX_FIELDS = 8
_FIELDS = (
    "input:not([type]), input[type=text], input[type=email], input[type=tel], "
    "input[type=search], textarea"
)
_MAX_VALUE = 2_000
_TYPING = 5_000
"""Milliseconds for one field: a page that is busy answers late."""
_LEAVING = 0.15
"""Seconds in which what a page sends as it is left (`pagehide`) is seen."""

_READ_PAGE = """() => ({
  title: document.title,
  links: [...document.querySelectorAll('a[href]')].slice(0, 2000).map(a => String(a.href)),
  marks: [...document.querySelectorAll('meta[name="page-audience" i]')].map(m => m.content),
  hints: [...document.querySelectorAll('link[rel~="preconnect" i], link[rel~="dns-prefetch" i]')]
    .map(l => l.href),
})"""
# What is sent while a page is really left, Chromium's protocol does not tell of any session.
_LEAVE = """() => {
  const hidden = {visibilityState: 'hidden', hidden: true};
  for (const name in hidden)
    Object.defineProperty(document, name, {get: () => hidden[name], configurable: true});
  document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
  for (const name of ['pagehide', 'unload']) dispatchEvent(new PageTransitionEvent(name));
}"""
_READ_STORAGE = """async () => {
  const found = [];
  for (const kind of ['localStorage', 'sessionStorage']) {
    try {
      const all = window[kind];
      for (let i = 0; i < all.length && i < 200; i++)
        found.push([kind, all.key(i), String(all.getItem(all.key(i)))]);
    } catch (e) {}
  }
  try {
    for (const one of await indexedDB.databases()) found.push(['IndexedDB', one.name, '']);
  } catch (e) {}
  try {
    for (const name of await caches.keys()) found.push(['Cache Storage', name, '']);
  } catch (e) {}
  return [location.origin, found];
}"""


@dataclass(frozen=True, slots=True)
class VisitLimits:
    """Seconds: `quiet` without a request count as settled, `patience` is waited for it at most."""

    quiet: float = 1.5
    patience: float = 20.0


@dataclass(frozen=True, slots=True)
class Markers:
    """What the audit types into fields, to find it again in requests: one person for an audit."""

    mail: str
    telephone: str
    text: str

    @classmethod
    def of(cls, start: str) -> Markers:
        """The same for each audit of one site, so that two reports can be compared."""
        token = hashlib.sha256(start.encode()).hexdigest()[:8]
        number = f"{int(token, 16) % 10_000:04}"
        return cls(
            f"jane.{token}@consent-audit.example", f"+1 202 555 {number}", f"Janeaudit{token}"
        )


class Visitor:
    """A browser profile in one state."""

    def __init__(
        self,
        context: BrowserContext,
        state: AuditState,
        limits: VisitLimits,
        markers: Markers | None,
        wants_screenshot: WantsScreenshot,
        screenshots: Screenshots,
        workers: SharedWorkers,
    ) -> None:
        self.state = state
        self._context = context
        self._limits = limits
        self._markers = markers
        self._wants_screenshot = wants_screenshot
        self._screenshots = screenshots
        self._recorders: dict[Page, Recorder] = {}
        self._workers = workers
        workers.listen(self._on_shared_worker)
        context.on("request", self._on_request)

    def _on_shared_worker(self, worker: str, event: str, parameters: Mapping[str, Any]) -> None:
        """Of the page that asked for the worker; of one of those open where that has left."""
        open_ones = list(self._recorders.values())
        asked = (one for one in open_ones if one.has_asked_for(worker))
        recorder = next(asked, open_ones[0] if open_ones else None)
        if recorder is not None:
            recorder.of_shared_worker(worker, event, parameters)

    def _on_request(self, request: Request) -> None:
        from playwright.async_api import Error

        try:
            page: Page | None = request.frame.page
        except Error:  # of a service worker: it belongs to no page, so to one of those open
            page = next(iter(self._recorders), None)
        if page is not None and (recorder := self._recorders.get(page)) is not None:
            recorder.elsewhere(request)

    async def visit(self, url: str) -> PageVisit:
        """Open a page in the state, and tell what it did."""
        return await self._with_page(url, self.state, None)

    async def choose(self, url: str, ways: ChoiceWays) -> PageVisit:
        """Open a page without a choice, choose, and open it again. Raises NoChoiceError."""
        return await self._with_page(url, AuditState.NO_CHOICE, ways)

    async def _with_page(
        self, url: str, at_first: AuditState, ways: ChoiceWays | None
    ) -> PageVisit:
        from playwright.async_api import Error

        page = await self._context.new_page()
        session = await self._context.new_cdp_session(page)
        recorder = Recorder(page, session, at_first)
        self._recorders[page] = recorder
        try:
            await recorder.start()
            await self._workers.hold_scripts_of(session)
            response, error = await self._open(page, recorder, url)
            choices: tuple[float, ...] = ()
            if ways is not None:
                failure = error or failure_of_status(response.status if response else 0)
                if failure:
                    raise NoChoiceError(failure, SkipCause.NOT_OPENED)
                choices = await self._choose_on(page, recorder, url, ways)
            seen = PageVisit(url, self.state, choices=choices, error=error)
            if response is not None:
                marks = await response.header_values("x-page-audience")
                seen = replace(seen, status=response.status, marks=tuple(marks))
            return await self._watch(page, recorder, seen)
        except Error as fault:
            return PageVisit(
                url, self.state, requests=recorder.observed(), error=fault.message[:200]
            )
        finally:
            del self._recorders[page]
            with contextlib.suppress(Error):
                await page.close()

    async def _choose_on(
        self, page: Page, recorder: Recorder, url: str, ways: ChoiceWays
    ) -> tuple[float, ...]:
        steps = [self.state]
        if self.state is AuditState.WITHDRAWN:
            steps = [AuditState.ACCEPTED, AuditState.WITHDRAWN]
        moments = []
        for step in steps:
            moments.append(round(recorder.now, 3))
            recorder.state = None
            await make_choice(page, step, ways)
            recorder.state = None if ways.prefix else step
            await self._settle(page, recorder)
            recorder.state = step
            await self._open(page, recorder, url)
        return tuple(moments)

    async def _open(self, page: Page, recorder: Recorder, url: str) -> tuple[Response | None, str]:
        from playwright.async_api import Error, TimeoutError

        response, error = None, ""
        recorder.forget_waiting()
        try:
            response = await page.goto(
                url, wait_until="commit", timeout=self._limits.patience * 1000
            )
        except TimeoutError:
            error = "the page did not answer in time"
        except Error as fault:
            error = fault.message.partition("\n")[0][:200]
        await self._settle(page, recorder)
        return response, error

    async def _settle(self, page: Page, recorder: Recorder) -> None:
        """Loaded, then without a request for a while."""
        from playwright.async_api import Error

        deadline = time.monotonic() + self._limits.patience
        with contextlib.suppress(Error):
            await page.wait_for_load_state("load", timeout=self._limits.patience * 1000)
        loaded = recorder.now
        while time.monotonic() < deadline:
            left = self._limits.quiet - min(recorder.quiet_for, recorder.now - loaded)
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.1))

    async def _watch(self, page: Page, recorder: Recorder, seen: PageVisit) -> PageVisit:
        """Everything behind the opening: fields, storage, cookies, a picture, the leaving."""
        from playwright.async_api import Error

        typed: tuple[tuple[str, str], ...] = ()
        if self._markers is not None and self.state is not AuditState.NO_SCRIPT:
            typed = await _type_markers(page, self._markers)
            if typed:
                await self._settle(page, recorder)
        with contextlib.suppress(Error):
            read: dict[str, Any] = await page.evaluate(_READ_PAGE)
            for hint in dict.fromkeys(read["hints"]):
                recorder.add_hint(hint)
            seen = replace(
                seen,
                title=str(read["title"]),
                links=tuple(dict.fromkeys(read["links"])),
                marks=(*seen.marks, *map(str, read["marks"])),
            )
        seen = replace(
            seen, typed=typed, storage=await _storage(page), cookies=await self._cookies()
        )
        await recorder.fill_bodies()
        partial = replace(seen, requests=recorder.observed())
        picture = ""
        if self._wants_screenshot(partial):
            with contextlib.suppress(Error):
                shot = await page.screenshot(type="jpeg", quality=55, timeout=5_000)
                picture = self._screenshots(partial, shot)
        with contextlib.suppress(Error):
            await page.evaluate(_LEAVE)
            await asyncio.sleep(_LEAVING)
        return replace(
            seen,
            requests=recorder.observed(),
            console_errors=tuple(recorder.console_errors),
            screenshot=picture,
        )

    async def _cookies(self) -> tuple[ObservedCookie, ...]:
        now = time.time()
        found = []
        for cookie in await self._context.cookies():
            expires = float(cookie.get("expires", -1))
            found.append(
                ObservedCookie(
                    name=cookie.get("name", ""),
                    value=cookie.get("value", "")[:_MAX_VALUE],
                    domain=cookie.get("domain", ""),
                    lifetime=None if expires < 0 else round(expires - now),
                    http_only=bool(cookie.get("httpOnly")),
                )
            )
        return tuple(found)


async def _storage(page: Page) -> tuple[StorageEntry, ...]:
    """The storage of every frame's origin."""
    from playwright.async_api import Error

    found: dict[StorageEntry, None] = {}
    for frame in page.frames:
        if not frame.url.startswith(("http:", "https:")):
            continue
        with contextlib.suppress(Error, TimeoutError):
            origin, entries = await asyncio.wait_for(frame.evaluate(_READ_STORAGE), 2)
            for kind, key, value in entries:
                found[StorageEntry(origin, kind, str(key), str(value)[:_MAX_VALUE])] = None
    return tuple(found)


async def _type_markers(page: Page, markers: Markers) -> tuple[tuple[str, str], ...]:
    """Type into the page's fields, as a visitor would who then thinks better of it: no form is
    sent. The values that were typed, each behind its kind.
    """
    from playwright.async_api import Error

    typed: dict[tuple[str, str], None] = {}
    fields: list[ElementHandle] = []
    with contextlib.suppress(Error):
        fields = await page.query_selector_all(_FIELDS)
    for element in fields[:_MAX_FIELDS]:
        with contextlib.suppress(Error):
            if not await element.is_visible() or not await element.is_editable():
                continue
            kind, value = await _marker_for(element, markers)
            await element.fill(value, timeout=_TYPING)
            await element.evaluate("field => field.blur()")
            typed[(kind, value)] = None
    return tuple(typed)


async def _marker_for(element: ElementHandle, markers: Markers) -> tuple[str, str]:
    names: str = await element.evaluate(
        "f => [f.type, f.name, f.id, f.autocomplete, f.placeholder].join(' ').toLowerCase()"
    )
    if "mail" in names:
        return "mail address", markers.mail
    if names.startswith("tel") or "phone" in names or "mobile" in names:
        return "telephone number", markers.telephone
    return "form field", markers.text


def same_origin(url: str, other: str) -> bool:
    one, two = urlsplit(url), urlsplit(other)
    return (one.scheme, one.netloc) == (two.scheme, two.netloc)
