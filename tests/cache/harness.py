"""A proxy with nothing but the cache in it, in front of an origin that does what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import ClientResponse, ClientSession, web
from multidict import CIMultiDict
from yarl import URL

from proxy.cache import Entry, Key, ReadPage, SharedCache, Visit, lookup, send_kept
from proxy.http.error_pages import error_response
from proxy.http.forwarding import request_headers
from proxy.http.request_fields import unknown_fields
from proxy.http.targets import requested_host
from proxy.responses.stream import stream
from proxy.server.listener import open_listener
from proxy.server.serve import Limits, serve
from proxy.upstream.body import read_body
from proxy.upstream.errors import UpstreamError
from proxy.upstream.pool import open_session
from proxy.upstream.timeouts import Timeouts

BUDGET = 4_000_000


@dataclass
class Page:
    """A page that was read: "compiled" by counting."""

    stored: bytes | None
    attachment: object
    size: int = 100
    begun: bytes | None = None


@dataclass
class PlainReplies:
    """Replies without decisions. Visitors with a cookie `session` get no kept page."""

    request: web.BaseRequest
    compiled: list[bytes]

    def is_page(self, status: int, headers: CIMultiDict[str]) -> bool:
        return headers.get("Content-Type", "").startswith("text/html") and status != 304

    def may_store(self, headers: CIMultiDict[str]) -> bool:
        return headers.get("X-Page-Audience") != "patient"

    async def read_page(self, upstream: ClientResponse, headers: CIMultiDict[str]) -> ReadPage:
        read = await read_body(upstream, 1_000_000, 5, 5)
        if not read.whole:
            return Page(None, read.body)
        self.compiled.append(read.body)
        return Page(read.body, b"compiled " + read.body)

    async def complete_page(self, entry: Entry) -> bool:
        raise AssertionError("no page of these tests is sent while it comes")

    async def live(
        self, upstream: ClientResponse, headers: CIMultiDict[str], read: ReadPage | None
    ) -> web.StreamResponse:
        already = b""
        if read is not None:
            assert isinstance(read.attachment, bytes)
            already = read.attachment
        return await stream(self.request, upstream, headers, upstream.status, already_read=already)

    async def stored(
        self, entry: Entry, headers: CIMultiDict[str], now: float
    ) -> web.StreamResponse:
        return await send_kept(self.request, entry, headers, now)


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
    compiled: list[bytes]

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
        """Let everything that is kept grow older."""
        for entry in self.cache.store._entries.values():
            entry.born -= seconds


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

    cache = SharedCache(budget, tells=True)
    compiled: list[bytes] = []
    stop = asyncio.Event()
    listener = open_listener("127.0.0.1:0")
    port = listener.getsockname()[1]
    async with open_session() as session, ClientSession(auto_decompress=False) as visitors:

        async def forward(request: web.BaseRequest) -> web.StreamResponse:
            visit = Visit(
                cache=cache,
                request=request,
                make_headers=lambda: request_headers(request, peer_is_trusted=False),
                key=Key(str(upstream), "http", requested_host(request), request.raw_path),
                session=session,
                upstream=upstream,
                timeouts=timeouts or Timeouts(),
                replies=PlainReplies(request, compiled),
                may_share=not {"Cookie", "Authorization"} & set(request.headers),
                unknown=unknown_fields(request.headers),
            )
            try:
                return await lookup(visit)
            except UpstreamError as error:
                return error_response(request, error.status)

        done = asyncio.ensure_future(
            serve(forward, listener, stop=stop, limits=Limits(grace=2.0, linger=0.5))
        )
        try:
            yield Bench(f"http://127.0.0.1:{port}", port, origin, cache, visitors, compiled)
        finally:
            await cache.fills.close()
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
