"""An upstream that leads back to the proxy itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.forwarding import Visit, origin
from tests.support.site import in_front_of


async def test_a_loop_is_broken_before_it_waits_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An upstream that leads back here: without a look at CDN-Loop first, the second request would
    wait for the answer to the first, which waits for it."""
    front: list[int] = []

    async def back(visit: Visit) -> None:
        while True:
            exchange = await visit.request()
            reader, writer = await asyncio.open_connection("127.0.0.1", front[0])
            head, _, _ = exchange.head.partition(b"\r\n\r\n")
            writer.write(head + b"\r\nConnection: close\r\n\r\n")
            visit.writer.write(await reader.read())
            writer.close()
            visit.writer.close()

    async with origin(back) as upstream, in_front_of(upstream.port, tmp_path) as site:
        front.append(site.port)
        answers = await asyncio.gather(*(site.ask(f"/{n % 2}") for n in range(4)))
    assert [answer.status for answer in answers] == [508] * 4
    assert len(upstream.exchanges) <= 4
    assert "came from this proxy itself" in caplog.text
