"""A reader of the log that stalls, or leaves, stops nothing."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.observability.log_output import LogOutput, open_log_file
from tests.support.processes import ask, running
from tests.support.waiting import PATIENCE

LINE = "x" * 99 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(writing)


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with os.fdopen(writing, "w", closefd=False) as out:
        output = LogOutput(out)
        for number in range(10):
            output.write(f"{number}\n")
        output.drain(PATIENCE)
    assert os.read(reading, 4096) == b"".join(b"%d\n" % number for number in range(10))
    os.close(reading)


def test_what_finds_no_room_is_dropped_and_told(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    dropped: list[int] = []
    with os.fdopen(writing, "w", closefd=False) as out:
        output = LogOutput(out, max_waiting=1000)
        output.on_drop = dropped.append
        began = time.monotonic()
        for _ in range(500):
            output.write(LINE)
        output.drain(0.1)
        assert time.monotonic() - began < 5
        assert 440 < sum(dropped) < 495  # the pipe takes 40, 10 may wait
        got = b""
        while b"dropped" not in got:
            got += os.read(reading, 65536)
            output.write(LINE)
        output.drain(PATIENCE)
    told = re.findall(rb"(\d+) lines of the log were dropped", got)
    assert 0 < int(told[0]) <= sum(dropped)
    os.close(reading)


def test_a_closed_pipe_stops_nothing(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    with os.fdopen(writing, "w", closefd=False) as out:
        output = LogOutput(out)
        for _ in range(100):
            output.write(LINE)
        output.drain(PATIENCE)


@pytest.mark.parametrize("length", [9, 99, 230, 4095, 4096, 4097, 9000])
def test_lines_of_several_workers_do_not_mix(length: int) -> None:
    """A pipe takes up to 4096 bytes in one piece (POSIX, write)."""
    # The reader of such a pipe gets one write after the other (Linux, pipe(2), O_DIRECT).
    reading, writing = os.pipe2(os.O_DIRECT)
    text = "".join(f"{number:x}" * (length - 1) + "\n" for number in range(5))
    with os.fdopen(writing, "w") as out:
        output = LogOutput(out)
        output.write(text)
        output.drain(PATIENCE)
    pieces = []
    while piece := os.read(reading, 65536):
        pieces.append(piece)
    os.close(reading)
    assert b"".join(pieces) == text.encode()
    if length <= 4096:
        assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in pieces)


def test_a_file_gets_all_lines_at_once(tmp_path: Path) -> None:
    text = LINE * 1000
    with (tmp_path / "log").open("w") as out:
        output = LogOutput(out)
        output.write(text)
        output.drain(PATIENCE)
    assert (tmp_path / "log").read_text() == text


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_stalled_reader_stops_neither_requests_nor_the_end(tmp_path: Path, workers: int) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with running(tmp_path, workers=workers, log=writing) as (process, _, _, port):
        for number in range(200):
            assert ask(port, f"/{number}" + "x" * 200)[0] == 200
        assert process.stop() == 0
    os.close(writing)
    assert len(os.read(reading, 65536)) > 1000
    os.close(reading)


def test_no_signal_comes_to_the_thread(tmp_path: Path) -> None:
    """With the default action it would end the parent process, which waits for it elsewhere."""
    before = set(Path("/proc/self/task").iterdir())
    with (tmp_path / "log").open("w") as out:
        output = LogOutput(out)
        output.write("a line\n")
        output.drain()
        (thread,) = set(Path("/proc/self/task").iterdir()) - before
        status = (thread / "status").read_text("ascii")
        blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
        assert all(blocked >> (number - 1) & 1 for number in (signal.SIGTERM, signal.SIGHUP))
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_file_is_opened_anew(tmp_path: Path) -> None:
    path, former = tmp_path / "access.log", tmp_path / "access.log.1"
    output = LogOutput(path)
    output.reopen()  # nothing is open yet
    output.write("1\n")
    output.drain(PATIENCE)
    path.rename(former)
    output.write("2\n")
    output.reopen()
    output.write("3\n")
    output.drain(PATIENCE)
    assert former.read_text() == "1\n2\n"
    assert path.read_text() == "3\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_opened_anew_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    output = LogOutput(folder / "access.log")
    output.write("1\n")
    output.drain(PATIENCE)
    folder.rename(tmp_path / "away")
    output.reopen()
    output.write("2\n")
    output.drain(PATIENCE)
    assert (tmp_path / "away/access.log").read_text() == "1\n2\n"
    assert "cannot be opened: No such file or directory" in caplog.text


def test_a_full_disk_is_counted() -> None:
    dropped: list[int] = []
    output = LogOutput(Path("/dev/full"))
    output.on_drop = dropped.append
    output.write("1\n2\n")
    output.drain(PATIENCE)
    output.write("3\n")
    assert dropped == [2]


def test_a_log_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    for text in (b"1", b"2"):
        descriptor = open_log_file(path)
        os.write(descriptor, text)
        os.close(descriptor)
    assert path.read_bytes() == b"12"
