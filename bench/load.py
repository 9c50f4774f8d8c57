"""Load from wrk, and one request by hand to see that a reply is what it should be."""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.processes import Server, cpu_seconds, memory

Workload = Literal["html", "changed", "static", "choice"]
"""What may be compared: a page that stays, one that is new each time, a file, a choice."""

# wrk's own table rounds and changes units; its script hook gives the figures. Latency is in µs.
_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n@@{"requests":%d,"bytes":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"errors":%d}\\n',
    summary.requests, summary.bytes, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


# A new URL with each request.
_NEW_URLS = """
local number = %d
request = function()
  number = number + 1
  return wrk.format(nil, "%s?" .. number)
end
"""


class NoAnswerError(Exception):
    """A server took requests and answered none in the time there was."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: bytes
    """The body with gzip undone."""


@dataclass(frozen=True, slots=True)
class Load:
    """How hard wrk pulls; connections are kept alive."""

    seconds: int
    connections: int
    warm_up_seconds: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is sent in a loop. `kind` says which measurements may be compared; with
    `new_urls` each has another URL. With a `body` it is a POST.
    """

    kind: Workload
    case: str
    path: str
    headers: Mapping[str, str]
    new_urls: bool = False
    body: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One server under one request. Times in the unit that the name ends with."""

    kind: Workload
    case: str
    server: str
    cpu_us_per_request: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    bytes_per_reply: int
    requests: int
    errors: int
    connections: int
    rss_kb: int
    pss_kb: int


def program() -> str | None:
    return shutil.which("wrk")


def fetch(server: Server, request: Request) -> Reply:
    """One reply. Header names come back in lower case."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", request.path, headers=dict(request.headers))
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in reply.getheaders()}
    if found.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Reply(reply.status, found, body)


def measure(server: Server, request: Request, load: Load, folder: Path) -> Measurement:
    """Warm up, then pull for `load.seconds` and share the server's CPU time among the requests."""
    _wrk(server, request, load.warm_up_seconds, load.connections, folder, first=0)
    _let_settle(server)
    before = cpu_seconds(server.pid)
    figures = _wrk(server, request, load.seconds, load.connections, folder, first=10**9)
    used = cpu_seconds(server.pid) - before
    held = memory(server.pid)
    requests = figures["requests"]
    if not requests:
        raise NoAnswerError(f"{request.case}: {server.name} answered nothing in {load.seconds} s")
    return Measurement(
        kind=request.kind,
        case=request.case,
        server=server.name,
        cpu_us_per_request=round(used / requests * 1e6, 1),
        requests_per_second=round(requests / (figures["duration_us"] / 1e6), 1),
        p50_ms=round(figures["p50_us"] / 1000, 2),
        p99_ms=round(figures["p99_us"] / 1000, 2),
        bytes_per_reply=round(figures["bytes"] / requests),
        requests=requests,
        errors=figures["errors"],
        connections=load.connections,
        rss_kb=held.rss,
        pss_kb=held.pss,
    )


def _let_settle(server: Server) -> None:
    """Until nothing is left of the warm-up's last requests, which would be counted as ours."""
    seen = -1.0
    for _ in range(50):
        now = cpu_seconds(server.pid)
        if now == seen:
            return
        seen = now
        time.sleep(0.2)


def _wrk(
    server: Server, request: Request, seconds: int, connections: int, folder: Path, first: int
) -> dict[str, int]:
    script = folder / "wrk.lua"
    text = _DONE + (_NEW_URLS % (first, request.path) if request.new_urls else "")
    if request.body:
        text += f'wrk.method = "POST"\nwrk.body = {json.dumps(request.body)}\n'
    script.write_text(text)
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--timeout", "10s"]
    command += ["--duration", f"{seconds}s", "--script", str(script)]
    for name, value in request.headers.items():
        command += ["--header", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{server.port}{request.path}")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, int] = json.loads(done.stdout.rpartition("@@")[2])
    return figures
