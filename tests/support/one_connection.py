"""Several requests on one connection to a site."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.site import HOST, Answer, Proxied, parse
from tests.support.waiting import PATIENCE


class Connection:
    """A visitor's kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, path: str, *headers: str) -> None:
        lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", *headers]
        self.writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    async def read(self) -> Answer:
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = parse(head, "HEAD")
        size = 0 if found.status in {204, 304} else int(found.one("Content-Length"))
        return parse(head + await self.reader.readexactly(size))

    async def ask(self, path: str, *headers: str) -> Answer:
        self.send(path, *headers)
        async with asyncio.timeout(PATIENCE):
            return await self.read()


@asynccontextmanager
async def connected(site: Proxied) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1 << 22)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
