"""`/healthz` is about the worker, `/readyz` about what it needs to serve."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from yarl import URL

from proxy.observability.readiness import unready
from proxy.receipts.place import StorePlace
from proxy.receipts.recorder import Recorder
from proxy.upstream.group import Member, UpstreamGroup
from proxy.upstream.server import server_at
from tests.support.forwarding import answers, ok, origin


def group(*urls: str) -> UpstreamGroup:
    return UpstreamGroup("www", tuple(Member(server_at(url)) for url in urls))


def refusing() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


async def test_one_upstream_that_takes_connections_is_enough() -> None:
    down, other = group(refusing()), group(refusing())
    async with origin(answers(ok())) as upstream:
        up = group(str(upstream.url))
        assert await unready([up], None, stopping=False) == []
        assert await unready([down, up], None, stopping=False) == []
        assert await unready([up], None, stopping=True) == ["it is stopping"]
    (problem,) = await unready([down, other, down], None, stopping=False)
    assert problem.startswith("no upstream takes connections: ")
    assert problem.count("http://") == 2


async def test_receipts_that_cannot_be_written(tmp_path: Path) -> None:
    place = StorePlace(tmp_path / "no such folder" / "r.db", tmp_path / "key.pem", "example.com")
    recorder = Recorder(place)
    (tmp_path / "no such folder").write_text("a file")
    async with origin(answers(ok())) as upstream:
        (problem,) = await unready([group(str(upstream.url))], recorder, stopping=False)
    assert problem.startswith("receipts cannot be written: ")
    await asyncio.wait_for(recorder.close(), 10)


async def test_a_database_that_is_away_takes_no_node_out(tmp_path: Path) -> None:
    """Choices are recorded in the outbox: all nodes would leave the load balancer at once."""
    database = f"postgresql://consent@127.0.0.1:{URL(refusing()).port}/consent"
    place = StorePlace(tmp_path / "outbox.db", tmp_path / "key.pem", "example.com", database)
    recorder = Recorder(place)
    async with origin(answers(ok())) as upstream:
        assert await unready([group(str(upstream.url))], recorder, stopping=False) == []
    await asyncio.wait_for(recorder.close(), 10)


async def test_an_outbox_that_cannot_be_opened_does(tmp_path: Path) -> None:
    (tmp_path / "no folder").write_text("a file")
    place = StorePlace(
        tmp_path / "no folder" / "outbox.db", tmp_path / "key.pem", "example.com",
        f"postgresql://consent@127.0.0.1:{URL(refusing()).port}/consent",
    )  # fmt: skip
    recorder = Recorder(place)
    async with origin(answers(ok())) as upstream:
        (problem,) = await unready([group(str(upstream.url))], recorder, stopping=False)
    assert problem.startswith("receipts cannot be written: ")
    await asyncio.wait_for(recorder.close(), 10)


async def test_servers_that_one_bad_page_ejected_are_asked() -> None:
    """Else that page would take every node out of the load balancer."""
    async with origin(answers(ok())) as upstream:
        two = group(str(upstream.url), refusing())
        for member in two.members:
            for _ in range(two.policy.max_fails):
                two.failed(member, 0.0, "it broke", closed=True)
        assert not any(member.health.is_up for member in two.members)
        assert await unready([two], None, stopping=False) == []


async def test_a_server_that_is_held_for_down_is_not_asked() -> None:
    async with origin(answers(ok())) as upstream:
        two = group(str(upstream.url), refusing())
        assert await unready([two], None, stopping=False) == []
        for _ in range(two.policy.fall):
            two.checked(two.members[0], 0.0, "it sleeps")
        (problem,) = await unready([two], None, stopping=False)
        assert problem.startswith("no upstream takes connections: ")
    assert upstream.connections == 1
