"""The origin's response to a request: from the upstream, the cache, or a tunnel's handshake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial

from aiohttp import web
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDict, istr

from consent_rules.categories import Audience
from consent_rules.rules import has_patient_mark
from proxy.cache import (
    Key,
    LiveResponse,
    Lookup,
    OriginResponse,
    SharedCache,
    bypass,
    find_or_fetch,
)
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.preference_cookie import SAVED_FORM_COOKIE, cookie_name, load_once_cookie_name
from proxy.cookies.vendor_cookies import CookieIndex
from proxy.cookies.wp_consent import wp_cookies
from proxy.enforcement.request_filter import upstream_request_headers
from proxy.enforcement.response_filter import ResponseKind, enforce
from proxy.http.fetch_metadata import expects_page, is_service_worker
from proxy.http.field_names import FieldNames
from proxy.http.forwarding import response_headers
from proxy.http.request_fields import CREDENTIALS, unknown_fields
from proxy.http.targets import requested_host
from proxy.responses.page_reader import prepare_page
from proxy.runtime import Runtime
from proxy.upstream.interim import ON_INTERIM, OnInterim, interim_relay
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.request import send_request
from proxy.upstream.tunnel import handshake_headers, is_upgrade


@dataclass(frozen=True, slots=True)
class Pools:
    """Connections to upstreams. `tunnels` have bounds of their own: they are held for hours."""

    requests: UpstreamPool
    tunnels: UpstreamPool


def origin_response(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, pools: Pools
) -> AbstractAsyncContextManager[OriginResponse]:
    """The origin's response to a request, open for as long as the block lasts.

    Raises NotStoredError for a request that is `only-if-cached`; on entering, UpstreamError where
    there is no response.
    """
    if is_upgrade(request):
        return _handshake(request, context, runtime, pools.tunnels)
    if runtime.cache is None or is_service_worker(request):
        return _live(request, context, runtime, pools.requests)
    lookup = _lookup(request, context, runtime, runtime.cache, pools.requests)
    patient = context.page_context.audience is Audience.PATIENT
    if patient or (expects_page(request) and not lookup.may_share):
        # Signed in, or on a page about a patient: nothing of it is stored in shared memory, and no
        # other request waits for it.
        return bypass(lookup, "bypass")
    return find_or_fetch(lookup)


@asynccontextmanager
async def _live(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, pool: UpstreamPool
) -> AsyncIterator[OriginResponse]:
    """The upstream's response for this visitor only; the cache is bypassed."""
    upstream, headers = runtime.site(context).upstream, _headers(request, context, runtime)
    sent = send_request(pool, request, upstream, headers, timeouts=runtime.timeouts)
    async with sent as response:
        yield LiveResponse(response, response_headers(response.headers, response.version))


@asynccontextmanager
async def _handshake(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, pool: UpstreamPool
) -> AsyncIterator[OriginResponse]:
    """The upstream's response to the handshake of a tunnel: 101, or its rejection."""
    async with send_request(
        pool,
        request,
        runtime.site(context).upstream,
        handshake_headers(_headers(request, context, runtime)),
        timeouts=runtime.timeouts,
        upgrade=True,
    ) as response:
        yield LiveResponse(response, response_headers(response.headers, response.version))


def _lookup(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    cache: SharedCache,
    pool: UpstreamPool,
) -> Lookup:
    return Lookup(
        cache=cache,
        request=request,
        make_headers=partial(_headers, request, context, runtime),
        key=_key(request, context),
        pool=pool,
        upstream=runtime.site(context).upstream,
        timeouts=runtime.timeouts,
        may_share=_may_share(request, context, runtime),
        unknown=unknown_fields(request.headers),
        is_storable=_is_storable,
        prepare=partial(prepare_page, context=context, runtime=runtime),
    )


def _headers(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> CIMultiDict[str]:
    """The header fields of the upstream request."""
    return upstream_request_headers(request, context, runtime.site(context).enforcement)


def _key(request: web.BaseRequest, context: RequestContext) -> Key:
    upstream, host = context.site.upstream, requested_host(request)
    if host != context.authority:
        # A proxy in front names the visitor's host in X-Forwarded-Host; the upstream sees both.
        upstream = f"{upstream} for {host}"
    origin = ", ".join(request.headers.getall("Origin", ()))
    objection = ", ".join(
        f"{name}: {value.strip()}"
        for name in _OBJECTIONS
        for value in request.headers.getall(name, ())
    )
    return Key(
        upstream, context.scheme, context.authority, context.target, origin, objection,
        context.consent_header,
    )  # fmt: skip


_OBJECTIONS = (istr("Sec-GPC"), istr("DNT"))


def _is_storable(headers: CIMultiDict[str]) -> bool:
    """Whether the origin does not mark the response as a patient page."""
    return not has_patient_mark(headers.getall("X-Page-Audience", ()))


_CREDENTIALS = FieldNames(CREDENTIALS.__contains__)


def _may_share(request: web.BaseRequest, context: RequestContext, runtime: Runtime) -> bool:
    """Whether a request identifies no visitor: no credentials, no cookie that may be a session, no
    choice that is sent to the site.
    """
    if _CREDENTIALS.any_in(request.headers) or _tells_choice(context, runtime):
        return False
    if not context.cookie_header or runtime.config.proxy.cache_with_cookies:
        return True
    domain = runtime.config.preferences.cookie_domain
    return _only_known(names_in(context.cookie_header), runtime.cookies, domain)


def _tells_choice(context: RequestContext, runtime: Runtime) -> bool:
    """Whether the upstream request names the visitor's choice, though the browser's may not."""
    if not runtime.site(context).enforcement.wp_consent_cookies:
        return False
    return bool(wp_cookies(context.visitor.preferences, context.decision))


def _only_known(names: Iterable[str], index: CookieIndex, domain: str) -> bool:
    """Whether all cookies are our own or known vendors'. Any other may be a session: the response
    can then be one visitor's, whatever its Cache-Control says.
    """
    own = _own_cookies(domain)
    return all(name in own or index.vendors_of(name) for name in names)


@lru_cache(maxsize=16)
def _own_cookies(domain: str) -> frozenset[str]:
    once = {load_once_cookie_name(secure=secure) for secure in (True, False)}
    chosen = {cookie_name(domain, secure=secure) for secure in (True, False)}
    return frozenset({SAVED_FORM_COOKIE} | once | chosen)


@dataclass(slots=True)
class InterimResponses:
    """For the block: relay the upstream's interim responses (1xx), with the decision applied, to
    the visitor. Few requests have any: what they need is made for the first one.
    """

    request: web.BaseRequest
    context: RequestContext
    runtime: Runtime
    _relay: OnInterim | None = None

    def __enter__(self) -> None:
        self.request[ON_INTERIM] = self._on_interim

    def __exit__(self, *_: object) -> None:
        # An idle connection still has its last request, and all that hangs on it.
        del self.request[ON_INTERIM]

    def _on_interim(self, message: RawResponseMessage) -> None:
        if self._relay is None:
            self._relay = interim_relay(self.request, self._enforce)
        self._relay(message)

    def _enforce(self, headers: CIMultiDict[str]) -> None:
        site = self.runtime.site(self.context).enforcement
        enforce(headers, ResponseKind.INTERIM, self.context, site)
