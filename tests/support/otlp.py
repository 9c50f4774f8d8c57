"""A collector of spans on this machine: OTLP over HTTP, as OpenTelemetry's own takes it."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Received:
    """One span. Ids are hexadecimal, "" for no parent; `kind` is "SERVER" or "CLIENT"."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    service: str
    is_error: bool
    attributes: dict[str, Any]


@dataclass
class Collector:
    """`status` is what it answers with; it answers once `goes_on` is set."""

    endpoint: str = ""
    status: int = 200
    spans: list[Received] = field(default_factory=list)
    raw: bytes = b""
    asked: int = 0
    goes_on: threading.Event = field(default_factory=threading.Event)

    def of(self, kind: str) -> list[Received]:
        return [span for span in self.spans if span.kind == kind]


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _spans(body: bytes) -> Iterator[Received]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        named = {one.key: _value(one.value) for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    span.name,
                    span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    named["service.name"],
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    {one.key: _value(one.value) for one in span.attributes},
                )


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    """Take spans, for the block."""
    found = Collector()
    found.goes_on.set()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.asked += 1
            found.goes_on.wait(PATIENCE)
            if found.status == 200:
                found.raw += body
                found.spans += _spans(body)
            with contextlib.suppress(OSError):
                self.send_response(found.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    found.endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
