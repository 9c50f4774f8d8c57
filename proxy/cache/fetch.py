"""Fetch from the origin for the cache: miss, validation, stale-if-error, storing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import aiohttp
from aiohttp import ClientResponse, ClientSession, web
from multidict import CIMultiDict
from yarl import URL

from proxy.cache import cache_status as cache_status
from proxy.cache.coalescing import Flight, Flights
from proxy.cache.conditional import CONDITIONAL, validators
from proxy.cache.invalidation import InvalidationTable
from proxy.cache.keys import Key, selecting
from proxy.cache.outcomes import Outcome, ReadPage, Stored, Streaming, Uncacheable
from proxy.cache.policy import (
    ERRORS,
    SAFE_METHODS,
    WANTS_NOTHING,
    RequestDirectives,
    Use,
    allows_stale_on_error,
    also_invalid,
    describes_same,
    freshness,
    initial_age,
    kept_headers,
    storage_refusal,
    terms_of,
    updated_headers,
)
from proxy.cache.reflection import reflects, shown_in_headers, visitor_values
from proxy.cache.shared_body import SharedBody, SharedBodyReader
from proxy.cache.store import Entry, Store, selecting_names
from proxy.cache.stored_response import aged_headers
from proxy.http.access_record import CACHE
from proxy.http.forwarding import response_headers
from proxy.upstream.errors import UpstreamError, failure_kind
from proxy.upstream.request import send_request
from proxy.upstream.timeouts import Timeouts

CACHE_STATUS = "Cache-Status"
RANGE_FIELDS = ("Range", *CONDITIONAL)
# True for one visitor's request only: other visitors of the URL are waited for all the same.
_OF_THE_VISITOR = frozenset({"authorization", "request no-store", "cookies", "request field"})
_STEP = 256 * 1024
"""Bytes that a body of unknown length is counted in."""


class SharedCache:
    """What one worker keeps, and what it is fetching. `tells` adds the `Cache-Status` header."""

    def __init__(
        self, budget: int, board: InvalidationTable | None = None, *, tells: bool = False
    ) -> None:
        self.store = Store(budget, board)
        self.fills: Flights[Outcome, Stored | Streaming] = Flights()
        self.tells = tells


class Replies(Protocol):
    """How answers become replies: the part of a request's way that depends on the visitor."""

    def is_page(self, status: int, headers: CIMultiDict[str]) -> bool:
        """Whether an answer is a page, to be read as a whole before it is sent."""

    def may_store(self, headers: CIMultiDict[str]) -> bool:
        """Whether an answer with these fields may be kept at all, pages and all else alike."""

    async def read_page(self, upstream: ClientResponse, headers: CIMultiDict[str]) -> ReadPage:
        """Read a page that may be kept."""

    async def complete_page(self, entry: Entry) -> bool:
        """Make a page ready of which all has come. False where it may not be kept after all."""

    async def live(
        self, upstream: ClientResponse, headers: CIMultiDict[str], read: ReadPage | None
    ) -> web.StreamResponse:
        """Relay what the upstream is sending; `read` is what `read_page` gave."""

    async def stored(
        self, entry: Entry, headers: CIMultiDict[str], now: float
    ) -> web.StreamResponse:
        """Send an answer that is kept. `headers` are the caller's to change."""


@dataclass(slots=True, eq=False)
class Visit:
    """A request and everything that is needed to answer it.

    `make_headers` gives the header fields for the upstream; a hit mostly needs none.
    """

    cache: SharedCache
    request: web.BaseRequest
    make_headers: Callable[[], CIMultiDict[str]]
    key: Key
    session: ClientSession
    upstream: URL
    timeouts: Timeouts
    replies: Replies
    may_share: bool = True
    """The request does not say who asks: no credentials, no cookies but ours and known vendors'."""
    unknown: tuple[str, ...] = ()
    """Its fields that are not in the cache key, for which an origin may answer differently."""
    _headers: CIMultiDict[str] | None = None

    @property
    def is_alone(self) -> bool:
        """Whether nobody may wait for this request's response, nor this request for another's."""
        return not self.may_share or bool(self.unknown)

    def may_have(self, entry: Entry) -> bool:
        """Whether a stored response is one for this visitor at all, fresh or not."""
        if self.unknown and not {name for name, _ in entry.selecting}.issuperset(self.unknown):
            return False
        if self.may_share:
            return True
        # A guess of ours is not good enough for who may be signed in.
        return entry.terms.explicit and not entry.is_page

    def may_validate(self, entry: Entry) -> bool:
        """Whether the origin may be asked on this request's behalf if the entry is still good: its
        "not modified" is said to this visitor, and counts for all others.
        """
        return self.may_share and not entry.has_credentials

    @property
    def headers(self) -> CIMultiDict[str]:
        """What the upstream gets. Not to be changed."""
        if self._headers is None:
            self._headers = self.make_headers()
        return self._headers


async def bypass(visit: Visit, why: str, entry: Entry | None = None) -> web.StreamResponse:
    """Ask the upstream for this visitor alone. `entry` is what a HEAD may tell something about.

    `why` is one of RFC 9211's words. Raises UpstreamError when there is no answer.
    """
    request = visit.request
    request[CACHE] = why
    asked = time.time(), time.monotonic()
    async with _asked(visit, visit.headers) as upstream:
        answered = response_headers(upstream)
        if request.method not in SAFE_METHODS:
            if 200 <= upstream.status < 400:
                _invalidate(visit, answered)
        elif entry is not None:
            _learn_from_head(visit, entry, upstream.status, answered, asked)
        elif request.method == "GET":
            _notice_kept(visit, upstream, answered)
        if visit.cache.tells:
            answered.add(CACHE_STATUS, cache_status.forwarded(why, status=upstream.status))
        return await visit.replies.live(upstream, answered, None)


def _notice_kept(visit: Visit, upstream: ClientResponse, answered: CIMultiDict[str]) -> None:
    """Let the next visitor fetch for all again, where an answer has become fit to keep."""
    fills, group = visit.cache.fills, _group(visit)
    if fills.is_not_kept(group) and not _storage_refusal(visit, upstream, answered):
        fills.was_kept(group)


def _asked(visit: Visit, headers: CIMultiDict[str]) -> AbstractAsyncContextManager[ClientResponse]:
    return send_request(
        visit.session, visit.request, visit.upstream, headers, timeouts=visit.timeouts
    )


def _invalidate(visit: Visit, answered: CIMultiDict[str]) -> None:
    key, store = visit.key, visit.cache.store
    store.invalidate(key)
    for url in also_invalid(f"{key.scheme}://{key.authority}{key.target}", answered):
        target = url.partition("://")[2].partition("/")[2]
        store.invalidate(key._replace(target=f"/{target}"))


def _learn_from_head(
    visit: Visit,
    entry: Entry,
    status: int,
    answered: CIMultiDict[str],
    asked: tuple[float, float],
) -> None:
    if status != entry.status:
        return
    if describes_same(entry.headers, answered):
        now = time.time()
        visit.cache.store.put(_refreshed(entry, answered, asked, now))
    else:
        visit.cache.store.remove(entry)


def _group(visit: Visit) -> tuple[Key, bool, bool]:
    """Whose responses are stored or not alike."""
    return visit.key, visit.may_share, bool(visit.unknown)


async def fetch_response(
    visit: Visit, entry: Entry | None, want: RequestDirectives
) -> web.StreamResponse:
    fills = visit.cache.fills
    group = _group(visit)
    if entry is None and fills.is_not_kept(group):
        return await bypass(visit, "miss")
    if visit.is_alone or (
        entry is not None and (entry.terms.no_cache or entry.terms.lifetime <= 0)
    ):
        # To be asked about for each visitor anew: no other visitor's answer would do.
        async with _outcome(visit, entry, want) as outcome:
            if not isinstance(outcome, Streaming):
                return await _reply(visit, outcome)
            pump = asyncio.create_task(_pump(visit, outcome))
            try:
                return await _reply(visit, outcome)
            finally:
                await _finished(pump, outcome)
    where = (group, visit.cache.store.selecting_of(visit.key, visit.headers))
    in_flight = fills.in_flight(where)
    if in_flight is not None:
        shared = await in_flight.follower_result()
        if shared is not None and _suits(visit, shared, want):
            return await _reply_shared(visit, shared)
        fill = _begin(visit, entry, want, None)
    else:
        fill = _begin(visit, entry, want, where)
    try:
        return await _reply(visit, await fill.leader_result())
    finally:
        fill.left.set()


async def _finished(pump: asyncio.Task[bool], coming: Streaming) -> None:
    if coming.growing.too_large:
        return
    try:
        await asyncio.shield(pump)
    except asyncio.CancelledError:
        pump.cancel()
        raise


def refresh(visit: Visit, entry: Entry) -> None:
    """Ask again while the visitor already has the stale answer (RFC 5861, 3)."""
    where: tuple[object, ...]
    where = (_group(visit), visit.cache.store.selecting_of(visit.key, visit.headers))
    if visit.is_alone:
        where = ("refresh", *where)  # one is enough, and no visitor waits for it
    if visit.cache.fills.in_flight(where) is None:
        _begin(visit, entry, WANTS_NOTHING, where).left.set()


def _begin(
    visit: Visit, entry: Entry | None, want: RequestDirectives, where: object
) -> Flight[Outcome, Stored | Streaming]:
    async def fetch(fill: Flight[Outcome, Stored | Streaming]) -> None:
        try:
            async with _outcome(visit, entry, want) as outcome:
                fill.settle(outcome)
                if isinstance(outcome, Uncacheable):
                    fill.share(None)
                    await fill.left.wait()
                elif isinstance(outcome, Stored):
                    fill.share(outcome if outcome.stored or outcome.covers_error else None)
                else:
                    if outcome.reserved and not outcome.growing.private:
                        fill.share(outcome)
                    if await _pump(visit, outcome):
                        fill.share(Stored(outcome.entry, "miss", stored=True))
                    fill.share(None)
                    if outcome.growing.too_large:
                        await fill.left.wait()
        except UpstreamError as error:
            fill.fail(error, for_all=error.status >= 500)

    return visit.cache.fills.begin(where, fetch)


@asynccontextmanager
async def _outcome(
    visit: Visit, base: Entry | None, want: RequestDirectives
) -> AsyncIterator[Outcome]:
    """Ask the upstream; what comes of it, for as long as the block lasts."""
    headers = visit.headers
    why = "miss" if base is None else "stale"
    if base is not None:
        headers = CIMultiDict(headers)
        for name in RANGE_FIELDS:
            headers.popall(name, None)
        if visit.may_validate(base):
            headers.update(validators(base.headers))
    asked = time.time(), time.monotonic()
    try:
        opened = _asked(visit, headers)
        upstream = await opened.__aenter__()
    except UpstreamError:
        now = time.time()
        if base is None or not allows_stale_on_error(
            base.terms, base.age(now), want, reached=False
        ):
            raise
        yield Stored(base, why, covers_error=True)
        return
    try:
        yield await _judged(visit, base, want, why, upstream, asked)
    except BaseException as error:
        if not await opened.__aexit__(type(error), error, error.__traceback__):
            raise
    else:
        await opened.__aexit__(None, None, None)


async def _judged(
    visit: Visit,
    base: Entry | None,
    want: RequestDirectives,
    why: str,
    upstream: ClientResponse,
    asked: tuple[float, float],
) -> Outcome:
    store = visit.cache.store
    answered = response_headers(upstream)
    status, now = upstream.status, time.time()
    if base is not None:
        if status == 304 and visit.may_validate(base):
            return _validated(visit, base, answered, asked, now)
        if status in ERRORS and allows_stale_on_error(
            base.terms, base.age(now), want, reached=True
        ):
            return Stored(base, why, status, covers_error=True)
    is_page = visit.replies.is_page(status, answered)
    reason = _storage_refusal(visit, upstream, answered)
    if reason:
        if base is not None and status not in ERRORS and not visit.is_alone:
            store.remove(base)  # what it was an answer to has another one now
        if reason not in _OF_THE_VISITOR and status not in ERRORS:
            visit.cache.fills.was_not_kept(_group(visit))
        return Uncacheable(upstream, answered, why, reason)
    entry = _entry(visit, upstream, answered, asked, now, is_page=is_page)
    if is_page:
        read = await visit.replies.read_page(upstream, answered)
        if read.begun is not None:
            return _body(visit, upstream, entry, answered, why, read)
        if read.stored is None:
            visit.cache.fills.was_not_kept(_group(visit))
            return Uncacheable(upstream, answered, why, "unreadable", read)
        entry.body, entry.attachment, entry.attached = read.stored, read.attachment, read.size
        return Stored(entry, why, status, _put(visit, entry), answered)
    return _body(visit, upstream, entry, answered, why)


def _storage_refusal(visit: Visit, upstream: ClientResponse, answered: CIMultiDict[str]) -> str:
    status = upstream.status
    is_page = visit.replies.is_page(status, answered)
    reason = storage_refusal(
        visit.request.method,
        visit.headers,
        status,
        answered,
        time.time(),
        is_page=is_page,
        has_credentials=not visit.may_share,
    )
    if reason:
        return reason
    if not visit.replies.may_store(answered):
        return "private"
    if "Cookie" in visit.headers and "cookie" in (selecting_names(answered, is_page=is_page) or ()):
        return "cookies"  # nobody else will ever have the same ones
    length = upstream.content_length
    if length is not None and length > visit.cache.store.largest:
        return "too large"
    return ""


def _entry(
    visit: Visit,
    upstream: ClientResponse,
    answered: CIMultiDict[str],
    asked: tuple[float, float],
    now: float,
    *,
    is_page: bool,
) -> Entry:
    names = selecting_names(answered, is_page=is_page) or ()
    return Entry(
        key=visit.key,
        selecting=selecting(names, visit.headers),
        status=upstream.status,
        reason=upstream.reason or "",
        headers=kept_headers(answered, now),
        body=b"",
        terms=terms_of(upstream.status, answered, now, is_page=is_page),
        born=now - initial_age(answered, asked[0], now),
        asked_at=asked[1],
        is_page=is_page,
        has_credentials=not visit.may_share,
    )


def _put(visit: Visit, entry: Entry) -> bool:
    """Store a response whose body is here. False where it is not stored."""
    if reflects(_visitor_values(visit, entry), entry.headers, entry.body):
        return False
    return visit.cache.store.put(entry)


def _visitor_values(visit: Visit, entry: Entry) -> tuple[bytes, ...]:
    own_site = f"{visit.key.scheme}://{visit.key.authority}"
    return visitor_values(visit.headers, own_site, (name for name, _ in entry.selecting))


def _validated(
    visit: Visit,
    base: Entry,
    answered: CIMultiDict[str],
    asked: tuple[float, float],
    now: float,
) -> Stored:
    entry = _refreshed(base, answered, asked, now)
    cookies = CIMultiDict(entry.headers)
    for value in answered.getall("Set-Cookie", ()):
        cookies.add("Set-Cookie", value)
    refused = storage_refusal(
        "GET",
        visit.headers,
        entry.status,
        entry.headers,
        now,
        is_page=entry.is_page,
        has_credentials=not visit.may_share,
    )
    refused = refused or ("" if visit.replies.may_store(entry.headers) else "private")
    stored = not refused and _put(visit, entry)
    if not stored:
        visit.cache.store.remove(base)
    return Stored(entry, "stale", 304, stored, cookies)


def _refreshed(
    base: Entry, answered: CIMultiDict[str], asked: tuple[float, float], now: float
) -> Entry:
    headers = updated_headers(base.headers, answered, now)
    return Entry(
        key=base.key,
        selecting=base.selecting,
        status=base.status,
        reason=base.reason,
        headers=headers,
        body=base.body,
        terms=terms_of(base.status, headers, now, is_page=base.is_page),
        born=now - initial_age(answered, asked[0], now),
        asked_at=asked[1],
        is_page=base.is_page,
        attachment=base.attachment,
        attached=base.attached,
    )


def _body(
    visit: Visit,
    upstream: ClientResponse,
    entry: Entry,
    answered: CIMultiDict[str],
    why: str,
    read: ReadPage | None = None,
) -> Outcome:
    """Take what has come of a body: mostly all of it; of a page (`read`) only its beginning."""
    store = visit.cache.store
    content = upstream.content
    protocol = upstream.connection.protocol if upstream.connection else None
    growing = SharedBody(content)
    try:
        chunk = (read.begun if read is not None else None) or content.read_nowait()
        if read is None and content.at_eof():
            _check_whole(upstream, protocol, len(chunk))
            entry.body = chunk
            return Stored(entry, why, entry.status, _put(visit, entry), answered)
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamError(
            502, f"{upstream.url.origin()} broke off ({failure_kind(error)})"
        ) from error
    values = _visitor_values(visit, entry)
    coding = entry.headers.get("Content-Encoding", "identity").lower()
    if shown_in_headers(values, entry.headers) or coding != "identity":
        growing.make_private()  # what is coded cannot be looked through before it is whole
    if chunk:
        growing.add_shown(chunk, values)
    length = upstream.content_length or 0
    if length and not store.reserve(length):
        growing.give_up()
        length = 0
    return Streaming(entry, why, answered, growing, length, upstream, protocol, read)


async def _pump(visit: Visit, coming: Streaming) -> bool:
    """Read a body as fast as the upstream sends it, and keep it once it is whole. Returns whether
    others may have it.
    """
    store, growing, content = visit.cache.store, coming.growing, coming.upstream.content
    reserved = coming.reserved
    values = _visitor_values(visit, coming.entry)
    try:
        while not growing.too_large:
            chunk = await content.readany()
            if not chunk:
                _check_whole(coming.upstream, coming.protocol, growing.size)
                coming.entry.body = growing.finish()
                if coming.read is not None and not await visit.replies.complete_page(coming.entry):
                    visit.cache.fills.was_not_kept(_group(visit))
                    return False
                return _put(visit, coming.entry)
            growing.add_shown(chunk, values)
            if growing.size > store.largest:
                growing.give_up()
            elif growing.size > reserved:
                if store.reserve(_STEP):
                    reserved += _STEP
                else:
                    growing.give_up()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        growing.fail(error)
    except asyncio.CancelledError:
        growing.fail(ConnectionError("the proxy is stopping"))
        raise
    finally:
        store.release(reserved)
    return False


def _check_whole(upstream: ClientResponse, protocol: object, size: int) -> None:
    """Raise for a body that ended too early: half of it is not kept."""
    length = upstream.content_length
    if length is not None:
        if size != length:
            raise aiohttp.ClientPayloadError(f"{length} bytes were promised, {size} came")
        return
    # aiohttp takes a reset for the end of a body without a length.
    failure = getattr(protocol, "exception", lambda: None)()
    if isinstance(failure, aiohttp.ClientOSError | ConnectionError):
        raise aiohttp.ClientPayloadError("reset while it sent a body without a length")


def _suits(visit: Visit, shared: Stored | Streaming, want: RequestDirectives) -> bool:
    """Whether what another visitor fetched will do for this one."""
    entry = shared.entry
    names = tuple(name for name, _ in entry.selecting)
    if selecting(names, visit.headers) != entry.selecting:
        return False
    if not visit.may_have(entry):
        return False
    if isinstance(shared, Stored) and shared.covers_error:
        return allows_stale_on_error(entry.terms, entry.age(time.time()), want, reached=True) or (
            want == WANTS_NOTHING
        )
    return freshness(entry.terms, entry.age(time.time()), want) is Use.FRESH


async def _reply_shared(visit: Visit, shared: Stored | Streaming) -> web.StreamResponse:
    now = time.time()
    visit.request[CACHE] = "collapsed"
    headers = aged_headers(shared.entry, now)
    if visit.cache.tells:
        headers.add(CACHE_STATUS, cache_status.forwarded(shared.why, collapsed=True))
    if isinstance(shared, Streaming) and not shared.growing.whole:
        return await visit.replies.live(_teed(shared, shared=True), headers, shared.read)
    return await visit.replies.stored(shared.entry, headers, now)


async def _reply(visit: Visit, outcome: Outcome) -> web.StreamResponse:
    """What the one who asked gets."""
    tells = visit.cache.tells
    visit.request[CACHE] = outcome.why
    match outcome:
        case Uncacheable():
            if tells:
                status = outcome.upstream.status
                outcome.headers.add(
                    CACHE_STATUS, cache_status.forwarded(outcome.why, status=status)
                )
            return await visit.replies.live(outcome.upstream, outcome.headers, outcome.read)
        case Streaming():
            headers = CIMultiDict(outcome.headers)
            if tells:
                status = outcome.entry.status
                headers.add(
                    CACHE_STATUS, cache_status.forwarded(outcome.why, status=status, stored=True)
                )
            return await visit.replies.live(_teed(outcome), headers, outcome.read)
        case Stored():
            now = time.time()
            headers = aged_headers(outcome.entry, now)
            if outcome.headers is not None:
                headers = CIMultiDict(outcome.headers)
                headers["Age"] = str(int(outcome.entry.age(now)))
            if tells:
                status_text = cache_status.forwarded(
                    outcome.why, status=outcome.status, stored=outcome.stored
                )
                headers.add(CACHE_STATUS, status_text)
            return await visit.replies.stored(outcome.entry, headers, now)


class _Teed:
    """What `responses.stream` and `upstream.body.read_body` need of an answer, with the body from a
    `SharedBodyReader`.
    """

    __slots__ = (
        "connection", "content", "content_length", "headers", "method", "reason", "status", "url"
    )  # fmt: skip

    def __init__(self, coming: Streaming, *, shared: bool) -> None:
        self.status = coming.upstream.status
        self.reason = coming.upstream.reason
        self.headers = coming.upstream.headers
        self.method = coming.upstream.method
        self.content_length = coming.upstream.content_length
        self.url = coming.upstream.url
        self.content = SharedBodyReader(coming.growing, shared=shared)
        self.connection = None


def _teed(coming: Streaming, *, shared: bool = False) -> ClientResponse:
    return cast(ClientResponse, _Teed(coming, shared=shared))
