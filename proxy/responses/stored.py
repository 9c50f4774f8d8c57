"""What the shared cache needs to know of visitors, and how kept answers become replies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from aiohttp import ClientResponse, ClientSession, web
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.rules import says_patient
from proxy.cache import Entry, Key, ReadPage, Visit, pass_by, send_kept, through_cache
from proxy.cache.policy import WANTS_NOTHING, Use, use_of
from proxy.context import Asking
from proxy.cookies.cookie_header import names_in
from proxy.cookies.preference_cookie import KEPT_COOKIE, cookie_name, once_cookie_name
from proxy.cookies.vendor_cookies import CookieIndex
from proxy.enforcement.first_party_trackers import disguise
from proxy.enforcement.response_filter import hold_part, leads_to_closed, marked_decision
from proxy.html import Page, UndecodableError
from proxy.http.access_record import PAGE
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.content_coding import CodingError
from proxy.http.media_types import PAGE_DESTINATIONS, is_page, is_xml_document
from proxy.http.targets import requested_host
from proxy.responses.page import send_page
from proxy.responses.page_reader import PageRead, page_of, read_page
from proxy.responses.respond import relay
from proxy.responses.xml_document import send_xml
from proxy.runtime import SiteParts
from proxy.server.connection import ProxyRequest
from proxy.upstream.body import ReadResult
from proxy.upstream.timeouts import Timeouts


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What hangs on a kept page. A reload makes new `SiteParts`: then it is compiled anew."""

    site: SiteParts
    page: Page


@dataclass(frozen=True, slots=True)
class _Read:
    """A page that was read, as the cache sees it."""

    got: PageRead
    kept: bytes | None = None
    attachment: object = None
    size: int = 0
    begun: bytes | None = None


@dataclass(frozen=True, slots=True)
class VisitorReplies:
    """Replies held to one visitor's decision."""

    request: web.BaseRequest
    asking: Asking
    timeouts: Timeouts

    def is_page(self, status: int, headers: CIMultiDict[str]) -> bool:
        return is_page(status, headers)

    def keeps(self, headers: CIMultiDict[str]) -> bool:
        return not says_patient(headers.getall("X-Page-Audience", ()))

    def keeps_pages(self) -> bool:
        asking = self.asking
        if not asking.cookie_header or asking.running.config.proxy.cache_with_cookies:
            return True
        domain = asking.running.config.preferences.cookie_domain
        names = tuple(names_in(asking.cookie_header))
        return _only_known(names, asking.running.cookies, domain)

    async def read_page(self, upstream: ClientResponse, headers: CIMultiDict[str]) -> ReadPage:
        got = await read_page(upstream, headers, self.asking, self.timeouts)
        page = got.page
        if got.goes_on and got.read.ending in _GOES_ON and not _is_too_large(upstream, self.asking):
            # What has come is read again from where all of it is gathered.
            return _Read(replace(got, read=ReadResult(b"", "slow")), begun=got.read.body)
        if page is None or says_patient(page.marks):
            return _Read(got)
        return _Read(got, got.read.body, _Compiled(self.asking.site, page), _size(page, got))

    async def complete_page(self, entry: Entry) -> bool:
        try:
            page = await page_of(entry.body, entry.headers, self.asking)
        except (CodingError, UndecodableError):
            return False
        if says_patient(page.marks):
            return False
        entry.attachment = _Compiled(self.asking.site, page)
        entry.attached = _gates(page) + (0 if page.body is entry.body else len(page.body))
        return True

    async def live(
        self, upstream: ClientResponse, headers: CIMultiDict[str], read: ReadPage | None
    ) -> web.StreamResponse:
        got = read.got if isinstance(read, _Read) else None
        return await relay(self.request, upstream, headers, self.asking, self.timeouts, got)

    async def kept(self, entry: Entry, headers: CIMultiDict[str], now: float) -> web.StreamResponse:
        request, asking = self.request, self.asking
        decision = marked_decision(headers, asking)
        if leads_to_closed(request, headers, asking, decision):
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        if entry.is_page:
            page = await self._page(entry)
            sent = await send_page(request, page, headers, entry.status, asking, decision)
        else:
            status = 206 if "Range" in request.headers else entry.status
            hold_part(request, headers, status, asking, decision)
            if decision.enforce and is_xml_document(request, status, headers):
                return await send_xml(request, entry.body, headers, status, asking, decision)
            sent = await send_kept(request, entry, headers, now)
        self._make_ready(entry, sent, now)
        return sent

    def _make_ready(self, entry: Entry, sent: ProxyResponse, now: float) -> None:
        request, ready = self.request, self.asking.running.ready
        if ready is None or sent.status not in {entry.status, 304}:
            return
        if disguise(self.asking) is not None:
            return  # asked each time whether its vendor may act
        if use_of(entry.terms, entry.age(now), WANTS_NOTHING) is not Use.FRESH:
            return  # to be asked about again, each time or soon
        if not isinstance(request, ProxyRequest):
            return
        question = ready.question(request.message, request.remote or "", secure=request.secure)
        if question is not None:
            ready.remember(
                question,
                self.asking,
                entry,
                sent,
                page=request.get(PAGE),
                keeps_pages=self.keeps_pages(),
                asks_for_page=_asks_for_page(request),
            )

    async def _page(self, entry: Entry) -> Page:
        known = entry.attachment
        if isinstance(known, _Compiled) and known.site is self.asking.site:
            return known.page
        page = await page_of(entry.body, entry.headers, self.asking)
        cache = self.asking.running.cache
        if cache is not None:
            size = 0 if page.body is entry.body else len(page.body)
            cache.store.attach(entry, _Compiled(self.asking.site, page), size + _gates(page))
        return page


_GOES_ON = frozenset({"too_large", "slow", "stalled"})


def _is_too_large(upstream: ClientResponse, asking: Asking) -> bool:
    length = upstream.content_length
    return length is not None and length > asking.running.config.proxy.max_page_bytes


def _size(page: Page, got: PageRead) -> int:
    return _gates(page) + (0 if page.body is got.read.body else len(page.body))


def _gates(page: Page) -> int:
    return 400 * len(page.gates) + 1024


@lru_cache(maxsize=4096)
def _only_known(names: tuple[str, ...], index: CookieIndex, domain: str) -> bool:
    """Whether cookies are our own and vendors' only. Any other may be a session: what the origin
    then sends can be one visitor's, whatever its Cache-Control says.
    """
    own = {once_cookie_name(secure=secure) for secure in (True, False)}
    own.add(KEPT_COOKIE)
    own |= {cookie_name(domain, secure=secure) for secure in (True, False)}
    return all(name in own or index.vendors_of(name) for name in names)


def _asks_for_page(request: web.BaseRequest) -> bool:
    return request.headers.get("Sec-Fetch-Dest", "") in PAGE_DESTINATIONS


def _key(request: web.BaseRequest, asking: Asking) -> Key:
    upstream, host = asking.site.rules.upstream, requested_host(request)
    if host != asking.authority:
        # A proxy in front names the visitor's host in X-Forwarded-Host; the upstream sees both.
        upstream = f"{upstream} for {host}"
    return Key(upstream, asking.scheme, asking.authority, asking.target)


async def forward(
    request: web.BaseRequest,
    asking: Asking,
    session: ClientSession,
    headers: Callable[[], CIMultiDict[str]],
    timeouts: Timeouts,
) -> web.StreamResponse:
    """Answer a request from the shared cache or the upstream. `headers` gives the upstream's.

    Raises UpstreamError when there is no answer.
    """
    cache = asking.running.cache
    assert cache is not None
    replies = VisitorReplies(request, asking, timeouts)
    upstream = asking.site.upstream
    visit = Visit(
        cache=cache,
        request=request,
        make_headers=headers,
        key=_key(request, asking),
        session=session,
        upstream=upstream,
        timeouts=timeouts,
        replies=replies,
    )
    if asking.context.audience is Audience.PATIENT:
        # Signed in, or on a page about a patient: nothing of it is kept in shared memory, and
        # nobody waits for it.
        return await pass_by(visit, "bypass")
    if _asks_for_page(request) and not replies.keeps_pages():
        return await pass_by(visit, "bypass")
    return await through_cache(visit)
