"""What the shared cache needs to know of visitors, and how kept answers become replies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from aiohttp import ClientResponse, ClientSession, web
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.rules import says_patient
from proxy.cache import Entry, Key, ReadPage, Visit, bypass, lookup, send_kept
from proxy.cache.policy import WANTS_NOTHING, Use, freshness
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.preference_cookie import SAVED_FORM_COOKIE, cookie_name, load_once_cookie_name
from proxy.cookies.vendor_cookies import CookieIndex
from proxy.enforcement.first_party_trackers import first_party_trackers
from proxy.enforcement.response_filter import ResponseKind, leads_to_closed
from proxy.html import Page, UndecodableError
from proxy.http.access_record import PAGE
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.content_coding import CodingError
from proxy.http.fetch_metadata import PAGE_DESTINATIONS, destination
from proxy.http.media_types import is_page, is_xml_document
from proxy.http.request_fields import CREDENTIALS, unknown_fields
from proxy.http.targets import requested_host
from proxy.responses.page import whole_page
from proxy.responses.page_reader import PageRead, page_of, read_page
from proxy.responses.reply import Reply, deliver
from proxy.responses.respond import heed, kind_of, nothing, respond
from proxy.responses.xml_document import whole_xml
from proxy.runtime import Runtime, SiteRuntime
from proxy.server.connection import ProxyRequest
from proxy.upstream.body import ReadResult


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What hangs on a kept page. A reload makes new `SiteParts`: then it is compiled anew."""

    site: SiteRuntime
    page: Page


@dataclass(frozen=True, slots=True)
class _Read:
    """A page that was read, as the cache sees it."""

    got: PageRead
    stored: bytes | None = None
    attachment: object = None
    size: int = 0
    begun: bytes | None = None


@dataclass(frozen=True, slots=True)
class VisitorReplies:
    """Replies held to one visitor's decision."""

    request: web.BaseRequest
    context: RequestContext
    runtime: Runtime
    may_share: bool

    @property
    def _site(self) -> SiteRuntime:
        return self.runtime.site(self.context)

    def is_page(self, status: int, headers: CIMultiDict[str]) -> bool:
        return is_page(status, headers)

    def may_store(self, headers: CIMultiDict[str]) -> bool:
        return not says_patient(headers.getall("X-Page-Audience", ()))

    async def read_page(self, upstream: ClientResponse, headers: CIMultiDict[str]) -> ReadPage:
        got = await read_page(upstream, headers, self.context, self.runtime)
        page = got.page
        if (
            got.goes_on
            and got.read.ending in _GOES_ON
            and not _is_too_large(upstream, self.runtime)
        ):
            # What has come is read again from where all of it is gathered.
            return _Read(replace(got, read=ReadResult(b"", "slow")), begun=got.read.body)
        if page is None or says_patient(page.marks):
            return _Read(got)
        return _Read(got, got.read.body, _Compiled(self._site, page), _size(page, got))

    async def complete_page(self, entry: Entry) -> bool:
        try:
            page = await page_of(entry.body, entry.headers, self.context, self.runtime)
        except (CodingError, UndecodableError):
            return False
        if says_patient(page.marks):
            return False
        entry.attachment = _Compiled(self._site, page)
        entry.attached = _gates(page) + (0 if page.body is entry.body else len(page.body))
        return True

    async def live(
        self, upstream: ClientResponse, headers: CIMultiDict[str], read: ReadPage | None
    ) -> web.StreamResponse:
        got = read.got if isinstance(read, _Read) else None
        return await respond(self.request, upstream, headers, self.context, self.runtime, got)

    async def stored(
        self, entry: Entry, headers: CIMultiDict[str], now: float
    ) -> web.StreamResponse:
        context, site = heed(headers, self.context, self.runtime), self._site.enforcement
        if leads_to_closed(self.request, headers, context, site):
            return nothing()
        sent = await deliver(await self._reply(entry, headers, context, now), headers, site)
        self._make_ready(entry, sent, now)
        return sent

    async def _reply(
        self, entry: Entry, headers: CIMultiDict[str], context: RequestContext, now: float
    ) -> Reply[ProxyResponse]:
        request = self.request
        if entry.is_page:
            return whole_page(request, await self._page(entry), entry.status, context, self.runtime)
        # A range that is not satisfied gets the whole, under the policy of a part.
        status = 206 if "Range" in request.headers else entry.status
        kind = kind_of(request, status, headers)
        if kind is ResponseKind.XML_DOCUMENT and context.decision.enforce:
            return await whole_xml(request, entry.body, headers, status, context, self.runtime)

        async def send(headers: CIMultiDict[str], _: str) -> ProxyResponse:
            return await send_kept(request, entry, headers, now)

        return Reply(kind, context, send)

    def _make_ready(self, entry: Entry, sent: ProxyResponse, now: float) -> None:
        request, ready = self.request, self.runtime.fast_path
        if ready is None or sent.status not in {entry.status, 304}:
            return
        if first_party_trackers(self.context, self._site.boundary.index):
            return  # asked each time whether its vendor may act
        if freshness(entry.terms, entry.age(now), WANTS_NOTHING) is not Use.FRESH:
            return  # to be asked about again, each time or soon
        if is_xml_document(request, entry.status, entry.headers):
            return  # gated for each visitor anew
        if destination(request) is None and "Location" in entry.headers:
            return  # what it is asked for shows in a field that is no part of the key
        if not isinstance(request, ProxyRequest):
            return
        question = ready.question(request.message, request.remote or "", secure=request.secure)
        if question is not None:
            ready.add(
                question,
                self.context,
                entry,
                sent,
                site=self._site.enforcement,
                page=request.get(PAGE),
                may_share_pages=self.may_share,
                asks_for_page=_asks_for_page(request),
            )

    async def _page(self, entry: Entry) -> Page:
        known = entry.attachment
        if isinstance(known, _Compiled) and known.site is self._site:
            return known.page
        page = await page_of(entry.body, entry.headers, self.context, self.runtime)
        cache = self.runtime.cache
        if cache is not None:
            size = 0 if page.body is entry.body else len(page.body)
            cache.store.attach(entry, _Compiled(self._site, page), size + _gates(page))
        return page


_GOES_ON = frozenset({"too_large", "slow", "stalled"})


def _is_too_large(upstream: ClientResponse, runtime: Runtime) -> bool:
    length = upstream.content_length
    return length is not None and length > runtime.config.proxy.max_page_bytes


def _size(page: Page, got: PageRead) -> int:
    return _gates(page) + (0 if page.body is got.read.body else len(page.body))


def _gates(page: Page) -> int:
    return 400 * len(page.gates) + 1024


def _may_share(request: web.BaseRequest, context: RequestContext, runtime: Runtime) -> bool:
    """Whether a request does not say who asks: no credentials, no cookie that may be a session."""
    if any(name in request.headers for name in CREDENTIALS):
        return False
    if not context.cookie_header or runtime.config.proxy.cache_with_cookies:
        return True
    domain = runtime.config.preferences.cookie_domain
    names = tuple(names_in(context.cookie_header))
    return _only_known(names, runtime.cookies, domain)


@lru_cache(maxsize=4096)
def _only_known(names: tuple[str, ...], index: CookieIndex, domain: str) -> bool:
    """Whether cookies are our own and vendors' only. Any other may be a session: what the origin
    then sends can be one visitor's, whatever its Cache-Control says.
    """
    own = {load_once_cookie_name(secure=secure) for secure in (True, False)}
    own.add(SAVED_FORM_COOKIE)
    own |= {cookie_name(domain, secure=secure) for secure in (True, False)}
    return all(name in own or index.vendors_of(name) for name in names)


def _asks_for_page(request: web.BaseRequest) -> bool:
    return request.headers.get("Sec-Fetch-Dest", "") in PAGE_DESTINATIONS


def _key(request: web.BaseRequest, context: RequestContext) -> Key:
    upstream, host = context.site.upstream, requested_host(request)
    if host != context.authority:
        # A proxy in front names the visitor's host in X-Forwarded-Host; the upstream sees both.
        upstream = f"{upstream} for {host}"
    origin = ", ".join(request.headers.getall("Origin", ()))
    return Key(upstream, context.scheme, context.authority, context.target, origin)


async def forward(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    session: ClientSession,
    headers: Callable[[], CIMultiDict[str]],
) -> web.StreamResponse:
    """Answer a request from the shared cache or the upstream. `headers` gives the upstream's.

    Raises UpstreamError when there is no answer.
    """
    cache = runtime.cache
    assert cache is not None
    may_share = _may_share(request, context, runtime)
    replies = VisitorReplies(request, context, runtime, may_share)
    visit = Visit(
        cache=cache,
        request=request,
        make_headers=headers,
        key=_key(request, context),
        session=session,
        upstream=runtime.site(context).upstream,
        timeouts=runtime.timeouts,
        replies=replies,
        may_share=may_share,
        unknown=unknown_fields(request.headers),
    )
    if context.page_context.audience is Audience.PATIENT:
        # Signed in, or on a page about a patient: nothing of it is kept in shared memory, and
        # nobody waits for it.
        return await bypass(visit, "bypass")
    if _asks_for_page(request) and not may_share:
        return await bypass(visit, "bypass")
    return await lookup(visit)
