"""A tunnel adds nothing to a WebSocket and takes nothing away: in each case the client sees through
the proxy, byte for byte, what it sees of the origin itself.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from pytest_aiohttp import AiohttpRawServer

from tests.support.site import in_front_of
from tests.support.waiting import PATIENCE
from tests.support.websocket_cases import SECTIONS, TEXT, Case, frame

pytestmark = pytest.mark.slow


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def heard(port: int, case: Case) -> bytes:
    """All that comes back after the handshake, until the connection is closed."""
    lines = [
        "GET /socket HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(b'0123456789abcdef').decode()}",
    ]  # fmt: skip
    if case.deflate:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate")
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 23)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.partition(b"\r\n")[0]
        assert (b"permessage-deflate" in head) == case.deflate

        async def send() -> None:
            step = case.chop or len(case.sent)
            try:
                for at in range(0, len(case.sent), step):
                    writer.write(case.sent[at : at + step])
                    await writer.drain()
            except ConnectionError:
                return  # refused before all was sent

        sending = asyncio.create_task(send())
        got = b""
        try:
            while data := await reader.read(1 << 16):
                got += data
        except ConnectionResetError:
            pass  # closed with bytes unread, as some refusals are
        await sending
        writer.close()
    return got


@pytest.mark.parametrize("section", SECTIONS)
async def test_the_client_sees_what_the_origin_sends(
    section: str, tmp_path: Path, aiohttp_raw_server: AiohttpRawServer
) -> None:
    server = await aiohttp_raw_server(echo)
    assert server.port is not None
    cases = list(SECTIONS[section]())
    assert len({case.name for case in cases}) == len(cases) > 2
    async with in_front_of(server.port, tmp_path) as site:
        for case in cases:
            direct, relayed = await heard(server.port, case), await heard(site.port, case)
            assert relayed == direct, case.name
            assert direct, case.name


async def test_a_case_that_differs_is_seen(
    tmp_path: Path, aiohttp_raw_server: AiohttpRawServer
) -> None:
    """The comparison itself: an origin that answers otherwise is told apart."""
    case = Case("text", frame(TEXT, b"hello") + frame(8))
    other = Case("text", frame(TEXT, b"other") + frame(8))
    server = await aiohttp_raw_server(echo)
    assert server.port is not None
    assert await heard(server.port, case) != await heard(server.port, other)
