"""A request leaves nothing to the cyclic garbage collector, which looks once in 50,000 objects.

Until it does, a request, its fields, its connection and the buffers of all of them stay: megabytes
a worker, and holes between what came meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import FrameType

import pytest

from tests.support.forwarding import Visit
from tests.support.site import PAGE, Proxied, Reply, proxied, reply

_CHOICE = ("Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin")
_HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: www.example.com\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


async def _events(visit: Visit) -> None:
    for number in range(3):
        await visit.send((b"" if number else _EVENTS) + b"data: %d\n\n" % number)
        await asyncio.sleep(0)
    visit.writer.close()


async def _endless_events(visit: Visit) -> None:
    await visit.send(_EVENTS + b"data: 1\n\n")
    await visit.reader.read()


async def _silence(visit: Visit) -> None:
    await visit.reader.read()


async def _hang_up(visit: Visit) -> None:
    visit.writer.close()


async def _half_a_page(visit: Visit) -> None:
    await visit.send(reply(PAGE, "Content-Length: 100000"))
    visit.writer.close()


async def _half_a_file(visit: Visit) -> None:
    await visit.send(reply(b"x", "Content-Type: text/plain", "Content-Length: 9000", html=False))
    visit.writer.close()


async def _echo(visit: Visit) -> None:
    await visit.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    while data := await visit.reader.read(1000):
        await visit.send(data)
    visit.writer.close()


ORIGIN: Mapping[str, Reply] = {
    "page": reply(PAGE, "Cache-Control: no-store"),
    "stored": reply(PAGE, "Cache-Control: max-age=60"),
    "confirmed": reply(PAGE, "Cache-Control: no-cache", 'ETag: "1"'),
    "large": reply(PAGE + b"<p>words</p>" * 40_000, "Cache-Control: no-store"),
    "file": reply(b"x = 1;" * 1000, "Content-Type: text/javascript", html=False),
    "feed": reply(b"<feed><a/></feed>", "Content-Type: application/xml", html=False),
    "upload": reply(b"thanks", "Content-Type: text/plain", html=False),
    "error": reply(b"sorry", status="503 Service Unavailable"),
    "events": _events,
    "endless": _endless_events,
    "silent": _silence,
    "hang-up": _hang_up,
    "half": _half_a_page,
    "half-file": _half_a_file,
    "no-http": b"this is no HTTP\r\n\r\n",
    "socket": _echo,
}


async def _leave_the_stream(proxy: Proxied) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
    await reader.readuntil(b"data: 1")
    writer.close()


async def _leave_before_the_answer(proxy: Proxied) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"GET /silent HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
    await asyncio.sleep(0.05)
    writer.close()


async def _tunnel(proxy: Proxied) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(_HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def _broken(proxy: Proxied) -> None:
    for path in ("half", "half-file"):
        request = f"GET /{path} HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
        try:
            await proxy.raw(request.encode())
        except ConnectionError:
            continue


async def _malformed_on_a_used_connection(proxy: Proxied) -> None:
    for path in ("/file", "/no-http"):  # the second is repeated on another one
        await proxy.ask(path)


_Asks = Callable[[Proxied], Awaitable[None]]


def _get(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> _Asks:
    async def ask(proxy: Proxied) -> None:
        await proxy.ask(path, *headers, method=method, body=body)

    return ask


REQUESTS: Mapping[str, _Asks] = {
    "a page": _get("/page"),
    "a stored page": _get("/stored"),
    "a confirmed page": _get("/confirmed"),
    "a large page": _get("/large"),
    "the head of a page": _get("/page", method="HEAD"),
    "a file": _get("/file"),
    "an XML document": _get("/feed"),
    "a missing page": _get("/nowhere"),
    "an upload": _get("/upload", method="POST", body=b"x" * 300_000),
    "events": _get("/events"),
    "events that a visitor leaves": _leave_the_stream,
    "a page that a visitor does not wait for": _leave_before_the_answer,
    "a page that takes too long": _get("/silent"),
    "a tunnel": _tunnel,
    "a choice": _get("/.consent/choice", *_CHOICE, method="POST", body=b"action=accept_all"),
    "a click identifier": _get("/page?fbclid=1"),
    "an error of the origin": _get("/error"),
    "an origin that hangs up": _get("/hang-up"),
    "an upload to one that hangs up": _get("/hang-up", method="POST", body=b"x" * 1000),
    "an origin that breaks off": _broken,
    "an origin without HTTP": _get("/no-http"),
    "one that answers once": _malformed_on_a_used_connection,
    "a malformed request": _get("/\x00"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REQUESTS)
async def test_a_request_leaves_no_cycle(kind: str, tmp_path: Path) -> None:
    ask = REQUESTS[kind]
    async with proxied(tmp_path, ORIGIN, change=_impatient) as proxy:
        await ask(proxy)  # what is made once is no cycle of a request
        await asyncio.sleep(0.05)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await ask(proxy)
            await asyncio.sleep(0.05)
            left = _collected()
        finally:
            gc.enable()
    assert not left


def _impatient(text: str) -> str:
    return text.replace("[proxy]", "[proxy]\nupstream_timeout = 0.2", 1)


def _collected() -> Counter[str]:
    """What of the proxy only the collector could free, by type."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return Counter(found for one in gc.garbage if (found := _name(one)))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def _name(one: object) -> str:
    if isinstance(one, FrameType):
        code = one.f_code
        inside = "/proxy/" in code.co_filename or "/aiohttp/" in code.co_filename
        return f"frame of {code.co_qualname}" if inside else ""
    kind = type(one)
    module = str(kind.__module__)
    return f"{module}.{kind.__qualname__}" if module.startswith(("proxy.", "aiohttp.")) else ""
