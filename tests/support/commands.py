"""Runs a command of the console script and says how it ended."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from proxy.cli.app import app

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    exit_code: int
    out: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        return self.out.decode()

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def run(*arguments: object, stdin: bytes = b"") -> Done:
    """Without a terminal, in this process."""
    result: Any = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    # Whatever a mistake is, it is told in a sentence.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.stderr
    assert result.exit_code in {0, 1, 2}
    return Done(result.exit_code, result.stdout_bytes, result.stderr)


def on_terminal(*arguments: object, answers: str = "", **environment: str) -> tuple[int, str]:
    """Exit code and everything shown, on a terminal of 100 columns where `answers` are typed."""
    controller, terminal = pty.openpty()
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "TERM": "xterm-256color"}
    variables.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", *map(str, arguments)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**variables, **environment},
        close_fds=True,
    )
    os.close(terminal)
    # Whoever asks for more than is answered meets the end of the input, and does not wait.
    os.write(controller, answers.encode() + b"\x04" * 3)
    shown = b""
    while True:
        try:
            read = os.read(controller, 65_536)
        except OSError:  # the other side is closed
            break
        if not read:
            break
        shown += read
    os.close(controller)
    return process.wait(timeout=20), shown.decode()
