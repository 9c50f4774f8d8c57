"""Memory, signals and crashes, seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.support.forwarding import (
    TEXT,
    Visit,
    answers,
    body_of,
    client,
    exchange,
    get,
    ok,
    origin,
    status_of,
)
from tests.support.running import running
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20
SIZE = 30 * MEGABYTE


async def ask_worker(port: int) -> dict[str, int]:
    answer: dict[str, int] = json.loads(body_of(await exchange(port, get(b"/.pid"))))
    return answer


def peak_memory(pid: int) -> int:
    """The most memory that the process ever held, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


linux_only = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@linux_only
async def test_large_bodies_both_ways_in_bounded_memory() -> None:
    """The upstream takes the upload slowly and the visitor takes the download slowly."""
    block = os.urandom(MEGABYTE)
    received = 0

    async def script(visit: Visit) -> None:
        nonlocal received
        while True:
            head = await visit.head()
            if head.startswith(b"POST"):
                while received < SIZE:
                    received += len(await visit.reader.read(MEGABYTE))
                    if received < 5 * MEGABYTE:
                        await asyncio.sleep(0.02)
                await visit.send(ok())
            else:
                await visit.send(TEXT + b"Content-Length: %d\r\n\r\n" % SIZE)
                for _ in range(SIZE // MEGABYTE):
                    await visit.send(block)

    async with origin(script) as upstream, running(upstream.port) as (process, port):
        await ask_worker(port)
        before = peak_memory(process.pid)

        async with client(port) as visitor:
            await visitor.send(get(b"/", b"Content-Length: %d" % SIZE, method=b"POST"))
            for _ in range(SIZE // MEGABYTE):
                await visitor.send(block)
            assert status_of(await visitor.head()) == 200
        assert received == SIZE

        async with client(port) as visitor:
            await visitor.send(get())
            await visitor.head()
            size = 0
            while chunk := await visitor.reader.read(MEGABYTE):
                size += len(chunk)
                if size < 5 * MEGABYTE:
                    await asyncio.sleep(0.02)
        assert size == SIZE
        grown = peak_memory(process.pid) - before
    assert grown < 4 * MEGABYTE, f"{grown / MEGABYTE:.1f} MB more"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_drain_finishes_what_streams(workers: int, number: signal.Signals) -> None:
    go_on = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(TEXT + b"Content-Length: 10\r\n\r\nfirst")
        await go_on.wait()
        await visit.send(b"later")

    async with (
        origin(script) as upstream,
        running(upstream.port, workers=workers) as (process, port),
    ):
        async with client(port) as visitor, client(port) as idle:
            await idle.send(b"GET /.pid HTTP/1.1\r\nHost: a.example\r\n\r\n")
            await idle.head()
            await visitor.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            await visitor.head()
            process.send_signal(number)
            await asyncio.sleep(0.4)
            with pytest.raises(OSError):  # nothing new is accepted
                await asyncio.open_connection("127.0.0.1", port)
            await idle.rest(1)  # an idle connection is closed at once
            assert process.poll() is None
            go_on.set()
            assert await visitor.rest() == b"firstlater"  # and then it is closed
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0


async def test_drain_lets_an_upload_finish() -> None:
    async with origin(answers(ok())) as upstream, running(upstream.port) as (process, port):
        async with client(port) as visitor:
            await visitor.send(
                b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nfirst"
            )
            await asyncio.sleep(0.2)
            process.terminate()
            await asyncio.sleep(0.3)
            await visitor.send(b"later")
            response = await visitor.rest()
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    assert status_of(response) == 200
    assert b"Connection: close" in response
    assert upstream.exchanges[0].body == b"firstlater"


async def test_drain_ends_after_its_grace() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(TEXT + b"Content-Length: 10\r\n\r\nfirst")
        await visit.reader.read()

    async with (
        origin(script) as upstream,
        running(upstream.port, workers=2) as (process, port),
        client(port) as visitor,
    ):
        await visitor.send(get())
        await visitor.head()
        began = time.monotonic()
        process.terminate()
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
        # Not before the grace; that it ends at all is the grace's doing, for the origin never does.
        assert time.monotonic() - began > 4


async def test_crashed_worker_is_restarted() -> None:
    async with origin(answers(ok())) as upstream, running(upstream.port, workers=2) as (_, port):
        before = await pids(port, 2)
        with contextlib.suppress(ConnectionError):
            await exchange(port, get(b"/.crash"))
        after = await pids(port, 2, without=before)
        assert len(before & after) == 1


async def pids(port: int, count: int, without: set[int] = frozenset()) -> set[int]:  # type: ignore[assignment]
    """The workers that answer, once there are `count` of them with one not in `without`."""
    end = time.monotonic() + PATIENCE
    recent: list[int] = []
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            recent.append((await ask_worker(port))["pid"])
        seen = set(recent[-30:])
        if len(seen) == count and seen - without:
            return seen
        await asyncio.sleep(0.02)
    raise TimeoutError(f"{count} workers never answered: {set(recent)}")


@pytest.mark.parametrize("workers", [1, 2])
async def test_reload_reaches_every_worker_and_a_failing_one_changes_nothing(workers: int) -> None:
    async with (
        origin(answers(ok())) as upstream,
        running(upstream.port, workers=workers) as (process, port),
    ):
        before = await pids(port, workers)
        for count in (1, 2, 3):  # the second raises
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.3)
            seen: dict[int, int] = {}
            while len(seen) < workers:
                answer = await ask_worker(port)
                seen[answer["pid"]] = answer["reloads"]
            assert set(seen) == before
            assert set(seen.values()) == {count}


@linux_only
async def test_workers_do_not_outlive_a_killed_parent() -> None:
    async with (
        origin(answers(ok())) as upstream,
        running(upstream.port, workers=2) as (
            process,
            port,
        ),
    ):
        workers = await pids(port, 2)
        process.kill()
        await asyncio.to_thread(wait_for_end, workers)


def wait_for_end(workers: set[int]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            return
        time.sleep(0.05)
    raise TimeoutError("workers are still there")


async def test_address_in_use_ends_the_start_with_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running(1, workers=2, port=port) as (process, _):
            _, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert process.returncode == 1
    assert f"cannot listen on '127.0.0.1:{port}'" in err.decode()
    assert "giving up" in err.decode()


async def test_access_log_of_a_process() -> None:
    async with origin(answers(ok())) as upstream, running(upstream.port) as (process, port):
        await exchange(port, get(b"/a?secret=1"))
        process.terminate()
        out, _ = await asyncio.to_thread(process.communicate, timeout=10)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["path"] for line in lines if line["path"] != "/.pid"] == ["/a"]
    assert b"secret" not in out
