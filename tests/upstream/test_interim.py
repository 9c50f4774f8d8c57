"""Interim answers: passed on to who asked, held to what every visitor may see, never kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.forwarding import Visit
from tests.support.site import HOST, PAGE, Proxied, proxied, reply

FRESH = "Cache-Control: public, max-age=600"
OWN = "</style.css>; rel=preload; as=style"
OTHERS = "<https://www.google-analytics.com/analytics.js>; rel=preload; as=script"


def hints(*lines: str, status: str = "103 Early Hints") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "\r\n"]).encode()


async def ask(site: Proxied, path: str, *headers: str, version: str = "1.1") -> list[bytes]:
    """The heads of all answers to one request, the last with its body."""
    lines = [f"GET {path} HTTP/{version}", f"Host: {HOST}", "Connection: close", *headers]
    raw = await site.raw("\r\n".join(lines).encode() + b"\r\n\r\n")
    heads: list[bytes] = []
    while raw.startswith(b"HTTP/1.1 1"):
        head, _, raw = raw.partition(b"\r\n\r\n")
        heads.append(head)
    return [*heads, raw]


async def test_early_hints_reach_who_asked_and_nobody_else(tmp_path: Path) -> None:
    early = hints(f"Link: {OWN}", f"Link: {OTHERS}", "X-Mine: 1", "Set-Cookie: a=1", "Alt-Svc: x")
    pages = {
        "": early + hints(status="102 Processing") + reply(PAGE, FRESH),
        "a.css": early + reply(b"a{}", FRESH, "Content-Type: text/css", html=False),
        "others": hints(f"Link: {OTHERS}") + reply(PAGE, "Cache-Control: no-store"),
        "old": early + reply(PAGE, "Cache-Control: no-store"),
    }
    async with proxied(tmp_path, pages) as site:
        # Whatever the visitor has allowed: whose page it is shows in the final answer only.
        cookie = f"Cookie: {site.cookie('analytics')}"
        first, second, page = await ask(site, "/", cookie)
        assert first == f"HTTP/1.1 103 Early Hints\r\nX-Mine: 1\r\nLink: {OWN}".encode()
        assert second == b"HTTP/1.1 102 Processing"
        assert page.startswith(b"HTTP/1.1 200 ") and b"X-Mine" not in page
        assert len(await ask(site, "/", cookie)) == len(await ask(site, "/")) == 1  # it is kept

        assert len(await ask(site, "/a.css")) == 2
        assert len(await ask(site, "/a.css")) == 1
        assert len(await ask(site, "/others", cookie)) == 1  # nothing is left of it
        assert len(await ask(site, "/old", version="1.0")) == 1  # knows of no interim answers
        assert len(site.asked) == 4


async def test_interim_answers_are_no_part_of_another_answer(tmp_path: Path) -> None:
    """The page is stale, and asked about while it is sent: the hints come after it has ended."""
    ended = asyncio.Event()
    asked_again = asyncio.Event()

    async def origin(visit: Visit) -> None:
        if len(visit.origin.exchanges) > 1:
            asked_again.set()
            await ended.wait()
            await visit.send(hints(f"Link: {OWN}"))
        more = "Cache-Control: public, max-age=0, stale-while-revalidate=600"
        await visit.send(reply(PAGE, more, 'ETag: "1"'))

    async with proxied(tmp_path, {"": origin}) as site:
        await site.ask()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1 << 22)
        writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        await asked_again.wait()
        ended.set()
        # The next answer on the connection is the whole of what comes.
        writer.write(f"GET /none HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
        writer.close()


@pytest.mark.parametrize("many", [40])
async def test_there_is_an_end_to_them(tmp_path: Path, many: int) -> None:
    flood = hints(f"Link: {OWN}") * many + reply(PAGE)
    async with proxied(tmp_path, {"": flood}) as site:
        assert len(await ask(site, "/")) == 17
        assert len(await ask(site, "/")) == 17


async def test_what_cannot_be_written_is_not_passed_on(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": hints("X-A: b\x01c", f"Link: {OWN}") + reply(PAGE)}) as site:
        assert len(await ask(site, "/")) == 1
