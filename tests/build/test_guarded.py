"""What the tests start ends with them, though they are killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.guarded import guarded
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
_PARENT = """
import os, subprocess, sys, threading, time
from tests.support.guarded import guarded

own_group = sys.argv[1] == "group"
ends_its_own = "" if own_group else "trap 'kill $!' TERM; "
children = ends_its_own + "sleep 300 & echo $!; wait"
made = []

def start():  # in a thread that ends at once
    made.append(subprocess.Popen(
        ["/bin/sh", "-c", children], stdout=subprocess.PIPE, start_new_session=own_group))

thread = threading.Thread(target=start)
thread.start()
thread.join()
with guarded(made[0]):
    print(made[0].pid, made[0].stdout.readline().decode().strip(), flush=True)
    time.sleep(300)
"""


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("group", ["group", "alone"])
def test_what_was_started_ends_with_a_killed_parent(number: signal.Signals, group: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, group], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        start_new_session=True, stderr=subprocess.DEVNULL,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        pids = [int(one) for one in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(_runs, pids))
        parent.send_signal(number)
        end = time.monotonic() + PATIENCE
        while any(map(_runs, pids)):
            assert time.monotonic() < end, "left behind"
            time.sleep(0.05)


@pytest.mark.slow
def test_nobody_is_ended_when_the_block_is_left() -> None:
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as process:
        with guarded(process):
            pass
        assert process.poll() is None
        process.kill()
