"""What the tests start ends with them, though they are killed."""

from __future__ import annotations

import contextlib
import re
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


_HELPERS = {
    "postgresql": "with postgresql() as at: print(at._process.pid, flush=True); time.sleep(300)",
    "origin": """
with running(SERVERS["flask"]) as at:
    print(at.process.pid, flush=True)
    time.sleep(300)
""",
    "successor": """
with processes.running(Path(sys.argv[1]), 1) as (process, *_):
    process.process.send_signal(signal.SIGUSR2)
    process.wait_for("listening on", 2, after_end=True)
    process.process.wait()
    print(re.search(r"SIGUSR2: process (\\d+) starts", process.log)[1], flush=True)
    time.sleep(300)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", _HELPERS)
def test_helpers_of_the_tests_are_guarded(name: str, tmp_path: Path) -> None:
    imports = (
        "import re, signal, sys, time\nfrom pathlib import Path\n"
        "from tests.support import processes\n"
        "from tests.support.postgresql import postgresql\n"
        "from tests.support.servers import SERVERS, running\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", imports + _HELPERS[name], str(tmp_path)], cwd=ROOT,
        stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _runs(pid)
        parent.kill()
        end = time.monotonic() + PATIENCE
        while _runs(pid):
            assert time.monotonic() < end, "left behind"
            time.sleep(0.05)


_ENDS_BY_ITSELF = {
    "bench/compile_beside.py": "its input ends",
    "tests/build/test_guarded.py": "is about that",
    "tests/cli/test_top.py": "writes into a pipe that ends",
    "tests/cookies/test_choice_readers.py": "its input ends",
    "tests/receipts/test_outbox.py": "writes into a pipe that ends",
    "tests/receipts/test_store.py": "writes into a pipe that ends",
    "tests/support/commands.py": "its terminal ends",
    "tests/support/guarded.py": "is the guard",
}


def test_whoever_starts_a_process_guards_it() -> None:
    starts = re.compile(r"\b(?:Popen|create_subprocess_exec|create_subprocess_shell)\(")
    found = {
        str(path.relative_to(ROOT))
        for folder in ("tests", "e2e", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if not {"node_modules", "output"}.intersection(path.parts)
        and starts.search(text := path.read_text())
        and not re.search(r"\bguard(?:ed)?\(", text)
    }
    assert found <= _ENDS_BY_ITSELF.keys(), found - _ENDS_BY_ITSELF.keys()


@pytest.mark.slow
def test_nobody_is_ended_when_the_block_is_left() -> None:
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as process:
        with guarded(process):
            pass
        assert process.poll() is None
        process.kill()
