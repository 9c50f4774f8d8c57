"""OpenTelemetry spans of requests and of their attempts at upstreams, sent as OTLP over HTTP.

Imported only where the config asks for it: the packages are those of `consent-proxy[otel]`. A
thread of the SDK's sends what has ended, in batches from a bounded queue: a collector that is slow,
away or at fault costs spans, and no request. Spans hold what the access log does, and as little:
no query, no address, no cookie, no header field, and of a patient page the rule that names it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aiohttp import web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from yarl import URL

from consent_rules.config.models import TracingTable
from proxy.cache.fast_path import FastPathHit
from proxy.http.access_record import CACHE, LOGGED_PATH, REQUEST_ID, SITE
from proxy.http.addresses import Network, address_is_trusted
from proxy.http.handler import Handler
from proxy.http.request_id import TRACEPARENT, TRACESTATE, remove_bad_trace_context
from proxy.http.request_trace import TRACE
from proxy.http.targets import split_target
from proxy.observability.access_log import without_query

Lookup = Callable[[RawRequestMessage, str, bool, float], FastPathHit | None]
"""Of finished responses: see `proxy.server.connection.FastPathLookup`."""

_EXPORT_SECONDS = 5.0
_END_SECONDS = 0.5
"""What is left to send at the end of a worker has so long."""
_LOG_SECONDS = 60.0
_NOWHERE = Context()
_FLAGS = 0b11
"""Those of version 00: sampled, and that the trace's id is random (Level 2)."""
_CLOSED_BY_VISITOR = 499
_KNOWN_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
"""Those of OpenTelemetry's conventions: RFC 9110 and RFC 5789. Case matters."""


class _SeldomLogged(logging.Filter):
    """A message of the SDK's each minute: an exporter that fails says so every few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _LOG_SECONDS
        return True


class Tracing:
    """The spans of one worker. `trusted` gives the proxies whose trace context counts."""

    def __init__(
        self, settings: TracingTable, version: str, trusted: Callable[[], Sequence[Network]]
    ) -> None:
        seldom = _SeldomLogged()
        for handler in logging.getLogger().handlers:
            handler.addFilter(lambda one: not _is_of_sdk(one) or seldom.filter(one))
        self._trusted = trusted
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample)),
            resource=Resource.create(
                {
                    "service.name": settings.service_name,
                    "service.version": version,
                    "process.pid": os.getpid(),
                }
            ),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(settings.endpoint, timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("consent_proxy", version)

    def handler(self, handler: Handler) -> Handler:
        """A handler whose requests have spans."""

        async def traced(request: web.BaseRequest) -> web.StreamResponse:
            parent, state = self._parent(request.headers, request.remote or "")
            span = self._tracer.start_span(_name(request.method), parent, SpanKind.SERVER)
            request[TRACE] = _Trace(self._tracer, span, state)
            status = 500
            try:
                response = await handler(request)
                status = response.status
            except asyncio.CancelledError:
                status = _CLOSED_BY_VISITOR
                raise
            finally:
                del request[TRACE]  # an idle connection still has its last request
                if span.is_recording():
                    _describe(
                        span,
                        request.method,
                        request.raw_path,
                        status,
                        site=request.get(SITE, ""),
                        logged_path=request.get(LOGGED_PATH, ""),
                        cache=request.get(CACHE, ""),
                    )
                    span.set_attribute("consent_proxy.request_id", request.get(REQUEST_ID, ""))
                span.end()
            return response

        return traced

    def lookup(self, lookup: Lookup) -> Lookup:
        """A lookup of finished responses that makes a span of each that is found."""

        def traced(
            message: RawRequestMessage, peer: str, secure: bool, now: float
        ) -> FastPathHit | None:
            hit = lookup(message, peer, secure, now)
            if hit is None:
                return None
            parent, _ = self._parent(message.headers, peer)
            span = self._tracer.start_span(_name(message.method), parent, SpanKind.SERVER)
            if span.is_recording():
                found = hit[0]
                _describe(
                    span,
                    message.method,
                    message.path,
                    found.status,
                    site=found.site,
                    logged_path=found.logged_path,
                    cache="hit",
                )
            span.end()
            return hit

        return traced

    async def close(self) -> None:
        """Send what is left, within a bound."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _END_SECONDS)

    def _parent(self, headers: CIMultiDictProxy[str], peer: str) -> tuple[Context, str]:
        """The trace that a trusted peer began, and its `tracestate`. A stranger's is left: it would
        choose what is sampled, and which trace it is a part of.
        """
        if TRACEPARENT not in headers or not address_is_trusted(peer, tuple(self._trusted())):
            return _NOWHERE, ""
        given = CIMultiDict(
            (name, value)
            for name in (TRACEPARENT, TRACESTATE)
            for value in headers.getall(name, ())
        )
        remove_bad_trace_context(given)
        if TRACEPARENT not in given:
            return _NOWHERE, ""
        _, trace_id, span_id, flags = given[TRACEPARENT].split("-")[:4]
        state = given.get(TRACESTATE, "")
        context = SpanContext(
            int(trace_id, 16),
            int(span_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(int(flags, 16) & _FLAGS),
            trace_state=TraceState.from_header([state]) if state else None,
        )
        return set_span_in_context(NonRecordingSpan(context), _NOWHERE), state


def _is_of_sdk(record: logging.LogRecord) -> bool:
    return record.name.startswith("opentelemetry.")


class _Trace:
    """A request's span, as `proxy.http.request_trace.RequestTrace`."""

    __slots__ = ("_attempts", "_span", "_state", "_tracer")

    def __init__(self, tracer: Tracer, span: Span, state: str) -> None:
        self._tracer, self._span, self._state = tracer, span, state
        self._attempts = 0

    def write(self, headers: CIMultiDict[str]) -> None:
        _write(self._span.get_span_context(), headers)
        headers.popall(TRACESTATE, None)
        if self._state:
            headers[TRACESTATE] = self._state

    @contextmanager
    def attempt(self, method: str, server: URL) -> Iterator[_Attempt]:
        context = set_span_in_context(self._span, _NOWHERE)
        span = self._tracer.start_span(_name(method), context, SpanKind.CLIENT)
        if span.is_recording():
            _set_method(span, method)
            span.set_attribute("server.address", server.host or "")
            if server.port is not None:
                span.set_attribute("server.port", server.port)
            if self._attempts:
                span.set_attribute("http.request.resend_count", self._attempts)
        self._attempts += 1
        try:
            yield _Attempt(span)
        except BaseException as error:
            _fail(span, type(error.__cause__ or error).__name__)
            raise
        finally:
            span.end()


class _Attempt:
    """An attempt's span, as `proxy.http.request_trace.Attempt`."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def write(self, headers: CIMultiDict[str]) -> None:
        _write(self._span.get_span_context(), headers)

    def answered(self, status: int) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:  # of a client's span; of a server's only from 500 on
            _fail(self._span, str(status))


def _write(context: SpanContext, headers: CIMultiDict[str]) -> None:
    headers[TRACEPARENT] = (
        f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    )


def _name(method: str) -> str:
    """A span's name: one of few, whatever methods visitors come up with."""
    return method if method in _KNOWN_METHODS else "HTTP"


def _set_method(span: Span, method: str) -> None:
    if method in _KNOWN_METHODS:
        span.set_attribute("http.request.method", method)
    else:
        span.set_attribute("http.request.method", "_OTHER")
        span.set_attribute("http.request.method_original", method)


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _describe(
    span: Span, method: str, target: str, status: int, *, site: str, logged_path: str, cache: str
) -> None:
    """The attributes of OpenTelemetry's conventions for HTTP, and our own."""
    _set_method(span, method)
    span.set_attribute("http.response.status_code", status)
    if site:  # what is asked of no site is not known to be harmless
        span.set_attribute("url.path", logged_path or without_query(split_target(target).path))
        span.set_attribute("consent_proxy.site", site)
    if cache:
        span.set_attribute("consent_proxy.cache", cache)
    if status >= 500 or status == _CLOSED_BY_VISITOR:
        _fail(span, str(status))
