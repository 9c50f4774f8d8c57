"""mitmproxy with an addon, as a yardstick; from PyPI, into an environment below bench/output."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.processes import TOOLS, MissingPeerError, Server, free_port, runtime

NAME = "mitmproxy + addon"
_ADDON = Path(__file__).parent / "peers" / "addon.py"


@contextlib.contextmanager
def mitmproxy(folder: Path, origin_port: int, table: Path) -> Iterator[Server]:
    """Raises MissingPeerError where it cannot be installed."""
    program = _program()
    own = folder / "mitmproxy"
    own.mkdir()
    port = free_port()
    command = [
        str(program), "--mode", f"reverse:http://127.0.0.1:{origin_port}", "--listen-host",
        "127.0.0.1", "--listen-port", str(port), "--set", f"confdir={own}", "--set",
        "keep_host_header=true", "--quiet", "--scripts", str(_ADDON),
    ]  # fmt: skip
    environment = {**os.environ, "BENCH_TABLE": str(table)}
    # Ours, not the project's: it has an environment of its own.
    environment.pop("PYTHONPATH", None)
    with runtime(NAME, command, port, own, environment=environment) as server:
        yield server


def _program() -> Path:
    place = TOOLS / "mitmproxy"
    program = place / "bin" / "mitmdump"
    if program.exists():
        return program
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [str(place / "bin" / "python"), "-m", "pip", "-q", "install", "mitmproxy>=11"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingPeerError(f"mitmproxy: {done.stderr.strip()[-200:]}")
    return program
