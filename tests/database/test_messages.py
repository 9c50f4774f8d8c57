"""Messages to all nodes: in order, once, and not lost by those who were away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
import pytest

from proxy.database.messages import listen as listen_to
from proxy.database.messages import publish
from proxy.database.postgresql import DatabaseError
from tests.support.postgresql import Server
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def listening(url: str, *topics: str) -> AsyncIterator[list[str]]:
    """What a node is told of some topics. It listens already."""
    heard: list[str] = []
    handlers = dict.fromkeys((*topics, "ready"), heard.append)
    task = asyncio.create_task(listen_to(url, handlers))
    try:
        while "ready" not in heard:
            await publish(url, "ready", "ready")
            await asyncio.sleep(0.05)
        heard[:] = [one for one in heard if one != "ready"]
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(heard: list[str], *expected: str) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE
    while [one for one in heard if one != "ready"] != list(expected):
        assert asyncio.get_running_loop().time() < end, heard
        await asyncio.sleep(0.02)


async def test_all_nodes_are_told_in_order(server: Server) -> None:
    url = server.new_database()
    async with listening(url, "purge") as first, listening(url, "purge", "other") as second:
        for number in range(20):
            await publish(url, "purge", str(number))
        await publish(url, "other", "x")
        await until(first, *map(str, range(20)))
        await until(second, *map(str, range(20)), "x")


async def test_who_was_away_reads_on(server: Server) -> None:
    url = server.new_database()
    async with listening(url, "purge") as heard:
        await publish(url, "purge", "before")
        await until(heard, "before")
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await publish(url, "purge", "meanwhile")
        await until(heard, "before", "meanwhile")


async def test_what_lasts_is_told_to_a_node_that_starts(server: Server) -> None:
    url = server.new_database()
    await publish(url, "key", "revoked", lasting=True)
    await publish(url, "key", "old")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE message SET sent_at = sent_at - interval '10 minutes'")
    await publish(url, "key", "recent")  # a worker may have started anew since
    async with listening(url, "key") as heard:
        await until(heard, "revoked", "recent")
        await publish(url, "key", "again", lasting=True)
        await until(heard, "revoked", "recent", "again")


async def test_a_handler_that_fails_ends_nothing(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.new_database()
    async with listening(url, "purge") as heard:
        failing = asyncio.create_task(listen_to(url, {"purge": int}))
        try:
            while "could not be acted upon" not in caplog.text:
                await publish(url, "purge", "no number")
                await asyncio.sleep(0.05)
            assert not failing.done()
        finally:
            failing.cancel()
        assert "no number" in heard


async def test_who_cannot_send_is_told(server: Server) -> None:
    with pytest.raises(DatabaseError, match=r"no connection; it must run.*does not exist"):
        await publish(server.url("nowhere"), "purge", "*")
