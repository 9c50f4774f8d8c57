"""Cloudflare's workerd with HTMLRewriter, as a yardstick; from npm, into bench/output."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.processes import TOOLS, MissingPeerError, Server, free_port, runtime

NAME = "workerd HTMLRewriter"
_SCRIPT = Path(__file__).parent / "peers" / "worker.js"
_CONFIG = """
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "origin", external = (address = "127.0.0.1:{origin}", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "worker", esModule = embed "worker.js"),
    (name = "table", json = embed "table.json"),
  ],
  compatibilityDate = "2025-01-01",
  bindings = [(name = "origin", service = "origin")],
);
"""


@contextlib.contextmanager
def workerd(folder: Path, origin_port: int, table: Path) -> Iterator[Server]:
    """Raises MissingPeerError where it cannot be installed."""
    program = _program()
    own = folder / "workerd"
    own.mkdir()
    shutil.copy(_SCRIPT, own / "worker.js")
    shutil.copy(table, own / "table.json")
    port = free_port()
    config = own / "config.capnp"
    config.write_text(_CONFIG.format(origin=origin_port, port=port))
    with runtime(NAME, [str(program), "serve", str(config)], port, own) as server:
        yield server


def _program() -> Path:
    place = TOOLS / "workerd"
    program = place / "node_modules" / ".bin" / "workerd"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingPeerError("workerd: npm is not installed")
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text("{}")
        command = [npm, "install", "--no-audit", "--no-fund", "workerd@1"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingPeerError(f"workerd: npm install failed: {done.stderr.strip()[-200:]}")
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise MissingPeerError(f"workerd does not run here: {result.stderr.strip()[-200:]}")
    return program
