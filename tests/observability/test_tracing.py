"""Spans of requests and of attempts at upstreams: what they hold, whose child they are, and that no
collector's fault is a visitor's.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from consent_rules.config.models import TracingTable
from proxy.http.handler import Handler
from proxy.observability import tracing
from proxy.observability.tracing import Tracing
from proxy.server.connection import FinishedLookup
from tests.support.commands import run
from tests.support.forwarding import Visit
from tests.support.one_connection import connected
from tests.support.otlp import Collector, collector
from tests.support.ports import free_ports
from tests.support.processes import ROOT, ask, running
from tests.support.site import PAGE, Proxied, config_text, proxied, reply
from tests.support.waiting import PATIENCE

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"traceparent: 00-{TRACE}-{SPAN}-01"
PAGES = {
    "page": reply(PAGE),
    "file": reply(b"p{}", "Content-Type: text/css", "Cache-Control: public, max-age=600",
                  html=False),
    "patients/jane-doe": reply(PAGE),
    "missing": reply(b"no", status="404 Not Found"),
    "broken": b"nonsense\r\n\r\n",
}  # fmt: skip


@pytest.fixture
def taken() -> Iterator[Collector]:
    with collector() as found:
        yield found


@contextlib.asynccontextmanager
async def traced(
    folder: Path,
    settings: TracingTable,
    *,
    trusted: str = "127.0.0.1/32",
    upstream: str = "",
    end: float = PATIENCE,
) -> AsyncIterator[Proxied]:
    """A proxy with spans. What it made of them is sent when the block is left."""
    made: list[Tracing] = []
    site: list[Proxied] = []

    def wrap(handler: Handler, lookup: FinishedLookup) -> tuple[Handler, FinishedLookup]:
        made.append(Tracing(settings, "1", lambda: site[0].running.trusted))
        return made[0].handler(handler), made[0].lookup(lookup)

    def change(text: str) -> str:
        text = text.replace("127.0.0.1/32", trusted)
        if upstream:
            first = next(line for line in text.splitlines() if line.startswith("upstream ="))
            own = first.partition("= ")[2]
            text = text.replace(first, f'upstream = ["{upstream}", {own}]\nbalance = "round_robin"')
        return text

    async with proxied(folder, PAGES, change=change, wrap=wrap) as found:
        site.append(found)
        yield found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "_END_SECONDS", end)
        await made[0].close()


async def test_a_request_and_its_attempt(tmp_path: Path, taken: Collector) -> None:
    settings = TracingTable(endpoint=taken.endpoint, service_name="front")
    async with traced(tmp_path, settings) as site:
        got = await site.ask("/page?q=1", PARENT, "tracestate: a=1")
        (parent,) = site.asked[-1].values(b"traceparent")
        assert site.asked[-1].values(b"tracestate") == [b"a=1"]
    (server,), (client,) = taken.of("SERVER"), taken.of("CLIENT")
    assert (server.trace, server.parent) == (TRACE, SPAN)
    assert (client.trace, client.parent) == (TRACE, server.id)
    assert parent.decode() == f"00-{TRACE}-{client.id}-01"
    assert server.service == "front"
    assert server.name == client.name == "GET"
    assert server.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.path": "/page",
        "consent_proxy.site": "www",
        "consent_proxy.cache": server.attributes["consent_proxy.cache"],
        "consent_proxy.request_id": got.one("X-Request-Id"),
    }
    assert client.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": client.attributes["server.port"],
    }
    assert not server.is_error
    assert not client.is_error


@pytest.mark.parametrize(
    ("method", "name", "attribute", "original"),
    [
        ("GET", "GET", "GET", None),
        ("POST", "POST", "POST", None),
        ("PATCH", "PATCH", "PATCH", None),
        ("PROPFIND", "HTTP", "_OTHER", "PROPFIND"),
        ("PURGE", "HTTP", "_OTHER", "PURGE"),
    ],
)
async def test_methods(
    method: str, name: str, attribute: str, original: str | None, tmp_path: Path, taken: Collector
) -> None:
    """Methods that the conventions do not know make no names of spans of their own."""
    async with traced(tmp_path, TracingTable(endpoint=taken.endpoint)) as site:
        await site.ask("/page", method=method)
    (server,), (client,) = taken.of("SERVER"), taken.of("CLIENT")
    for span in (server, client):
        assert span.name == name
        assert span.attributes["http.request.method"] == attribute
        assert span.attributes.get("http.request.method_original") == original


@pytest.mark.parametrize(
    ("path", "status", "server_fails", "client_fails"),
    [("/missing", 404, False, True), ("/broken", 502, True, True), ("/.consent/state", 200, False,
      None)],
)  # fmt: skip
async def test_outcomes(
    path: str,
    status: int,
    server_fails: bool,
    client_fails: bool | None,
    tmp_path: Path,
    taken: Collector,
) -> None:
    async with traced(tmp_path, TracingTable(endpoint=taken.endpoint)) as site:
        assert (await site.ask(path)).status == status
    (server,) = taken.of("SERVER")
    assert server.attributes["http.response.status_code"] == status
    assert server.is_error is server_fails
    assert [one.is_error for one in taken.of("CLIENT")] == (
        [] if client_fails is None else [client_fails]
    )
    assert server.parent == ""


async def test_each_server_that_was_asked(tmp_path: Path, taken: Collector) -> None:
    """The first one refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings = TracingTable(endpoint=taken.endpoint)
    async with traced(tmp_path, settings, upstream=f"http://127.0.0.1:{port}") as site:
        for _ in range(2):  # one of them begins with it
            assert (await site.ask("/page")).status == 200
    (refused,) = (one for one in taken.of("CLIENT") if one.is_error)
    assert refused.attributes["server.port"] == port
    assert refused.attributes["error.type"].startswith("ClientConnector")
    (again,) = (one for one in taken.of("CLIENT") if one.parent == refused.parent
                and one is not refused)  # fmt: skip
    assert again.attributes["http.request.resend_count"] == 1


async def test_a_finished_response_has_one_too(tmp_path: Path, taken: Collector) -> None:
    async with (
        traced(tmp_path, TracingTable(endpoint=taken.endpoint)) as site,
        connected(site) as visitor,
    ):
        for _ in range(3):
            await visitor.ask("/file", PARENT)
        assert len(site.asked) == 1
    assert [one.attributes["consent_proxy.cache"] for one in taken.of("SERVER")][1:] == ["hit"] * 2
    assert {one.attributes["url.path"] for one in taken.of("SERVER")} == {"/file"}
    assert {one.parent for one in taken.of("SERVER")} == {SPAN}


async def test_they_hold_nothing_of_a_visitor(tmp_path: Path, taken: Collector) -> None:
    async with traced(tmp_path, TracingTable(endpoint=taken.endpoint)) as site:
        for host in ("www.example.com", "of-no-site.example"):
            await site.ask("/patients/jane-doe?canary", "Cookie: canary=1", "Referer: /canary",
                           "User-Agent: canary", "X-Forwarded-For: 198.51.100.7",
                           "X-Request-Id: ok", host=host)  # fmt: skip
    assert len(taken.of("SERVER")) == 2
    for found in (b"canary", b"jane", b"198.51", b"no-site"):
        assert found not in taken.raw
    paths = [one.attributes.get("url.path") for one in taken.of("SERVER")]
    assert sorted(paths, key=str) == ["/patients/*", None]


@pytest.mark.parametrize(
    ("trusted", "sent", "sample", "is_child", "made"),
    [
        ("127.0.0.1/32", "01", 0.0, True, 2),
        ("127.0.0.1/32", "00", 1.0, True, 0),
        ("127.0.0.1/32", "", 0.0, False, 0),
        ("192.0.2.0/24", "01", 0.0, False, 0),
        ("192.0.2.0/24", "00", 1.0, False, 2),
    ],
)
async def test_who_decides_what_is_sampled(
    trusted: str,
    sent: str,
    sample: float,
    is_child: bool,
    made: int,
    tmp_path: Path,
    taken: Collector,
) -> None:
    """The proxy in front, or the config; no stranger, whose trace ends here."""
    settings = TracingTable(endpoint=taken.endpoint, sample=sample)
    given = [PARENT[:-2] + sent, "tracestate: a=1"] if sent else []
    async with traced(tmp_path, settings, trusted=trusted) as site:
        await site.ask("/page", *given)
        (parent,) = site.asked[-1].values(b"traceparent")
        assert site.asked[-1].values(b"tracestate") == ([b"a=1"] if is_child else [])
    assert (parent.decode().split("-")[1] == TRACE) is is_child
    assert int(parent[-2:], 16) & 1 == bool(made)
    assert SPAN not in parent.decode()
    assert len(taken.spans) == made


async def test_a_page_with_the_trace_in_it_is_nobody_elses(
    tmp_path: Path, taken: Collector
) -> None:
    """As sites write it for scripts that measure: a stored one would join all visitors' traces."""
    async with traced(tmp_path, TracingTable(endpoint=taken.endpoint)) as site:

        async def reflecting(visit: Visit) -> None:
            (parent,) = site.asked[-1].values(b"traceparent")
            page = PAGE.replace(
                b"<title>", b'<meta name="traceparent" content="%b"><title>' % parent
            )
            await visit.send(reply(page, "Cache-Control: max-age=600"))

        site.pages["/page"] = reflecting
        first, second = [await site.ask("/page") for _ in range(2)]
    assert len(site.asked) == 2
    assert first.text != second.text


@pytest.mark.parametrize("fault", ["refuses", "fails", "hangs"])
async def test_a_collectors_fault_is_no_visitors(
    fault: str, tmp_path: Path, taken: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    endpoint = taken.endpoint
    if fault == "refuses":
        endpoint = f"http://127.0.0.1:{free_ports(1)[0]}/v1/traces"
    taken.status = 503
    if fault == "hangs":
        taken.goes_on.clear()
    async with traced(tmp_path, TracingTable(endpoint=endpoint), end=0.5) as site:
        while fault != "refuses" and not taken.asked:
            await site.ask("/page")
        for _ in range(20):
            assert (await site.ask("/page")).status == 200
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
    assert taken.spans == []


def test_without_them_nothing_is_loaded() -> None:
    code = "import sys, proxy.service; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_start_without_the_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(config_text(9, more='[tracing]\nendpoint = "http://127.0.0.1:9/v1/traces"\n'))
    assert run("run", "--check", "--config", config).exit_code == 0
    for name in [one for one in sys.modules if one == tracing.__name__]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("proxy.observability.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    done = run("run", "--check", "--config", config)
    assert done.exit_code == 1
    assert "pip install 'consent-proxy[otel]'" in done.output


@pytest.mark.parametrize(
    "endpoint",
    ["127.0.0.1:4318", "grpc://c:4317/x", "http://c:4318", "http://u:p@c/v1/traces", "http://c/?a"],
)
def test_addresses_of_no_collector(endpoint: str, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(config_text(9, more=f'[tracing]\nendpoint = "{endpoint}"\n'))
    done = run("check", config)
    assert done.exit_code == 1
    assert "is no address of a collector" in done.output


@pytest.mark.slow
def test_the_whole_process(tmp_path: Path, taken: Collector) -> None:
    """Each worker has its own; what is left is sent at the end, and a change takes a restart."""
    more = f'[tracing]\nendpoint = "{taken.endpoint}"\n'
    with running(tmp_path, 2, more=more) as (process, config, text, port):
        status, _, _ = ask(port, "/last")
        assert status == 200
        config.write_text(text.replace(more, ""))
        process.wait_for("after a restart only: [tracing]", 2)
        assert process.stop() == 0
        assert process.errors == ""
        assert "Traceback" not in process.log
    assert "/last" in [one.attributes["url.path"] for one in taken.of("SERVER")]
    assert {one.service for one in taken.spans} == {"consent-proxy"}


@pytest.mark.slow
def test_an_end_waits_for_no_collector(tmp_path: Path, taken: Collector) -> None:
    taken.goes_on.clear()
    more = f'[tracing]\nendpoint = "{taken.endpoint}"\n'
    with running(tmp_path, 1, more=more) as (process, _, _, port):
        for _ in range(5):
            assert ask(port)[0] == 200
        assert process.stop() == 0
        assert "killed" not in process.log
