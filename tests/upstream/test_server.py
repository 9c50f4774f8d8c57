"""An upstream on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.observability.readiness import unready
from proxy.upstream.server import server_at
from tests.support.forwarding import ok
from tests.support.site import HOST, Proxied, in_front_of

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def on_socket(folder: Path, change: str = "") -> AsyncIterator[tuple[Proxied, list[bytes]]]:
    """A proxy in front of an origin on a Unix socket, and the heads that the origin was sent."""
    # An address of a socket has at most 107 characters: not every tmp_path leaves room.
    with tempfile.TemporaryDirectory(prefix="ups-") as short:
        socket = f"{short}/app.sock"
        heads: list[bytes] = []

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    heads.append(await reader.readuntil(b"\r\n\r\n"))
                    writer.write(ok(b"over the socket", b"Content-Type: text/plain"))
            writer.close()

        def edit(text: str) -> str:
            return text.replace('"http://127.0.0.1:0"', f'"unix:{socket}"\n{change}')

        async with (
            await asyncio.start_unix_server(connected, socket),
            in_front_of(0, folder, change=edit) as site,
        ):
            yield site, heads


async def test_requests_go_over_the_socket(tmp_path: Path) -> None:
    async with on_socket(tmp_path) as (site, heads):
        for number in range(3):
            answer = await site.ask(f"/{number}")
            assert (answer.status, answer.body) == (200, b"over the socket")
        assert all(f"Host: {HOST}\r\n".encode() in head for head in heads)
        assert len(heads) == 3


async def test_the_host_of_a_socket_of_its_own_is_localhost(tmp_path: Path) -> None:
    """As nginx writes it: a socket has no authority."""
    async with on_socket(tmp_path, "preserve_host = false") as (site, heads):
        assert (await site.ask("/")).status == 200
        assert b"Host: localhost\r\n" in heads[0]


async def test_a_socket_that_nobody_listens_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_at(f"unix:{tmp_path}/none.sock")

    def edit(text: str) -> str:
        return text.replace('"http://127.0.0.1:0"', f'"{server}"')

    async with in_front_of(0, tmp_path, change=edit) as site:
        assert (await site.ask("/")).status == 502
        assert f"cannot connect to {server}" in caplog.text
        (group,) = (one.upstream for one in site.running.sites.values())
    (problem,) = await unready([group], None, stopping=False)
    assert problem == f"no upstream takes connections: {server}"


async def test_a_socket_that_takes_connections_is_ready(tmp_path: Path) -> None:
    async with on_socket(tmp_path) as (site, _):
        servers = [one.upstream for one in site.running.sites.values()]
        assert await unready(servers, None, stopping=False) == []
