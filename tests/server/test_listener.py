"""Where the proxy listens, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from aiohttp import web

from proxy.observability.access_log import network_of
from proxy.server.listener import open_listener
from proxy.server.serve import Limits, serve
from tests.support.forwarding import body_of, get
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

MALFORMED = ["", "8080", "localhost", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:-1"]


@pytest.mark.parametrize("listen", MALFORMED)
def test_malformed_address(listen: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        open_listener(listen)


@pytest.mark.parametrize(
    ("listen", "reach"),
    [("127.0.0.1:0", "127.0.0.1"), ("localhost:0", "localhost"), (":0", "127.0.0.1")],
)
def test_addresses(listen: str, reach: str) -> None:
    with open_listener(listen) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((reach, port), timeout=2).close()


def test_address_in_use() -> None:
    with open_listener("127.0.0.1:0") as first:
        listen = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(OSError, match=r"cannot listen on .*Is another process using it"):
            open_listener(listen)


@pytest.mark.parametrize(
    ("listen", "advice"),
    [
        ("192.0.2.1:0", "No interface of this machine has that address"),
        ("no-such-host.invalid:0", "spelt"),
    ],
)
def test_address_that_cannot_be_had(listen: str, advice: str) -> None:
    with pytest.raises(OSError, match=advice) as error:
        open_listener(listen)
    assert "another process" not in str(error.value)


def test_unix_socket_that_a_dead_process_left(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    open_listener(f"unix:{path}").close()
    assert path.exists()
    open_listener(f"unix:{path}").close()


def test_unix_path_that_is_a_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(OSError, match="cannot listen on unix:"):
        open_listener(f"unix:{path}")
    assert path.read_text() == "mine"


async def test_public_and_admin_listeners(tmp_path: Path) -> None:
    def saying(text: str) -> object:
        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text=f"{text} to {request.remote or 'a socket'}")

        return handler

    stop, ready = asyncio.Event(), asyncio.Event()
    public, admin = f"unix:{tmp_path}/public.sock", f"unix:{tmp_path}/admin.sock"
    serving = asyncio.ensure_future(
        serve(
            saying("public"),  # type: ignore[arg-type]
            public,
            stop=stop,
            ready=ready.set,
            limits=Limits(grace=1),
            admin=(saying("admin"), admin),  # type: ignore[arg-type]
        )
    )
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        for listen, text in ((public, b"public"), (admin, b"admin")):
            reader, writer = await asyncio.open_unix_connection(listen.removeprefix("unix:"))
            with contextlib.closing(writer):
                writer.write(get())
                assert body_of(await reader.read()) == text + b" to a socket"
        stop.set()
        await serving


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:aaaa:bbbb:cccc::1", "2001:db8:aaaa::/48"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_addresses_are_cut(address: str, network: str) -> None:
    assert network_of(address) == network
