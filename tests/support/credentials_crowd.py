"""A crowd with credentials against an origin whose validators are alike for everybody.

`python -m tests.support.credentials_crowd [--full]`: 1,000 visitors, or 10,000, in this process.
The origin writes into each body whose it is; it sends JSON, PDF and pages with every combination of
the caching fields, is slow, and is away now and then. A body that says `public` or `s-maxage` and
is no page is the same for everybody, as it says; all else is one visitor's.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.support.forwarding import Visit
from tests.support.site import Answer, Proxied, proxied, reply

CACHE_CONTROLS = (
    "", "public", "max-age=60", "max-age=0", "public, max-age=0", "public, max-age=60",
    "s-maxage=60", "no-cache", "private, max-age=60", "no-store", "max-age=60, must-revalidate",
    "stale-if-error=600", "max-age=1, stale-while-revalidate=60, stale-if-error=600",
    "max-age=0, must-revalidate", "proxy-revalidate",
)  # fmt: skip
OTHERS = (
    (), ('ETag: W/"25-alike"',), ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT",),
    ('ETag: "alike"', "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"),
    ("Expires: Mon, 01 Jan 2099 00:00:00 GMT",),
    ("CDN-Cache-Control: max-age=60",), ("Vary: Accept-Encoding", 'ETag: "alike"'),
)  # fmt: skip
TYPES = ("application/json", "application/pdf", "text/html")
KINDS = tuple(itertools.product(TYPES, CACHE_CONTROLS, OTHERS))
ASKING = (
    (), (), (), ("Cache-Control: max-stale",), ("Cache-Control: max-stale=60, only-if-cached",),
    ("Cache-Control: only-if-cached",), ("Cache-Control: no-cache",), ("Cache-Control: max-age=0",),
    ("Range: bytes=0-60",), ('If-None-Match: "another"',), ("Pragma: no-cache",),
    ("If-Modified-Since: Sun, 01 Jan 2023 00:00:00 GMT",),
)  # fmt: skip
AT_ONCE = 24
OWNER = re.compile(rb"owner=(\w+);")


class Origin:
    """What it sends depends on the path alone; whose it is, on the credentials."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.away = False

    async def __call__(self, visit: Visit) -> None:
        exchange = visit.origin.exchanges[-1]
        if self.away:
            visit.writer.close()
            return
        if self.random.random() < 0.2:
            await asyncio.sleep(self.random.random() * 0.02)
        kind, cache_control, others = KINDS[int(exchange.line.split()[1].partition(b"?")[2])]
        shared = kind != "text/html" and any(w in cache_control for w in ("public", "s-maxage"))
        owner = b"everybody" if shared else _owner(exchange.headers)
        headers = [f"Content-Type: {kind}", *others]
        headers += [f"Cache-Control: {cache_control}"] if cache_control else []
        # Validators are alike, so only a server that looks at more than them tells visitors apart.
        named = dict(exchange.headers)
        known = b"alike" in named.get(b"if-none-match", b"")
        if known and shared:
            await visit.send(reply(b"", *headers, status="304 Not Modified", html=False))
            return
        await visit.send(reply(b"<!doctype html> owner=%b;" % owner, *headers, html=False))


def _owner(headers: list[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        found = re.search(rb"who(\d+)", value)
        if found and name in {b"cookie", b"authorization", b"x-api-key"}:
            return b"who" + found[1]
    return b"nobody"


async def _visit(site: Proxied, number: int, seen: Counter[str]) -> None:
    draw = random.Random(number)
    credential = (
        (f"Cookie: sid=who{number}",), (f"Cookie: _ga=GA1; sid=who{number}",),
        (f"Authorization: Bearer who{number}",), (f"X-Api-Key: who{number}",), (),
        ("Cookie: _ga=GA1.1.1",),
    )[number % 6]  # fmt: skip
    mine = f"who{number}" if number % 6 < 4 else "nobody"
    # Few URLs for many visitors: they meet at each of them, some at the same time.
    for target in [*draw.sample(range(len(KINDS)), 2), number // 12 % len(KINDS)]:
        for _ in range(2):
            asks = draw.choice(ASKING)
            dest = draw.choice(("", "document"))
            got = await site.ask(f"/x?{target}", *credential, *asks, dest=dest)
            _check(got, mine, KINDS[target], asks, seen)


def _check(got: Answer, mine: str, kind: object, asks: tuple[str, ...], seen: Counter[str]) -> None:
    found = OWNER.search(got.text) if got.body else None
    owner = found[1].decode() if found else ""
    seen[f"{got.status}{' from memory' if got.all('Age') else ''}"] += 1
    assert owner in {"", mine, "nobody", "everybody"}, (owner, mine, kind, asks, got)
    seen["somebody else's"] += owner not in {"", mine, "nobody", "everybody"}


async def crowd(folder: Path, people: int, seed: int = 1) -> Counter[str]:
    """Let so many come. Returns what was seen; raises AssertionError for a body of another's."""
    origin = Origin(seed)
    seen: Counter[str] = Counter()
    async with proxied(folder, {"x": origin}) as site:
        waiting = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with waiting:
                origin.away = number % 50 > 40
                await _visit(site, number, seen)

        async with asyncio.TaskGroup() as group:
            for number in range(people):
                group.create_task(one(number))
    return seen


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(asyncio.run(crowd(Path(name), 10_000 if "--full" in sys.argv else 1_000)))
