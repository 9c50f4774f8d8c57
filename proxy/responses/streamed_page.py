"""The reply with a page that is large or slow: gated and sent chunk by chunk.

The head of the answer is decided by the first piece, in which the body has begun: charset,
language, <base> and the mark of a patient page. From there on each piece is sent as it is gated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict

from consent_rules.categories import Audience
from proxy.banner.declaration import vendors_on
from proxy.cache import OriginResponse, PreparedPage
from proxy.cache.store import CompiledPage
from proxy.context import RequestContext
from proxy.enforcement.response_filter import ResponseKind
from proxy.html import Page, UndecodableError
from proxy.html.incremental import CompiledChunk, IncrementalCompiler
from proxy.html.owners import KnownVendor, Owner
from proxy.html.render import render
from proxy.html.text_only import TextOnlyWriter
from proxy.http.access_record import PAGE, PageRecord
from proxy.http.content_coding import CodingError, negotiated
from proxy.http.content_coding_stream import StreamDecoder, StreamEncoder
from proxy.http.media_types import SNIFFED_BYTES, is_other_than_html
from proxy.rendering.injected_markup import OwnMarkup, declaration_markup, own_markup
from proxy.rendering.open_owners import open_owners
from proxy.resolve import note_logged_path, with_audience
from proxy.responses.page import describe_written_page, injection_for, page_reply
from proxy.responses.page_reader import (
    heed_page,
    note_served,
    note_unapproved,
    page_audience,
    page_of,
    remember_late,
)
from proxy.responses.reply import Reply
from proxy.responses.stream import stream
from proxy.runtime import Runtime
from proxy.upstream.body import BodySource, ReadResult
from proxy.upstream.errors import UpstreamError, failure_kind

_STEP = 64 * 1024
"""Bytes that are gathered before they are gated, if they come quickly."""
_FLUSH_SECONDS = 0.1
"""After so long what has come is gated, however little it is."""
_OFF_LOOP = 256 * 1024
"""Bytes. More is compiled in a thread, so that other visitors need not wait for it."""

_log = logging.getLogger("consent_proxy.responses")


class _Inflow:
    """The upstream's body without its codings, as it comes. `raw` is what came, until it is let go;
    `start` how the body begins.
    """

    def __init__(self, source: BodySource, coding: str, already: bytes) -> None:
        self._source = source
        self._undo = StreamDecoder(coding)
        self._parts: Iterator[bytes] = self._undo.feed(already)
        self.raw: list[bytes] = [already]
        self._keeps_raw = True
        self.start = b""
        self.over = False

    async def next(self, seconds: float | None = None) -> bytes:
        """Some more bytes; b"" at the end (then it is `over`) or when none came in time.

        Raises what the upstream's failure raises, and CodingError.
        """
        while True:
            for part in self._parts:
                if part:
                    if len(self.start) < SNIFFED_BYTES:
                        self.start += part[:SNIFFED_BYTES]
                    return part
            if self.over:
                return b""
            try:
                async with asyncio.timeout(seconds) as clock:
                    chunk = await self._source.readany()
            except TimeoutError:
                if clock.expired():
                    return b""
                raise  # the upstream was silent for too long
            if self._keeps_raw:
                self.raw.append(chunk)
            if not chunk:
                self._undo.end()
                self.over = True
            self._parts = self._undo.feed(chunk)

    def let_go(self) -> None:
        """Collect what comes no longer."""
        self.raw, self._keeps_raw = [], False

    def ended_by_reset(self) -> bool:
        return self._source.ended_by_reset()


class _Flow:
    """The page in pieces, each as soon as it can be told."""

    def __init__(self, inflow: _Inflow, pieces: IncrementalCompiler) -> None:
        self.inflow = inflow
        self._pieces = pieces
        self.is_over = False
        """Whether the last piece is out."""

    async def next(self) -> CompiledChunk:
        """The next piece."""
        pieces, loop = self._pieces, asyncio.get_running_loop()
        due = loop.time() + _FLUSH_SECONDS
        while True:
            # What is here already is gated at once when there is nothing more to be had soon.
            data = await self.inflow.next(max(due - loop.time(), 0) if pieces.held else None)
            pieces.add(data)
            last = self.inflow.over
            gathers = pieces.held < _STEP and loop.time() < due
            if gathers and not last:
                continue
            if pieces.held > _OFF_LOOP:
                piece = await asyncio.to_thread(pieces.take, last=last)
            else:
                piece = pieces.take(last=last)
            if piece is not None:
                self.is_over = last
                return piece
            due = loop.time() + _FLUSH_SECONDS


class _Gated:
    """The visitor's page as a body: a `BodySource`. Its first chunk is here."""

    declared_length = None

    def __init__(self, page: _Page, first: CompiledChunk, flow: _Flow, coding: str) -> None:
        self._page = page
        self._flow = flow
        self._do = StreamEncoder(coding)
        self._chunk = self._written(first)

    def _written(self, piece: CompiledChunk) -> bytes:
        over = self._flow.is_over
        chunk = self._do.chunk(self._page.write(piece, last=over))
        return chunk + self._do.end() if over else chunk

    def read_nowait(self) -> bytes:
        chunk, self._chunk = self._chunk, b""
        return chunk

    def at_eof(self) -> bool:
        return self._flow.is_over and not self._chunk

    async def readany(self) -> bytes:
        while not self._chunk and not self._flow.is_over:
            try:
                self._chunk = self._written(await self._flow.next())
            except CodingError as error:
                raise aiohttp.ClientPayloadError(str(error)) from error
        return self.read_nowait()

    def ended_by_reset(self) -> bool:
        return self._flow.inflow.ended_by_reset()


class _Page:
    """What one visitor may see of a page, and our own markup in it. `context` is the one by all
    that has come.
    """

    def __init__(
        self,
        context: RequestContext,
        runtime: Runtime,
        own: OwnMarkup,
        declared: Callable[[], bytes],
    ) -> None:
        self.context = context
        self._runtime = runtime
        self._declared = declared
        self._own = own
        self._banner = own.banner
        self._placeholder = own.placeholder
        self._begun = False
        self._was_patients = context.decision.audience is Audience.PATIENT
        self._open = open_owners(context.decision)
        self.owners: frozenset[Owner] = frozenset()
        self.open = self.closed = 0

    def write(self, piece: CompiledChunk, *, last: bool) -> bytes:
        """A piece as the visitor may see it; in the order in which they come."""
        page = piece.page
        if self._begun and not self._was_patients:
            page = self._as_late_marked(page)
        if not last:
            # The banner is to be seen with the first of the content, not after the last.
            page = replace(page, foot_at=piece.body_at)
        foot = self._banner if last or piece.body_at is not None else b""
        if foot:
            self._banner = b""
        everything = not self.context.decision.enforce
        self.owners |= page.owners
        closed = 0 if everything else sum(not gate.needs <= self._open for gate in page.gates)
        self.closed += closed
        self.open += len(page.gates) - closed
        head = b"" if self._begun else self._own.head
        self._begun = True
        return render(
            page,
            self._open,
            everything=everything,
            head=head,
            foot=self._own.link + foot if last else foot,
            declaration=self._declared() if page.declaration_at else b"",
            placeholder=self._placeholder,
        )

    def _as_late_marked(self, page: Page) -> Page:
        """A later piece may say that the page is a patient's: from there on it is one, and the next
        visitor's is read as a whole first. It may do so by showing a patient page in a frame: that
        one is left out, for the scripts that run already could read it.
        """
        context = self.context
        if page_audience(page, context) is not Audience.PATIENT:
            return page
        if context.decision.audience is not Audience.PATIENT:
            remember_late(context, self._runtime)
            context = self.context = with_audience(context, Audience.PATIENT, self._runtime)
            self._open = open_owners(context.decision)
            self._placeholder = None
            _log.warning(
                "%s%s was marked as a patient page only after it had begun to be sent: mark it by "
                "the header X-Page-Audience, or in the <head>",
                context.site.name, context.logged_path,
            )  # fmt: skip
        if not page.frames:
            return page
        boundary = self._runtime.site(context).boundary
        bare = TextOnlyWriter(lambda url: boundary.owner(url, context.url) is None)
        return replace(
            page,
            body=bare.feed(page.body, last=True),
            gates=(),
            foot_at=None,
            declaration_at=(),
        )


async def streamed_page(
    request: web.BaseRequest,
    context: RequestContext,
    origin: OriginResponse,
    already: bytes,
    runtime: Runtime,
) -> Reply[web.StreamResponse]:
    """The reply with a page that is sent while it comes. `already` is what was read of it.

    Raises UpstreamError where the upstream fails before anything could be sent.
    """
    limit, boundary = runtime.config.proxy.max_page_bytes, runtime.site(context).boundary
    headers = origin.headers
    raw = [already]
    try:
        inflow = _Inflow(origin.body, headers.get(hdrs.CONTENT_ENCODING, ""), already)
        raw = inflow.raw
        pieces = IncrementalCompiler(
            headers.get(hdrs.CONTENT_TYPE, ""),
            context.url,
            boundary,
            limit,
            strips=context.decision.enforce,
        )
        flow = _Flow(inflow, pieces)
        first = await flow.next()
        if is_other_than_html(headers, inflow.start):
            page = PreparedPage(ReadResult(b"".join(raw), "too_large"), is_html=False)
            return page_reply(request, context, origin, page, runtime)
    except (CodingError, UndecodableError) as error:
        page = PreparedPage(ReadResult(b"".join(raw), "too_large"), why=str(error))
        return page_reply(request, context, origin, page, runtime)
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError among them
        late = isinstance(error, TimeoutError)
        what = f"{origin.upstream_origin} broke off ({failure_kind(error)})"
        raise UpstreamError(504 if late else 502, what) from error
    if flow.is_over and len(first.page.body) <= limit:
        body = b"".join(raw)
        whole = CompiledPage(await page_of(body, headers, context, runtime), boundary)
        page = PreparedPage(ReadResult(body, "whole"), whole)
        return page_reply(request, context, origin, page, runtime)
    inflow.let_go()
    raw = []
    context = heed_page(first.page, context, runtime)
    return _reply(request, context, origin, first, flow, runtime)


def _reply(
    request: web.BaseRequest,
    context: RequestContext,
    origin: OriginResponse,
    first: CompiledChunk,
    flow: _Flow,
    runtime: Runtime,
) -> Reply[web.StreamResponse]:
    own, declared = _markup(request, first.page, context, runtime)
    shown = _Page(context, runtime, own, declared)

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        describe_written_page(headers, first.page)
        coding = negotiated(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        if coding:
            headers[hdrs.CONTENT_ENCODING] = coding
        body = _Gated(shown, first, flow, coding)
        try:
            return await stream(request, origin, headers, body, timeouts=runtime.timeouts)
        finally:
            note_served(origin.status, shown.context, runtime)
            note_logged_path(request, shown.context)
            note_unapproved(shown.owners, shown.context, runtime)
            audience = str(shown.context.decision.audience)
            request[PAGE] = PageRecord(audience, bool(own.banner), shown.open, shown.closed)

    kind = ResponseKind.UNGATED_PAGE if first.stripped else ResponseKind.PAGE
    return Reply(kind, context, send, own.assets)


def _markup(
    request: web.BaseRequest, first: Page, context: RequestContext, runtime: Runtime
) -> tuple[OwnMarkup, Callable[[], bytes]]:
    """Our own markup for a page of which only the beginning is known: whatever the site has a tag
    for may be on the rest of it. And what makes the cookie declaration, should the page ask for it.
    """
    site, decision = context.site, context.decision
    texts = runtime.wording.texts_for(first.language, request.headers.get("Accept-Language", ""))
    injection = replace(
        injection_for(request, first, context, runtime),
        origin=f"//{context.authority}",  # a <base> may still come
        declared=vendors_on(site, context.page_context.today),
    )
    likely = replace(
        first, owners=first.owners.union(KnownVendor(vendor.id) for vendor in site.listed)
    )
    own = own_markup(
        likely,
        site,
        runtime.rules,
        runtime.config,
        runtime.theme,
        decision,
        texts,
        injection,
        context.target if decision.audience is Audience.PATIENT else "",
        placeholders=True,
    )

    def declared() -> bytes:
        if not injection.visible:
            return b""
        return declaration_markup(site, runtime.config, texts, injection)

    return own, declared
