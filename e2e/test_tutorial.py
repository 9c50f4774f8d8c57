"""docs/tutorial.md, walked: from nothing to a gated site, by every command that it names.

The commands are run as they stand, but for ports and for what installs the program; names of others
lead the browser to this machine, where nobody answers.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.chromium import loopback_program
from tests.support.commands import ROOT
from tests.support.guarded import guarded
from tests.support.ports import free_ports

DOC = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)(?: ([\w./-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INSTALLS = {"pip", "playwright"}
_PATIENCE = 120.0
"""Seconds in which a server must answer."""


def _steps() -> Iterator[tuple[str, list[str]]]:
    """Each command, with the lines that it says."""
    for kind, _, text in _BLOCK.findall(DOC):
        if kind == "console":
            for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, said = step.partition("\n")
                yield command, said.splitlines()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With this tree's `consent-proxy`, and a browser that reaches this machine only."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (
        ("consent-proxy", f'exec "{sys.executable}" -m proxy "$@"'),
        ("python3", f'exec "{sys.executable}" "$@"'),
    ):
        program = programs / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CHROMIUM": str(loopback_program(programs)),
    }


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def _await(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _answers(url):
        assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(0.1)


def test_each_command_does_what_the_tutorial_says(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    for _, name, text in _BLOCK.findall(DOC):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    ports = dict(zip(("9100", "8080", "8081"), map(str, free_ports(3)), strict=True))
    config = tmp_path / "consent-proxy.toml"
    servers: list[subprocess.Popen[bytes]] = []
    walked: list[str] = []
    guards = contextlib.ExitStack()

    def here(text: str) -> str:
        return re.sub(r"\b(9100|8080|8081)\b", lambda found: ports[found[0]], text)

    try:
        for command, said in _steps():
            program = command.split()[0]
            walked.append(program)
            if program in _INSTALLS:
                continue
            if command.endswith(" &"):
                plain = here(command.removesuffix(" &"))
                servers.append(
                    subprocess.Popen(["sh", "-c", f"exec {plain}"], cwd=tmp_path, env=environment)
                )
                guards.enter_context(guarded(servers[-1]))
                port = "9100" if program == "python3" else "8080"
                _await(f"http://localhost:{ports[port]}/")
                continue
            done = subprocess.run(
                ["sh", "-c", here(command)],
                cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
                timeout=300,
            )  # fmt: skip
            shown = (done.stdout + done.stderr).splitlines()
            assert done.returncode == 0, (command, shown)
            assert [here(line) for line in said if here(line) not in shown] == [], shown
            if "init" in command:
                config.write_text(here(config.read_text()))
    finally:
        for server in servers:
            server.terminate()
            server.wait(60)
        guards.close()
    assert walked.count("consent-proxy") >= 8
    assert set(walked) - {"consent-proxy", "python3", "sed"} == _INSTALLS
    assert {"before.html", "after.html"} <= {path.name for path in tmp_path.iterdir()}
    assert "Meta Pixel" in (tmp_path / "before.html").read_text()
