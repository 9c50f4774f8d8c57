"""Fetch from the origin for the cache: miss, validation, stale-if-error, storing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from proxy.cache import cache_status
from proxy.cache.coalescing import Flight, Flights
from proxy.cache.conditional import CONDITIONAL, validators
from proxy.cache.confirmation import confirmation_of, may_renew, renew
from proxy.cache.in_hand import drop_in_hand, take_in_hand
from proxy.cache.invalidation import InvalidationTable
from proxy.cache.keys import Key, selecting
from proxy.cache.origin_response import (
    Group,
    LiveResponse,
    OriginResponse,
    Prepare,
    PreparedPage,
    SharedResponse,
    StoredResponse,
)
from proxy.cache.outcomes import Outcome, Stored, Streaming, Uncacheable
from proxy.cache.policy import (
    ERRORS,
    SAFE_METHODS,
    WANTS_NOTHING,
    FreshnessPolicy,
    RequestDirectives,
    Use,
    allows_stale_on_error,
    also_invalid,
    describes_same,
    freshness,
    freshness_policy,
    initial_age,
    storage_refusal,
    stored_headers,
    updated_headers,
)
from proxy.cache.reflection import reflects, shown_in_headers, visitor_values
from proxy.cache.shared_body import SharedBody, SharedBodyReader
from proxy.cache.store import Entry, Store, selecting_names
from proxy.cache.stored_response import aged_headers
from proxy.http.access_record import CACHE
from proxy.http.forwarding import response_headers
from proxy.http.media_types import is_page
from proxy.tracebacks import drop_frames
from proxy.upstream.body import BodySource, ReadResult
from proxy.upstream.errors import UpstreamError, failure_kind
from proxy.upstream.exchange import UpstreamResponse
from proxy.upstream.group import UpstreamGroup
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.request import asked_at, send_request
from proxy.upstream.timeouts import Timeouts

CACHE_STATUS = "Cache-Status"
RANGE_FIELDS = ("Range", *CONDITIONAL)
# True for one visitor's request only: other visitors of the URL still coalesce.
_OF_THE_VISITOR = frozenset(
    {"authorization", "request no-store", "credentials", "cookies", "request field"}
)
_MISS = "miss"
_STEP = 256 * 1024
"""Bytes by which the reservation for a body of unknown length grows."""
_NOTHING_READ = ReadResult(b"", "slow")


class SharedCache:
    """One worker's stored responses, and its fetches in flight.

    `adds_cache_status` adds the `Cache-Status` field (RFC 9211) to responses.
    """

    def __init__(
        self,
        budget: int,
        invalidations: InvalidationTable | None = None,
        *,
        adds_cache_status: bool = False,
    ) -> None:
        self.store = Store(budget, invalidations)
        self.flights: Flights[Outcome, Stored | Streaming] = Flights()
        self.adds_cache_status = adds_cache_status


@dataclass(slots=True, eq=False)
class Lookup:
    """A request, as the cache reads it.

    `make_headers` returns the header fields for the upstream; a hit rarely needs them. `may_share`:
    the request identifies no visitor, by credentials or by cookies other than ours and known
    vendors'. `unknown` are its fields that are not in the cache key, for which an origin may send
    another response. `is_storable` decides by response fields what HTTP does not: the page's
    audience. `prepare` reads and compiles a page.
    """

    cache: SharedCache
    request: web.BaseRequest
    make_headers: Callable[[], CIMultiDict[str]]
    key: Key
    pool: UpstreamPool
    upstream: UpstreamGroup
    timeouts: Timeouts
    may_share: bool
    unknown: tuple[str, ...]
    is_storable: Callable[[CIMultiDict[str]], bool]
    prepare: Prepare
    _headers: CIMultiDict[str] | None = None

    @property
    def is_alone(self) -> bool:
        """Whether the request is excluded from coalescing, in both directions."""
        return not self.may_share or bool(self.unknown)

    def may_use(self, entry: Entry) -> bool:
        """Whether a stored response may be used for this request, fresh or not."""
        if self.unknown and not {name for name, _ in entry.selecting}.issuperset(self.unknown):
            return False
        if self.may_share:
            return True
        # A heuristic lifetime is not enough for a visitor who may be signed in.
        return entry.policy.explicit and not entry.is_page

    def may_validate(self, entry: Entry) -> bool:
        """Whether an entry may be validated with this request: a 304 applies to this visitor, and
        counts for all others.
        """
        return self.may_share and not entry.has_credentials

    @property
    def headers(self) -> CIMultiDict[str]:
        """The header fields for the upstream. Not to be changed."""
        if self._headers is None:
            self._headers = self.make_headers()
        return self._headers


def bypass(
    lookup: Lookup, why: str, entry: Entry | None = None
) -> AbstractAsyncContextManager[OriginResponse]:
    """The upstream's response for this visitor only. `entry` is what a response to HEAD may update.

    `why` is one of RFC 9211's words. Raises UpstreamError when there is no response.
    """
    return _Bypass(lookup, why, entry)


@dataclass(slots=True)
class _Bypass:
    """A class: an asynchronous generator costs each request 4 µs more."""

    lookup: Lookup
    why: str
    entry: Entry | None
    _sent: AbstractAsyncContextManager[UpstreamResponse] | None = None

    async def __aenter__(self) -> OriginResponse:
        lookup = self.lookup
        lookup.request[CACHE] = self.why
        asked = asked_at(lookup.request)
        in_hand = await take_in_hand(lookup.request, lookup.headers)
        sent = self._sent = in_hand or _ask(lookup, lookup.headers)
        upstream = await sent.__aenter__()
        try:
            headers = response_headers(upstream.headers, upstream.version)
            self._learn(upstream, headers, asked)
            if lookup.cache.adds_cache_status:
                headers.add(CACHE_STATUS, cache_status.forwarded(self.why, status=upstream.status))
            return LiveResponse(
                upstream,
                headers,
                may_share=lookup.may_share,
                passes_by=_group(lookup) if self.why == _MISS else None,
            )
        except BaseException as error:
            await sent.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._sent is not None:
            await self._sent.__aexit__(kind, error, traceback)

    def _learn(
        self, upstream: UpstreamResponse, headers: CIMultiDict[str], asked: tuple[float, float]
    ) -> None:
        lookup, method = self.lookup, self.lookup.request.method
        if method not in SAFE_METHODS:
            if 200 <= upstream.status < 400:
                _invalidate(lookup, headers)
        elif self.entry is not None:
            _learn_from_head(lookup, self.entry, upstream.status, headers, asked)
        elif method == "GET":
            _notice_storable(lookup, upstream, headers)


def _notice_storable(lookup: Lookup, upstream: UpstreamResponse, headers: CIMultiDict[str]) -> None:
    """Allow coalescing for a URL again, where its response can be stored by now."""
    flights, group = lookup.cache.flights, _group(lookup)
    if not flights.is_due_again(group):
        return
    policy = _policy(upstream.status, headers, time.time())
    if not _storage_refusal(lookup, upstream, headers, policy):
        flights.forget_uncacheable(group)


def _ask(
    lookup: Lookup, headers: CIMultiDict[str]
) -> AbstractAsyncContextManager[UpstreamResponse]:
    return send_request(
        lookup.pool, lookup.request, lookup.upstream, headers, timeouts=lookup.timeouts
    )


def _invalidate(lookup: Lookup, headers: CIMultiDict[str]) -> None:
    key, store = lookup.key, lookup.cache.store
    store.invalidate(key)
    for url in also_invalid(f"{key.scheme}://{key.authority}{key.target}", headers):
        target = url.partition("://")[2].partition("/")[2]
        store.invalidate(key._replace(target=f"/{target}"))


def _learn_from_head(
    lookup: Lookup,
    entry: Entry,
    status: int,
    headers: CIMultiDict[str],
    asked: tuple[float, float],
) -> None:
    if status != entry.status:
        return
    if describes_same(entry.headers, headers):
        _put_updated(lookup, entry, _refreshed(entry, headers, asked, time.time()), headers)
    else:
        lookup.cache.store.remove(entry)


def _group(lookup: Lookup) -> Group:
    """The key of the uncacheable mark."""
    return lookup.key, lookup.may_share, bool(lookup.unknown)


def fetch_response(
    lookup: Lookup, entry: Entry | None, want: RequestDirectives
) -> AbstractAsyncContextManager[OriginResponse]:
    """The response to a request for which nothing fresh is stored. `entry` is what is stale."""
    if entry is None and lookup.cache.flights.is_uncacheable(_group(lookup)):
        return bypass(lookup, _MISS)
    each_time = entry is not None and (entry.policy.no_cache or entry.policy.lifetime <= 0)
    if lookup.is_alone or each_time:
        # To be asked about for each visitor anew: no other visitor's response would do.
        return _FetchedAlone(lookup, entry, want)
    return _coalesced(lookup, entry, want)


@dataclass(slots=True)
class _FetchedAlone:
    """The response to a request that no other one waits for."""

    lookup: Lookup
    base: Entry | None
    want: RequestDirectives
    _fetched: _Fetched | None = None
    _pump: asyncio.Task[bool] | None = None
    _body: SharedBody | None = None

    async def __aenter__(self) -> OriginResponse:
        lookup = self.lookup
        fetched = self._fetched = _Fetched(lookup, self.base, self.want)
        outcome = await fetched.__aenter__()
        if isinstance(outcome, Streaming):
            # Collected while the visitor reads it.
            self._pump, self._body = asyncio.create_task(_pump(lookup, outcome)), outcome.body
        return _leader_response(lookup, outcome)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._pump is not None and self._body is not None and not self._body.too_large:
                await asyncio.shield(self._pump)
        except asyncio.CancelledError:
            if self._pump is not None:
                self._pump.cancel()
            raise
        finally:
            if self._fetched is not None:
                await self._fetched.__aexit__(kind, error, traceback)


@asynccontextmanager
async def _coalesced(
    lookup: Lookup, entry: Entry | None, want: RequestDirectives
) -> AsyncIterator[OriginResponse]:
    """The response to the first of the requests for it that are under way."""
    flights, group = lookup.cache.flights, _group(lookup)
    where = (group, lookup.cache.store.selecting_of(lookup.key, lookup.headers))
    in_flight = flights.in_flight(where)
    if in_flight is not None:
        await drop_in_hand(lookup.request)
        shared = await in_flight.follower_result()
        if shared is not None and _suits(lookup, shared, want):
            yield _follower_response(lookup, shared)
            return
        flight = _begin(lookup, entry, want, None)
    else:
        flight = _begin(lookup, entry, want, where)
    try:
        yield _leader_response(lookup, await flight.leader_result())
    finally:
        flight.leader_done.set()


def refresh(lookup: Lookup, entry: Entry) -> None:
    """Revalidate in the background, after the stale response was sent (RFC 5861, 3)."""
    where: tuple[object, ...]
    where = (_group(lookup), lookup.cache.store.selecting_of(lookup.key, lookup.headers))
    if lookup.is_alone:
        where = ("refresh", *where)  # one is enough, and no visitor waits for it
    if lookup.cache.flights.in_flight(where) is None:
        _begin(lookup, entry, WANTS_NOTHING, where).leader_done.set()


def _begin(
    lookup: Lookup, entry: Entry | None, want: RequestDirectives, where: Hashable
) -> Flight[Outcome, Stored | Streaming]:
    async def fetch(flight: Flight[Outcome, Stored | Streaming]) -> None:
        try:
            async with _Fetched(lookup, entry, want) as outcome:
                flight.settle(outcome)
                if isinstance(outcome, Uncacheable):
                    flight.share(None)
                    await flight.leader_done.wait()
                elif isinstance(outcome, Stored):
                    flight.share(outcome if outcome.stored or outcome.covers_error else None)
                else:
                    if outcome.reserved and not outcome.body.private:
                        flight.share(outcome)
                    if await _pump(lookup, outcome):
                        flight.share(Stored(outcome.entry, "miss", stored=True))
                    flight.share(None)
                    if outcome.body.too_large:
                        await flight.leader_done.wait()
        except UpstreamError as error:
            drop_frames(error)
            flight.fail(error, for_all=error.status >= 500)

    return lookup.cache.flights.begin(where, fetch)


def validating(
    headers: CIMultiDict[str], base: Entry, *, may_validate: bool = True
) -> CIMultiDict[str]:
    """The fields of a request about an entry that is stale: with its conditions, where it may be
    validated, in place of the visitor's.
    """
    headers = CIMultiDict(headers)
    for name in RANGE_FIELDS:
        headers.popall(name, None)
    if may_validate:
        headers.update(validators(base.headers))
    return headers


@dataclass(slots=True)
class _Fetched:
    """The upstream asked; what comes of it, for as long as the block lasts. `base` is what is
    stored and stale.

    A class: an asynchronous generator costs each request 4 µs more.
    """

    lookup: Lookup
    base: Entry | None
    want: RequestDirectives
    _opened: AbstractAsyncContextManager[UpstreamResponse] | None = None

    async def __aenter__(self) -> Outcome:
        lookup, base, want = self.lookup, self.base, self.want
        headers = lookup.headers
        why = "miss" if base is None else "stale"
        if base is not None:
            headers = validating(headers, base, may_validate=lookup.may_validate(base))
        asked = asked_at(lookup.request)
        opened: AbstractAsyncContextManager[UpstreamResponse]
        in_hand = await take_in_hand(lookup.request, headers)
        if in_hand is None:
            opened = _ask(lookup, headers)
        else:
            opened, asked = in_hand, in_hand.asked
        try:
            upstream = await opened.__aenter__()
        except UpstreamError:
            age = 0.0 if base is None else base.age(time.time())
            if base is None or not allows_stale_on_error(base.policy, age, want, reached=False):
                raise
            return Stored(base, why, covers_error=True)
        try:
            outcome = await _judged(lookup, base, want, why, upstream, asked)
        except BaseException as error:
            await opened.__aexit__(type(error), error, error.__traceback__)
            raise
        self._opened = opened
        return outcome

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, traceback)


async def _judged(
    lookup: Lookup,
    base: Entry | None,
    want: RequestDirectives,
    why: str,
    upstream: UpstreamResponse,
    asked: tuple[float, float],
) -> Outcome:
    store = lookup.cache.store
    live = LiveResponse(upstream, response_headers(upstream.headers, upstream.version))
    headers, status, now = live.headers, live.status, time.time()
    if base is not None:
        if status == 304 and lookup.may_validate(base):
            return _validated(lookup, base, headers, asked, now)
        if status in ERRORS and allows_stale_on_error(
            base.policy, base.age(now), want, reached=True
        ):
            return Stored(base, why, status, covers_error=True)
    policy = _policy(status, headers, now)
    reason = _storage_refusal(lookup, upstream, headers, policy)
    if reason:
        if base is not None and status not in ERRORS and not lookup.is_alone:
            store.remove(base)  # the response that it continues was replaced
        if reason not in _OF_THE_VISITOR and status not in ERRORS:
            lookup.cache.flights.mark_uncacheable(_group(lookup))
        return Uncacheable(live, why)
    entry = _entry(lookup, live, policy, asked, now)
    if not entry.is_page:
        return _collected(lookup, live, entry, why)
    page = live.page = await lookup.prepare(live)
    if not page.may_store:
        lookup.cache.flights.mark_uncacheable(_group(lookup))
        return Uncacheable(live, why)
    if page.is_streamed:
        # The bytes so far are read again from the shared body.
        begun = page.read.body
        live.page = replace(page, read=_NOTHING_READ)
        return _collected(lookup, live, entry, why, begun)
    entry.body, entry.compiled = page.read.body, page.compiled
    return Stored(entry, why, status, _put(lookup, entry), headers)


def _storage_refusal(
    lookup: Lookup,
    upstream: UpstreamResponse,
    headers: CIMultiDict[str],
    policy: FreshnessPolicy,
) -> str:
    status = upstream.status
    page = is_page(status, headers)
    reason = storage_refusal(
        lookup.request.method,
        lookup.headers,
        status,
        headers,
        policy,
        is_page=page,
        has_credentials=not lookup.may_share,
    )
    if reason:
        return reason
    if not lookup.is_storable(headers):
        return "private"
    if "Cookie" in lookup.headers and "cookie" in (selecting_names(headers, is_page=page) or ()):
        return "cookies"  # no other visitor sends the same ones
    length = upstream.content_length
    if length is not None and length > lookup.cache.store.largest:
        return "too large"
    return ""


def _policy(status: int, headers: CIMultiDict[str], now: float) -> FreshnessPolicy:
    return freshness_policy(status, headers, now, is_page=is_page(status, headers))


def _entry(
    lookup: Lookup,
    live: LiveResponse,
    policy: FreshnessPolicy,
    asked: tuple[float, float],
    now: float,
) -> Entry:
    headers = live.headers
    page = is_page(live.status, headers)
    names = selecting_names(headers, is_page=page) or ()
    return Entry(
        key=lookup.key,
        selecting=selecting(names, lookup.headers),
        status=live.status,
        reason=live.reason,
        headers=stored_headers(headers, now),
        body=b"",
        policy=policy,
        born=now - initial_age(headers, asked[0], now),
        asked_at=asked[1],
        is_page=page,
        has_credentials=not lookup.may_share,
    )


def _put(lookup: Lookup, entry: Entry) -> bool:
    """Store a response whose body is complete. False where it is not stored."""
    content = None if entry.compiled is None else entry.compiled.content
    if reflects(_visitor_values(lookup, entry), entry.headers, entry.body, content):
        return False
    return lookup.cache.store.put(entry)


def _put_updated(lookup: Lookup, base: Entry, entry: Entry, newer: CIMultiDict[str]) -> bool:
    """Store `entry`: what `base` becomes by the header fields of a 304, or of a response to HEAD.
    Neither is stored where these say that they are of one visitor. Returns whether it is stored.
    """
    store = lookup.cache.store
    if _update_refusal(lookup, base, entry, newer):
        store.remove(base)
        return False
    return store.put(entry)


def _update_refusal(lookup: Lookup, base: Entry, entry: Entry, newer: CIMultiDict[str]) -> str:
    """Why an update may not be stored; "" when it may. It was made for one visitor, like any other
    response.
    """
    # The fields that are not taken over: they say for whom the others are.
    headers = CIMultiDict(entry.headers)
    for name in ("Vary", "Set-Cookie", "Set-Cookie2"):
        for value in newer.getall(name, ()):
            headers.add(name, value)
    reason = storage_refusal(
        "GET",
        lookup.headers,
        entry.status,
        headers,
        entry.policy,
        is_page=entry.is_page,
        has_credentials=not lookup.may_share,
    )
    if reason:
        return reason
    if not lookup.is_storable(headers):
        return "private"
    if selecting_names(headers, is_page=entry.is_page) != tuple(name for name, _ in base.selecting):
        return "vary"
    # The body was made before this request was: only the new fields can repeat what it said.
    known = base.headers
    changed = CIMultiDict((n, v) for n, v in entry.headers.items() if v not in known.getall(n, ()))
    changed.popall("Date", None)
    if changed and shown_in_headers(_visitor_values(lookup, entry), changed):
        return "reflects"
    return ""


def _visitor_values(lookup: Lookup, entry: Entry) -> tuple[bytes, ...]:
    own_site = f"{lookup.key.scheme}://{lookup.key.authority}"
    return visitor_values(lookup.headers, own_site, (name for name, _ in entry.selecting))


def _validated(
    lookup: Lookup,
    base: Entry,
    headers: CIMultiDict[str],
    asked: tuple[float, float],
    now: float,
) -> Stored:
    confirmation = confirmation_of(headers)
    if renew(lookup.cache.store, base, confirmation, headers, asked, now):
        return Stored(base, "stale", 304, stored=True, headers=CIMultiDict(base.headers))
    entry = _refreshed(base, headers, asked, now)
    for_visitor = CIMultiDict(entry.headers)
    for value in headers.getall("Set-Cookie", ()):
        for_visitor.add("Set-Cookie", value)
    stored = _put_updated(lookup, base, entry, headers)
    if stored and may_renew(entry, headers):
        entry.confirmation = confirmation
    return Stored(entry, "stale", 304, stored, for_visitor)


def _refreshed(
    base: Entry, newer: CIMultiDict[str], asked: tuple[float, float], now: float
) -> Entry:
    headers = updated_headers(base.headers, newer, now)
    if is_page(base.status, headers) is not base.is_page:
        # Another type would make a page of bytes that were not compiled as one.
        headers.popall("Content-Type", None)
        headers.extend(("Content-Type", v) for v in base.headers.getall("Content-Type", ()))
    return Entry(
        key=base.key,
        selecting=base.selecting,
        status=base.status,
        reason=base.reason,
        headers=headers,
        body=base.body,
        policy=freshness_policy(base.status, headers, now, is_page=base.is_page),
        born=now - initial_age(newer, asked[0], now),
        asked_at=asked[1],
        is_page=base.is_page,
        has_credentials=base.has_credentials,
        compiled=base.compiled,
    )


def _collected(
    lookup: Lookup, live: LiveResponse, entry: Entry, why: str, begun: bytes = b""
) -> Outcome:
    """Read the beginning of a body: mostly all of it; of a page only `begun`."""
    store, source = lookup.cache.store, live.body
    body = SharedBody(source)
    try:
        chunk = begun or source.read_nowait()
        if not entry.is_page and source.at_eof():
            _check_whole(source, len(chunk))
            entry.body = chunk
            return Stored(entry, why, entry.status, _put(lookup, entry), live.headers)
    except (aiohttp.ClientError, OSError) as error:
        what = f"{live.upstream_name} broke the connection ({failure_kind(error)})"
        raise UpstreamError(502, what) from error
    values = _visitor_values(lookup, entry)
    coding = entry.headers.get("Content-Encoding", "identity").lower()
    if shown_in_headers(values, entry.headers) or coding != "identity":
        body.make_private()  # a coded body cannot be searched before it is complete
    if chunk:
        body.add(chunk, values)
    length = source.declared_length or 0
    if length and not store.reserve(length):
        body.give_up()
        length = 0
    return Streaming(entry, why, live, body, length)


async def _pump(lookup: Lookup, streaming: Streaming) -> bool:
    """Read a body as fast as the upstream sends it, and store it once it is complete. Returns
    whether other visitors may have it.
    """
    store, body, entry = lookup.cache.store, streaming.body, streaming.entry
    reserved = streaming.reserved
    values = _visitor_values(lookup, entry)
    try:
        while not body.too_large:
            chunk = await body.source.readany()
            if not chunk:
                _check_whole(body.source, body.size)
                entry.body = body.finish()
                return await _complete(lookup, entry)
            body.add(chunk, values)
            if body.size > store.largest:
                body.give_up()
            elif body.size > reserved:
                if store.reserve(_STEP):
                    reserved += _STEP
                else:
                    body.give_up()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        body.fail(error)
    except asyncio.CancelledError:
        body.fail(ConnectionError("the proxy is stopping"))
        raise
    finally:
        store.release(reserved)
    return False


async def _complete(lookup: Lookup, entry: Entry) -> bool:
    """Store a complete response. A page is compiled first."""
    if entry.is_page:
        whole = StoredResponse(entry, entry.headers, time.time(), lookup.may_share)
        page: PreparedPage = await lookup.prepare(whole)
        if page.compiled is None or not page.may_store:
            lookup.cache.flights.mark_uncacheable(_group(lookup))
            return False
        entry.compiled = page.compiled
    return _put(lookup, entry)


def _check_whole(source: BodySource, size: int) -> None:
    """Raise for a truncated body, which is not stored."""
    length = source.declared_length
    if length is not None and size != length:
        raise aiohttp.ClientPayloadError(f"{length} bytes were promised, {size} came")


def _suits(lookup: Lookup, shared: Stored | Streaming, want: RequestDirectives) -> bool:
    """Whether another visitor's response may be used for this request."""
    entry = shared.entry
    names = tuple(name for name, _ in entry.selecting)
    if selecting(names, lookup.headers) != entry.selecting or not lookup.may_use(entry):
        return False
    age = entry.age(time.time())
    if isinstance(shared, Stored) and shared.covers_error:
        return want == WANTS_NOTHING or allows_stale_on_error(entry.policy, age, want, reached=True)
    return freshness(entry.policy, age, want) is Use.FRESH


def _follower_response(lookup: Lookup, shared: Stored | Streaming) -> OriginResponse:
    """The response of a follower."""
    now = time.time()
    lookup.request[CACHE] = "collapsed"
    headers = aged_headers(shared.entry, now)
    if lookup.cache.adds_cache_status:
        headers.add(CACHE_STATUS, cache_status.forwarded(shared.why, collapsed=True))
    if isinstance(shared, Streaming) and not shared.body.whole:
        reader = SharedBodyReader(shared.body, is_leader=False)
        return SharedResponse(shared.live, headers, reader)
    return StoredResponse(shared.entry, headers, now, lookup.may_share)


def _leader_response(lookup: Lookup, outcome: Outcome) -> OriginResponse:
    """The response of the leader."""
    adds = lookup.cache.adds_cache_status
    lookup.request[CACHE] = outcome.why
    match outcome:
        case Uncacheable():
            live = outcome.live
            if adds:
                status = live.status
                live.headers.add(CACHE_STATUS, cache_status.forwarded(outcome.why, status=status))
            return live
        case Streaming():
            headers = CIMultiDict(outcome.live.headers)
            if adds:
                status = outcome.entry.status
                forwarded = cache_status.forwarded(outcome.why, status=status, stored=True)
                headers.add(CACHE_STATUS, forwarded)
            reader = SharedBodyReader(outcome.body, is_leader=True)
            return SharedResponse(outcome.live, headers, reader)
        case Stored():
            now = time.time()
            headers = aged_headers(outcome.entry, now)
            if outcome.headers is not None:
                headers = CIMultiDict(outcome.headers)
                headers["Age"] = str(int(outcome.entry.age(now)))
            if adds:
                forwarded = cache_status.forwarded(
                    outcome.why, status=outcome.status, stored=outcome.stored
                )
                headers.add(CACHE_STATUS, forwarded)
            return StoredResponse(outcome.entry, headers, now, lookup.may_share)
