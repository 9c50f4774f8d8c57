"""Start a server, wait for its port, read its CPU time, end it: by its own process id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.guarded import guarded

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
TOOLS = Path(__file__).parent / "output" / "tools"
"""Where peers are installed that are no packages of the system."""


class MissingPeerError(Exception):
    """A peer that cannot be had here, and why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its main process and the port on loopback that it answers on."""

    name: str
    pid: int
    port: int


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def runtime(
    name: str,
    command: Sequence[str],
    port: int,
    folder: Path,
    *,
    start_seconds: float = 60,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run `command` until the block ends. Output goes to `<folder>/output.log`.

    Raises RuntimeError, with the end of that log, where the port does not open in time.
    """
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    with guarded(process):
        try:
            _wait_for_port(name, process, port, log, start_seconds)
            yield Server(name, process.pid, port)
        finally:
            _end(process)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all below it, in seconds (proc_pid_stat(5))."""
    return sum(_ticks(each) for each in _tree(pid)) / _TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Of a process and all below it, in KB. `pss` shares out shared pages, `private` has those that
    are not shared.
    """

    rss: int
    pss: int
    private: int


def memory(pid: int) -> MemoryUse:
    """What a server holds now (proc_pid_smaps_rollup(5))."""
    return _memory(_tree(pid))


def workers_memory(pid: int) -> MemoryUse:
    """What the first worker of a server holds: its first child, or itself where it has none."""
    parent, *children = _tree(pid)
    return _memory(children[:1] or [parent])


def memory_together(pid: int) -> int:
    """What all processes of a server hold together, in KB: what they share after a fork counts
    once, and so do the pages of files, whoever else maps those.
    """
    sums = [_rollup(each) for each in _tree(pid)]
    files = max(one["Rss"] - one["Anonymous"] for one in sums)
    return files + sum(one["Pss_Anon"] for one in sums)


def _memory(processes: Iterable[int]) -> MemoryUse:
    found = [_rollup(each) for each in processes]
    rss, pss = (sum(one[name] for one in found) for name in ("Rss", "Pss"))
    private = sum(one["Private_Clean"] + one["Private_Dirty"] for one in found)
    return MemoryUse(rss, pss, private)


def _rollup(pid: int) -> dict[str, int]:
    """KB of a process, by the names of proc_pid_smaps_rollup(5)."""
    _, *lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return {
        name: int(value) for name, value, *_ in (line.replace(":", " ").split() for line in lines)
    }


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _ticks(pid: int) -> int:
    # The command name, in brackets, may hold blanks: count the fields after it. utime and stime
    # are fields 14 and 15 of the line; the first field after the name is the third.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _wait_for_port(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path, seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    output = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{name} did not open port {port} within {seconds:g} s; it said:\n{output}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
