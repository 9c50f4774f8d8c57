"""`python -m bench.streaming`: large pages from a slow upstream, and visitors who read
slowly: when the first content comes, what memory it takes, what gating in pieces costs.

Each is measured twice: as it is, and with `stream_page_bytes = 0`, where a page is read as a whole
before it is sent. JSON on stdout.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

from bench.page import sized_page
from bench.processes import cpu_seconds, memory
from bench.proxy import consent_proxy
from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html import Boundary, compile_page
from proxy.html.incremental import IncrementalCompiler

_SIZES = (1_000_000, 5_000_000)
_STEP = 64 * 1024
_PAUSE = 0.05
"""Seconds between two chunks of the slow upstream: 1.3 MB a second."""
_VISITORS = 50


async def _origin() -> asyncio.Server:
    """`/SIZE/slow` comes in chunks with pauses, `/SIZE` as quickly as it is taken; no cache."""
    pages = {size: sized_page(size) for size in _SIZES}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                _, size, *slow = head.split()[1].decode().split("/")
                body = pages[int(size)]
                lines = [b"HTTP/1.1 200 OK", b"Content-Type: text/html", b"Cache-Control: no-store"]
                writer.write(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]))
                for at in range(0, len(body), _STEP):
                    writer.write(body[at : at + _STEP])
                    await writer.drain()
                    await asyncio.sleep(_PAUSE if slow else 0)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", 0)


async def _opened(
    port: int, path: str, limit: int = 1 << 16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Sec-Fetch-Dest: document"]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
    return reader, writer


async def _first_and_last(port: int, path: str) -> dict[str, float]:
    """Milliseconds until the first of the content is here, and the last."""
    start = time.monotonic()
    reader, writer = await _opened(port, path, 1 << 24)
    await reader.readuntil(b"<section")
    first = time.monotonic() - start
    await reader.read()
    last = time.monotonic() - start
    writer.close()
    return {"first_ms": round(first * 1000), "last_ms": round(last * 1000)}


async def _many_slow(port: int, pid: int, path: str) -> dict[str, float]:
    """Memory while many visitors take 64 KB every half second, for ten seconds."""
    before = memory(pid).rss
    cpu = cpu_seconds(pid)
    visitors = [await _opened(port, path) for _ in range(_VISITORS)]
    most = before

    async def read_slowly(reader: asyncio.StreamReader) -> None:
        for _ in range(20):
            await reader.read(1 << 16)
            await asyncio.sleep(0.5)

    reading = [asyncio.create_task(read_slowly(reader)) for reader, _ in visitors]
    while not all(task.done() for task in reading):
        most = max(most, memory(pid).rss)
        await asyncio.sleep(0.2)
    for _, writer in visitors:
        writer.close()
    return {
        "before_mb": round(before / 1024),
        "most_mb": round(most / 1024),
        "cpu_s": round(cpu_seconds(pid) - cpu, 1),
    }


async def _measured(folder: Path, stream_page_bytes: int) -> dict[str, object]:
    origin = await _origin()
    port = origin.sockets[0].getsockname()[1]
    found: dict[str, object] = {}
    with consent_proxy(folder, port, stream_page_bytes=stream_page_bytes) as server:
        await _first_and_last(server.port, f"/{_SIZES[0]}")  # warm
        for size in _SIZES:
            found[f"{size} slowly"] = await _first_and_last(server.port, f"/{size}/slow")
            cpu = cpu_seconds(server.pid)
            found[f"{size} quickly"] = {
                **await _first_and_last(server.port, f"/{size}"),
                "cpu_ms": round((cpu_seconds(server.pid) - cpu) * 1000),
            }
        found["slow visitors"] = await _many_slow(server.port, server.pid, f"/{_SIZES[-1]}")
    origin.close()
    return found


def _compile_costs() -> dict[str, float]:
    """CPU milliseconds for the largest page: as a whole, and in pieces."""
    body = sized_page(_SIZES[-1])
    boundary = Boundary(own=HostSet(["www.example.com"]), index=VendorIndex(catalogue().values()))
    kind, url = "text/html; charset=utf-8", "https://www.example.com/"

    def whole() -> None:
        compile_page(body, kind, url, boundary)

    def in_pieces() -> None:
        pieces = IncrementalCompiler(kind, url, boundary, _SIZES[-1])
        for at in range(0, len(body), _STEP):
            pieces.add(body[at : at + _STEP])
            pieces.take()
        pieces.take(last=True)

    costs = {}
    for name, work in (("whole_ms", whole), ("pieces_ms", in_pieces)):
        work()
        times = []
        for _ in range(3):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        costs[name] = round(min(times) * 1000, 1)
    return costs


async def _main() -> None:
    found: dict[str, object] = {"compile": _compile_costs()}
    with tempfile.TemporaryDirectory() as folder:
        for name, early in (("streamed", 262_144), ("whole", 0)):
            found[name] = await _measured(Path(folder) / name, early)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    asyncio.run(_main())
