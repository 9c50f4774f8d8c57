"""The access log in a file of its own, rotated by logrotate as examples/logrotate says."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.debian_programs import program
from tests.support.processes import ask, running
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

EXAMPLE = (ROOT / "examples/logrotate/consent-proxy").read_text("utf-8")
RELOAD = "systemctl kill --kill-who=main --signal=USR1 consent-proxy.service"


def wait_for(file: Path, requests: int) -> list[str]:
    """The paths in a log, once it has as many lines."""
    end = time.monotonic() + PATIENCE
    while True:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= requests:
            return [json.loads(line)["path"] for line in lines]
        assert time.monotonic() < end, lines
        time.sleep(0.05)


def paths(file: Path) -> list[str]:
    return [json.loads(line)["path"] for line in file.read_text().splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_line_is_lost(tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file, state = folder / "access.log", tmp_path / "state"
    with running(tmp_path, workers, proxy=f'access_log_file = "{file}"') as (process, *_, port):
        known = len(wait_for(file, 1))  # those by which it was seen to be up
        for number in range(10):
            ask(port, f"/before/{number}")
        wait_for(file, known + 10)
        rotation = tmp_path / "logrotate.conf"
        assert RELOAD in EXAMPLE
        told = EXAMPLE.replace(RELOAD, f"kill -USR1 {process.process.pid}")
        rotation.write_text(re.sub(r"^/var/log/\S+", f"{folder}/*.log", told, flags=re.MULTILINE))
        command = [
            program("logrotate", "logrotate"),
            "--force",
            "--state",
            str(state),
            str(rotation),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        end = time.monotonic() + PATIENCE
        number = 0
        while not (file.exists() and len(file.read_text().splitlines()) >= 5):
            assert time.monotonic() < end
            ask(port, f"/after/{number}")
            number += 1
        assert process.stop() == 0
    former = paths(folder / "access.log.1")
    assert sorted(former[known : known + 10]) == [f"/before/{one}" for one in range(10)]
    both = [one for one in former + paths(file) if one.startswith("/after/")]
    assert sorted(both) == sorted(f"/after/{one}" for one in range(number))
    assert '"path"' not in process.log, "a line of the access log among the messages"


def test_a_signal_with_no_file_does_nothing(tmp_path: Path) -> None:
    with running(tmp_path, 1) as (process, *_, port):
        subprocess.run(["kill", "-USR1", str(process.process.pid)], check=True)
        assert ask(port)[0] == 200
        assert process.stop() == 0


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "access.log"
    with running(tmp_path, 1, proxy=f'access_log_file = "{file}"') as (process, *_):
        assert process.process.wait(PATIENCE) == 1
    assert f"access_log_file: {file} cannot be written: No such file or directory" in process.errors
