"""A saved config takes effect by itself, in every worker and under load, and a bad one does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy.config.reload import KEYS_OF_THE_START
from tests.support.guarded import guarded
from tests.support.processes import Process, running
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

VISITORS = 8
TAG = (
    '[[tag]]\nvendor = "{vendor}"\nsites = ["www"]\napproved_by = "a"\n'
    "approved_on = 2020-01-01\nexpires = 2999-01-01\n"
)


ROOT = Path(__file__).parents[2]


def named(text: str, name: str) -> str:
    return text.replace('controller = "Example"', f'controller = "{name}"')


class Visitor:
    """One kept connection that asks without a pause, and what it saw last."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen = ""
        self.asked = 0
        self.connections = 0
        self.wrong: list[str] = []

    async def ask_on(self) -> None:
        trace = aiohttp.TraceConfig()

        async def connected(*_: object) -> None:
            self.connections += 1

        trace.on_connection_create_end.append(connected)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1), trace_configs=[trace]
        ) as session:
            while True:
                for path in ("/", "/.consent/preferences"):
                    url = f"http://127.0.0.1:{self.port}{path}"
                    try:
                        async with session.get(url, headers={"Host": "www.example.com"}) as reply:
                            body = await reply.text()
                            if reply.status != 200:
                                self.wrong.append(f"{path}: {reply.status}")
                    except (aiohttp.ClientError, OSError) as error:
                        self.wrong.append(f"{path}: {error!r}")
                        continue
                    self.asked += 1
                    if found := re.search(r"Name \d+", body):
                        self.seen = found[0]
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def visitors(port: int) -> AsyncIterator[list[Visitor]]:
    asking = [Visitor(port) for _ in range(VISITORS)]
    tasks = [asyncio.create_task(one.ask_on()) for one in asking]
    try:
        yield asking
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def all_see(asking: list[Visitor], name: str) -> bool:
    return all(one.seen == name for one in asking)


async def until(what: Callable[[], bool], log: Process) -> float:
    """Seconds until it is so."""
    start = time.monotonic()
    while not what():
        assert time.monotonic() < start + PATIENCE, log.log
        await asyncio.sleep(0.005)
    return time.monotonic() - start


async def told(admin: int, taken: bool, fault: str = "") -> list[str]:
    """Wait until both workers say that the config was taken, or that it was not, for a reason with
    `fault` in it; the faults that each tells.

    Each connection goes to one of the workers. A file that is written in steps is read in steps:
    until the last one a worker may name the fault of half of it.
    """
    found: dict[int, str] = {}
    end = time.monotonic() + PATIENCE
    while len(found) < 2:
        assert time.monotonic() < end, found
        # Workers that begin do not listen yet.
        with contextlib.suppress(aiohttp.ClientConnectorError):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{admin}/config") as reply,
            ):
                says = await reply.json()
                if says["taken"] is taken and fault in str(says["faults"]):
                    found[says["worker"]] = str(says["faults"])
    return [found[0], found[1]]


def admin_of(text: str) -> int:
    return int(text.partition('admin_listen = "127.0.0.1:')[2].partition('"')[0])


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def write_by_rename(path: Path, text: str) -> None:
    """As most editors and tools do."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(text)
    beside.replace(path)


def write_in_steps(path: Path, text: str) -> None:
    """As some editors do: emptied first."""
    with path.open("w") as file:
        for start in range(0, len(text), 200):
            file.write(text[start : start + 200])
            file.flush()


WAYS = (write_in_place, write_by_rename, write_in_steps)


async def test_twenty_changes_under_load(tmp_path: Path) -> None:
    (tmp_path / "tags").mkdir()
    with running(tmp_path, workers=2) as (process, config, text, port):
        text = f'include = ["tags/*.toml"]\n{text}'
        admin = admin_of(text)
        took: list[float] = []
        async with visitors(port) as asking:
            for number in range(20):
                name = f"Name {number}"
                save = WAYS[number % len(WAYS)]
                if number % 4 == 3:
                    save(config, text + "[[tag]]\n")  # bad
                    took.append(await until(lambda: "config rejected" in process.log, process))
                    await told(admin, False, 'no "vendor"')
                    assert {one.seen for one in asking} == {f"Name {number - 1}"}
                    (config.parent / "log").write_text("")
                    continue
                save(config, named(text, name))
                took.append(await until(partial(all_see, asking, name), process))
                await told(admin, True)
        print(
            f"{sum(one.asked for one in asking)} requests; a change took "
            f"{statistics.median(took):.3f} s (median), {max(took):.3f} s (slowest)"
        )
        assert [wrong for one in asking for wrong in one.wrong] == []
        assert [one.connections for one in asking] == [1] * VISITORS
        # How soon is printed, not asserted: a busy machine says nothing about the product. That
        # each change arrives is what `until` holds.
        assert "Traceback" not in process.log
        assert process.stop() == 0


async def see(port: int, name: str, process: Process) -> None:
    """Both workers show the name, in new connections."""
    end = time.monotonic() + PATIENCE
    same = 0
    while same < 12:
        assert time.monotonic() < end, process.log
        # Workers that begin do not listen yet.
        with contextlib.suppress(aiohttp.ClientConnectorError):
            async with (
                aiohttp.ClientSession() as session,
                session.get(
                    f"http://127.0.0.1:{port}/.consent/preferences",
                    headers={"Host": "www.example.com"},
                ) as reply,
            ):
                same = same + 1 if name in await reply.text() else 0


async def test_files_of_teams_links_and_a_worker_that_dies(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as (process, config, text, port):
        admin = admin_of(text)
        # A folder of tags that comes into being after the config names it.
        write_by_rename(config, named(f'include = ["tags/*.toml"]\n{text}', "Name 1"))
        await until(lambda: "no folder" in process.log, process)
        (tmp_path / "tags").mkdir()
        await see(port, "Name 1", process)
        (tmp_path / "tags" / "a.toml").write_text(TAG.format(vendor="nobody-knows"))
        await until(lambda: "tags/a.toml:2: unknown vendor" in process.log, process)
        assert all(
            f"{tmp_path}/tags/a.toml:2: unknown vendor" in faults
            for faults in await told(admin, False)
        )

        # The last good config lives on in a worker that is started while the file is bad.
        before = children(process)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: len(children(process) - before) == 2, process)
        await told(admin, False)
        await see(port, "Name 1", process)

        (tmp_path / "tags" / "a.toml").write_text(TAG.format(vendor="matomo"))
        await told(admin, True)

        # As Kubernetes swaps a ConfigMap: names are links into a folder that is replaced.
        for number in (2, 3):
            data = tmp_path / f"..{number}"
            data.mkdir()
            (data / "c.toml").write_text(named(text, f"Name {number}"))
            (tmp_path / "..tmp").symlink_to(data.name)
            (tmp_path / "..tmp").replace(tmp_path / "..data")
            if number == 2:
                (tmp_path / ".link").symlink_to("..data/c.toml")
                (tmp_path / ".link").replace(config)
            await see(port, f"Name {number}", process)

        # A new key, written by another machine or command.
        kids = json.dumps(await keys(port))
        (tmp_path / "0.pem").write_bytes(
            Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
        )
        (tmp_path / "0.pem").chmod(0o600)
        (tmp_path / "0.pem").replace(tmp_path / "keys" / "0000.pem")
        end = time.monotonic() + PATIENCE
        while json.dumps(await keys(port)) == kids:
            assert time.monotonic() < end, process.log
        assert "Traceback" not in process.log
        assert process.stop() == 0


def children(process: Process) -> set[int]:
    pid = process.process.pid
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


async def keys(port: int) -> object:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"http://127.0.0.1:{port}/.consent/jwks.json", headers={"Host": "www.example.com"}
        ) as reply,
    ):
        return json.loads(await reply.read())


async def test_what_takes_a_restart_is_named(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    found = re.search(r"((?:`\w+`,?\s(?:and )?)+)of `\[proxy\]`\schange\safter", guide)
    assert found is not None
    assert set(re.findall(r"`(\w+)`", found[0])) == set(KEYS_OF_THE_START)
    with running(tmp_path, workers=1) as (process, config, text, _):
        changed = "[proxy]\nmax_head_bytes = 9000\ndrain_timeout = 3"
        write_in_place(config, text.replace("[proxy]", changed))
        words = "changed, which takes effect after a restart only: max_head_bytes and drain_timeout"
        await until(lambda: words in process.log, process)


@pytest.mark.parametrize("how", ["poll", "off"])
async def test_without_word_from_the_system(tmp_path: Path, how: str) -> None:
    with running(tmp_path, workers=1) as (process, config, text, port):
        # What is watched is said at the start.
        process.stop()
        config.write_text(text.replace("[proxy]", f'[proxy]\nwatch = "{how}"'))
        process = Process(config)
        with guarded(process.process):
            try:
                await until(lambda: "listening" in process.log, process)
                await asyncio.sleep(0.3)
                write_in_place(config, named(config.read_text(), "Name 1"))
                if how == "off":
                    await asyncio.sleep(1)
                    assert "reloaded" not in process.log
                    process.process.send_signal(signal.SIGHUP)
                await until(lambda: "config reloaded" in process.log, process)
                await see(port, "Name 1", process)
                assert process.stop() == 0
            finally:
                if process.process.poll() is None:
                    process.process.kill()
                    process.process.wait()
