"""The reply with a page that is large or slow: gated and sent chunk by chunk.

The first chunk, in which the body has begun, decides the head of the response: charset, language,
<base> and the mark of a patient page. From there on each chunk is sent as it is gated.
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
from proxy.html.chunk_memory import RememberingCompiler
from proxy.html.incremental import CompiledChunk, IncrementalCompiler
from proxy.html.owners import KnownVendor, Owner
from proxy.html.render import render
from proxy.html.text_only import TextOnlyWriter
from proxy.html.turns import SMALL_BYTES, Turns
from proxy.http.access_record import PAGE, PageRecord
from proxy.http.content_coding import CodingError, negotiated
from proxy.http.content_coding_stream import StreamDecoder, StreamEncoder
from proxy.http.media_types import SNIFFED_BYTES, is_other_than_html
from proxy.rendering.injected_markup import (
    OwnMarkup,
    closed_tools,
    declaration_markup,
    own_markup,
)
from proxy.rendering.open_owners import open_owners
from proxy.resolve import set_logged_path, with_audience
from proxy.responses.page import describe_written_page, injection_for, page_reply
from proxy.responses.page_reader import (
    compile_body,
    count_unapproved,
    page_address,
    page_audience,
    record_late_patient_page,
    record_served_page,
    with_page_audience,
)
from proxy.responses.reply import Reply
from proxy.responses.stream import stream
from proxy.runtime import Runtime
from proxy.upstream.body import BodySource, ReadResult
from proxy.upstream.errors import UpstreamError, failure_kind

_STEP = 64 * 1024
"""Bytes that are buffered before they are gated, if they arrive quickly."""
_FLUSH_SECONDS = 0.1
"""After so long the buffer is gated, however small it is."""
_OFF_LOOP = 256 * 1024
"""Bytes. More is compiled in a thread, so that other visitors need not wait for it."""

_log = logging.getLogger("consent_proxy.responses")


class _DecodedBody:
    """The upstream's body without its content codings, as it arrives. `raw` are the coded bytes,
    until `release_raw`; `start` is the beginning of the decoded body.
    """

    def __init__(self, source: BodySource, coding: str, already_read: bytes) -> None:
        self._source = source
        self._decoder = StreamDecoder(coding)
        self._parts: Iterator[bytes] = self._decoder.feed(already_read)
        self.raw: list[bytes] = [already_read]
        self._retains_raw = True
        self.start = b""
        self.at_end = False

    async def next(self, seconds: float | None = None) -> bytes:
        """Some more bytes; b"" at the end (then `at_end` is set) or when none arrived in time.

        Raises the upstream's failure, and CodingError.
        """
        while True:
            for part in self._parts:
                if part:
                    if len(self.start) < SNIFFED_BYTES:
                        self.start += part[:SNIFFED_BYTES]
                    return part
            if self.at_end:
                return b""
            try:
                async with asyncio.timeout(seconds) as clock:
                    chunk = await self._source.readany()
            except TimeoutError:
                if clock.expired():
                    return b""
                raise  # the upstream was silent for too long
            if self._retains_raw:
                self.raw.append(chunk)
            if not chunk:
                self._decoder.end()
                self.at_end = True
            self._parts = self._decoder.feed(chunk)

    def release_raw(self) -> None:
        """Stop retaining the coded bytes."""
        self.raw, self._retains_raw = [], False


class _ChunkReader:
    """The compiled chunks of the page, each as soon as it is complete. `ended` is called behind
    the last one.
    """

    def __init__(
        self,
        decoded_body: _DecodedBody,
        compiler: RememberingCompiler,
        turns: Turns,
        ended: Callable[[], None],
    ) -> None:
        self.decoded_body = decoded_body
        self._compiler = compiler
        self._turns = turns
        self._ended = ended
        self.at_end = False
        """Whether the last chunk was returned."""

    async def next(self) -> CompiledChunk:
        """The next chunk."""
        compiler, loop = self._compiler, asyncio.get_running_loop()
        due = loop.time() + _FLUSH_SECONDS
        while True:
            is_known = compiler.has_known
            if not is_known:
                # The buffer is gated at once when no more bytes arrive soon.
                wait = max(due - loop.time(), 0) if compiler.held else None
                compiler.add(await self.decoded_body.next(wait))
            last = self.decoded_body.at_end
            overdue = loop.time() >= due
            if not (is_known or compiler.held >= _STEP or overdue or last):
                continue
            replays = compiler.replays(last=last, overdue=overdue)
            if compiler.held > _OFF_LOOP and not replays:
                chunk = await self._turns.in_thread(compiler.take, last=last)
            elif compiler.held > SMALL_BYTES:
                # What follows in this turn, to render and to compress it, is counted with it.
                chunk = await self._turns.on_loop(compiler.take, last=last)
            else:
                chunk = compiler.take(last=last)
            if chunk is not None:
                self.at_end = compiler.at_end
                if self.at_end:
                    self._ended()
                return chunk
            due = loop.time() + _FLUSH_SECONDS


class _GatedBody:
    """The visitor's page as a body: a `BodySource`. Its first chunk is buffered."""

    declared_length = None

    def __init__(
        self, page: _ChunkWriter, first: CompiledChunk, reader: _ChunkReader, coding: str
    ) -> None:
        self._page = page
        self._reader = reader
        self._encoder = StreamEncoder(coding)
        self._chunk = self._written(first)

    def _written(self, chunk: CompiledChunk) -> bytes:
        at_end = self._reader.at_end
        coded = self._encoder.chunk(self._page.write(chunk, last=at_end))
        return coded + self._encoder.end() if at_end else coded

    def read_nowait(self) -> bytes:
        chunk, self._chunk = self._chunk, b""
        return chunk

    def at_eof(self) -> bool:
        return self._reader.at_end and not self._chunk

    async def readany(self) -> bytes:
        while not self._chunk and not self._reader.at_end:
            try:
                self._chunk = self._written(await self._reader.next())
            except CodingError as error:
                raise aiohttp.ClientPayloadError(str(error)) from error
        return self.read_nowait()


class _ChunkWriter:
    """Renders the chunks of a page for one visitor, with our own markup. `context` has the audience
    that the chunks so far declare.
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
        self._head_written = False
        self._began_as_patient = context.decision.audience is Audience.PATIENT
        self._open = open_owners(context.decision)
        self.owners: frozenset[Owner] = frozenset()
        self.open = self.closed = 0

    def write(self, chunk: CompiledChunk, *, last: bool) -> bytes:
        """Render a chunk for the visitor; in the order in which they arrive."""
        page = chunk.page
        if self._head_written and not self._began_as_patient:
            page = self._with_late_audience(page)
        if not last:
            # The banner shows with the first of the content, not after the last.
            page = replace(page, foot_at=chunk.body_at)
        foot = self._banner if last or chunk.body_at is not None else b""
        if foot:
            self._banner = b""
        everything = not self.context.decision.enforce
        self.owners |= page.owners
        gates = [gate for gate in page.gates if not gate.is_further]
        closed = 0 if everything else sum(not gate.needs <= self._open for gate in gates)
        self.closed += closed
        self.open += len(gates) - closed
        head = b"" if self._head_written else self._own.head
        self._head_written = True
        return render(
            page,
            self._open,
            everything=everything,
            head=head,
            foot=self._own.link + foot if last else foot,
            declaration=self._declared() if page.declaration_at else b"",
            placeholder=self._placeholder,
        )

    def _with_late_audience(self, page: Page) -> Page:
        """A later chunk may declare that the page is for patients: from there on it is a patient
        page, and the next visitor's is read as a whole first. It may do so by framing a patient
        page: that frame is removed, for the scripts that run already could read it.
        """
        context = self.context
        if page_audience(page, context) is not Audience.PATIENT:
            return page
        if context.decision.audience is not Audience.PATIENT:
            record_late_patient_page(context, self._runtime)
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
    already_read: bytes,
    runtime: Runtime,
) -> Reply[web.StreamResponse]:
    """The reply with a page that is sent as it arrives. `already_read` is the part of it that was
    read.

    Raises UpstreamError where the upstream fails before anything could be sent.
    """
    limit, boundary = runtime.config.proxy.max_page_bytes, runtime.site(context).boundary
    headers = origin.headers
    raw = [already_read]
    try:
        decoded_body = _DecodedBody(
            origin.body, headers.get(hdrs.CONTENT_ENCODING, ""), already_read
        )
        raw = decoded_body.raw
        compiler = IncrementalCompiler(
            headers.get(hdrs.CONTENT_TYPE, ""),
            context.url,
            boundary,
            limit,
            strips=context.decision.enforce,
        )
        address = (*page_address(headers, context), context.decision.enforce)
        remembering = runtime.streamed.compiler(address, compiler)
        reader = _ChunkReader(
            decoded_body,
            remembering,
            runtime.turns,
            lambda: runtime.streamed.keep(address, remembering),
        )
        first = await reader.next()
        if is_other_than_html(headers, decoded_body.start):
            page = PreparedPage(ReadResult(b"".join(raw), "too_large"), is_html=False)
            return page_reply(request, context, origin, page, runtime)
    except (CodingError, UndecodableError) as error:
        page = PreparedPage(ReadResult(b"".join(raw), "too_large"), why=str(error))
        return page_reply(request, context, origin, page, runtime)
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError among them
        late = isinstance(error, TimeoutError)
        what = f"{origin.upstream_name} broke the connection ({failure_kind(error)})"
        raise UpstreamError(504 if late else 502, what) from error
    if reader.at_end and len(first.page.body) <= limit:
        body = b"".join(raw)
        whole = CompiledPage(await compile_body(body, headers, context, runtime), boundary)
        page = PreparedPage(ReadResult(body, "whole"), whole)
        return page_reply(request, context, origin, page, runtime)
    decoded_body.release_raw()
    raw = []
    context = with_page_audience(first.page, context, runtime)
    return _reply(request, context, origin, first, reader, runtime)


def _reply(
    request: web.BaseRequest,
    context: RequestContext,
    origin: OriginResponse,
    first: CompiledChunk,
    reader: _ChunkReader,
    runtime: Runtime,
) -> Reply[web.StreamResponse]:
    own, declared = _markup(request, first.page, context, runtime)
    writer = _ChunkWriter(context, runtime, own, declared)

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        describe_written_page(headers, first.page)
        coding = negotiated(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        if coding:
            headers[hdrs.CONTENT_ENCODING] = coding
        body = _GatedBody(writer, first, reader, coding)
        try:
            return await stream(request, origin, headers, body, timeouts=runtime.timeouts)
        finally:
            record_served_page(origin.status, writer.context, runtime)
            set_logged_path(request, writer.context)
            count_unapproved(writer.owners, writer.context, runtime)
            audience = str(writer.context.decision.audience)
            request[PAGE] = PageRecord(audience, bool(own.banner), writer.open, writer.closed)

    kind = ResponseKind.UNGATED_PAGE if first.stripped else ResponseKind.PAGE
    return Reply(kind, context, send, own.assets)


def _markup(
    request: web.BaseRequest, first: Page, context: RequestContext, runtime: Runtime
) -> tuple[OwnMarkup, Callable[[], bytes]]:
    """Our own markup for a page of which only the beginning is known, so for all vendors that the
    site has a tag for; and a function that renders the cookie declaration, if the page has one.
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
        tools=(
            closed_tools(likely, decision, runtime.rules.vendors)
            if decision.enforce
            else frozenset()
        ),
    )

    def declared() -> bytes:
        if not injection.visible:
            return b""
        return declaration_markup(site, runtime.config, texts, injection)

    return own, declared
