"""Visitors who leave at any moment: those who stay get the whole, and nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientError, web

from tests.support.cache_bench import Bench, bench, until
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

PIECES = 6
GAP = 0.02
PAGE = b"<!doctype html><title>x</title>" + b"<p>text</p>" * 800
FILE = os.urandom(9000)
KINDS: dict[str, tuple[str, str, bool]] = {
    "page": ("text/html", "max-age=60", True),
    "page-without-length": ("text/html", "max-age=60", False),
    "private-page": ("text/html", "no-store", True),
    "file": ("application/octet-stream", "max-age=60", True),
    "file-without-length": ("application/octet-stream", "max-age=60", False),
    "private-file": ("application/octet-stream", "no-store", True),
    "validated": ("application/octet-stream", "no-cache", True),
    "stale": ("application/octet-stream", "max-age=0, stale-while-revalidate=60", True),
}
"""Content type, Cache-Control and whether the length is said."""


def origin(active: set[int]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Sends in pieces; what it is sending stands in `active`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        kind, cache, has_length = KINDS[request.path.strip("/").partition(".")[0]]
        body = PAGE if kind == "text/html" else FILE
        headers = {"Content-Type": kind, "Cache-Control": cache, "ETag": '"1"'}
        active.add(id(request))
        try:
            await asyncio.sleep(GAP)
            if "If-None-Match" in request.headers:
                return web.Response(status=304, headers=headers)
            response = web.StreamResponse(headers=headers)
            if has_length:
                response.content_length = len(body)
            await response.prepare(request)
            step = -(-len(body) // PIECES)
            for at in range(0, len(body), step):
                await response.write(body[at : at + step])
                await asyncio.sleep(GAP)
            await response.write_eof()
            return response
        finally:
            active.discard(id(request))

    return answer


def _headers(cookie: str) -> dict[str, str]:
    return {"Accept-Encoding": "identity"} | ({"Cookie": cookie} if cookie else {})


async def _visit(b: Bench, path: str, *, leaves_after: float | None, cookie: str) -> None:
    headers = _headers(cookie)
    if leaves_after is not None:
        with contextlib.suppress(TimeoutError, ClientError):
            async with asyncio.timeout(leaves_after):
                await b.get(path, **headers)
        return
    status, _, body = await b.get(path, **headers)
    assert status == 200
    if path.startswith(("/page", "/private-page")):
        assert body.count(b"<p>text</p>") == 800
    else:
        assert body == FILE


@pytest.mark.parametrize("seed", range(4))
async def test_visitors_leave_at_random(seed: int) -> None:
    chance = random.Random(seed)
    active: set[int] = set()
    async with bench(origin(active)) as b:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for number in range(160):
                # Few URLs, so that many wait for the same; a new one each few visitors.
                path = f"/{chance.choice(list(KINDS))}.{number // 40}"
                leaves = chance.uniform(0, GAP * (PIECES + 4)) if chance.random() < 0.6 else None
                cookie = f"session={number}" if chance.random() < 0.2 else ""
                group.create_task(_visit(b, path, leaves_after=leaves, cookie=cookie))
                await asyncio.sleep(chance.uniform(0, GAP / 4))
        await until(lambda: not len(b.cache.flights), PATIENCE)
        await until(lambda: not active, PATIENCE)
        assert b.cache.store.in_flight == 0
        for entry in b.cache.store._entries.values():
            assert entry.body in {PAGE, FILE}


@pytest.mark.parametrize("path", ["/private-file", "/private-page", "/file"])
@pytest.mark.parametrize("cookie", ["", "session=1"])
async def test_an_endless_response_ends_with_its_visitor(path: str, cookie: str) -> None:
    """Alone with it, or the first of those who might share what is too large to be stored."""
    active: set[int] = set()
    kind, cache, _ = KINDS[path.strip("/")]

    async def endless(request: web.Request) -> web.StreamResponse:
        active.add(id(request))
        try:
            headers = {"Content-Type": kind, "Cache-Control": cache}
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            while True:
                await response.write(b"<p>text</p>" * 3000)
                await asyncio.sleep(0)
        finally:
            active.discard(id(request))

    async with bench(endless) as b:
        headers = _headers(cookie)
        async with b.session.get(b.base + path, headers=headers) as response:
            await response.content.readexactly(2_000_000)
            assert active
        await until(lambda: not active, PATIENCE)
        await until(lambda: not len(b.cache.flights), PATIENCE)
        assert b.cache.store.in_flight == 0
