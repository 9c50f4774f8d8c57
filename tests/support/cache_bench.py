"""The proxy with one site and no tags, in front of an origin that does what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import ClientSession, web
from multidict import CIMultiDict
from yarl import URL

from consent_rules.config.load import load_config
from proxy.app import make_handler
from proxy.cache import SharedCache
from proxy.cookies.signing_keys import first_keys
from proxy.runtime import Runtime, build_runtime
from proxy.server.listener import open_listener
from proxy.server.serve import Limits, serve
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.slots import UNBOUNDED
from proxy.upstream.timeouts import Timeouts

BUDGET = 4_000_000


CONFIG = """
[policy]
controller = "Example"
version = "2026-01-01"
url = "/privacy"

[proxy]
cache_status = true
trusted_proxies = []

[[site]]
name = "www"
hosts = ["*.example", "127.0.0.1"]
upstream = "{upstream}"
audience = "marketing"
"""
"""One site without tags: what is left is forwarding and the cache."""


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Origin:
    """What the origin answers, and what it was asked."""

    answer: Answer
    asked: list[CIMultiDict[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    down: bool = False


@dataclass
class Bench:
    """The whole arrangement. `base` is the proxy's URL."""

    base: str
    port: int
    origin: Origin
    cache: SharedCache
    session: ClientSession

    async def get(
        self, path: str = "/", *, method: str = "GET", **headers: str
    ) -> tuple[int, CIMultiDict[str], bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.base + path, encoded=True)
        async with self.session.request(
            method, url, headers=named, allow_redirects=False
        ) as response:
            return response.status, CIMultiDict(response.headers), await response.read()

    def later(self, seconds: float) -> None:
        """Let everything that is stored grow older."""
        for entry in self.cache.store._entries.values():
            entry.born -= seconds


def _runtime(upstream: URL, cache: SharedCache, timeouts: Timeouts) -> Runtime:
    """Without the fast path, which would answer before the cache is asked."""
    now = datetime.datetime.now(datetime.UTC)
    text = CONFIG.format(upstream=upstream)
    config = load_config(text, "cache.toml", today=now.date()).config
    with tempfile.TemporaryDirectory() as folder:
        keys = first_keys(Path(folder) / config.preferences.keys, now)
        runtime = build_runtime(config, Path(folder), lambda: keys)
    return replace(runtime, cache=cache, fast_path=None, timeouts=timeouts)


@contextlib.asynccontextmanager
async def bench(
    answer: Answer, *, budget: int = BUDGET, timeouts: Timeouts | None = None
) -> AsyncIterator[Bench]:
    origin = Origin(answer)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        origin.asked.append(CIMultiDict(request.headers))
        origin.lines.append(f"{request.method} {request.raw_path}")
        if origin.down:
            assert request.transport is not None
            request.transport.abort()
        return await origin.answer(request)

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream = URL(f"http://127.0.0.1:{runner.addresses[0][1]}")

    cache = SharedCache(budget, adds_cache_status=True)
    runtime = _runtime(upstream, cache, timeouts or Timeouts())
    stop = asyncio.Event()
    listener = open_listener("127.0.0.1:0")
    port = listener.getsockname()[1]
    async with (
        UpstreamPool() as requests,
        UpstreamPool(limits=lambda: UNBOUNDED) as tunnels,
        ClientSession(auto_decompress=False) as visitors,
    ):
        handler = make_handler(lambda: runtime, requests, tunnels)
        done = asyncio.ensure_future(
            serve(handler, listener, stop=stop, limits=Limits(grace=2.0, linger=0.5))
        )
        try:
            yield Bench(f"http://127.0.0.1:{port}", port, origin, cache, visitors)
        finally:
            await cache.flights.close()
            stop.set()
            await done
            await runner.cleanup()


def says(
    body: bytes = b"hello", *, status: int = 200, pause: float = 0.0, **headers: str
) -> Answer:
    """Always the same answer; 304 where its ETag is named."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.Request) -> web.StreamResponse:
        if pause:
            await asyncio.sleep(pause)
        if "ETag" in named and request.headers.get("If-None-Match") == named["ETag"]:
            return web.Response(status=304, headers=named)
        return web.Response(status=status, body=body, headers=named)

    return answer


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not come to that")
        await asyncio.sleep(0.01)
