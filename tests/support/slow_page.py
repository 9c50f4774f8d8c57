"""A page of which the rest comes later, and a visitor who reads it as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.forwarding import Visit
from tests.support.site import HOST, PAGE, Proxied, reply
from tests.support.waiting import PATIENCE

START = PAGE.partition(b"<p>Fin")[0] + b"<p>first</p>" + b"<!-- -->" * 200
REST = (
    b"<p>second</p><script>fbq('init','1')</script>"
    b"<img src=https://www.facebook.com/tr?id=1 width=1 height=1>"
    b'<link rel=preconnect href="https://nobody-knows.example/">'
    b"<p>last</p></body></html>"
)


@contextlib.asynccontextmanager
async def visiting(
    site: Proxied, path: str, *headers: str, version: str = "1.1"
) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1 << 22)
    lines = [f"GET {path} HTTP/{version}", f"Host: {HOST}", "Sec-Fetch-Dest: document", *headers]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader
    finally:
        writer.close()


class Slow:
    """An origin that sends the start of a page, and the rest once `go_on` is set."""

    def __init__(self, start: bytes = START, rest: bytes = REST, *headers: str) -> None:
        self.start, self.rest = start, rest
        self.headers = headers or (f"Content-Length: {len(start) + len(rest)}",)
        self.go_on = asyncio.Event()

    async def __call__(self, visit: Visit) -> None:
        await visit.send(reply(b"", *self.headers) + self.start)
        await self.go_on.wait()
        await visit.send(self.rest)
        if not any(header.startswith("Content-Length") for header in self.headers):
            visit.writer.close()
