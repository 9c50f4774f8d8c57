"""`python -m bench.start [--base TREE]`: from the start of the process to its first reply, and what
a worker holds then, beside another checkout.

Both start in turns, several times; of each figure the least counts. As in an installed package the
modules are compiled before (the first start of each is not counted), and the catalogue is prepared.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from bench import proxy
from bench.processes import cpu_seconds, free_port, memory_together, workers_memory
from tests.support.guarded import guarded

_PAGE = b"<!doctype html><html lang=en><title>A page</title><p>Hello"
_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)
_SETTLED = 4.0
"""Seconds until a worker has made what it makes after its start."""


@dataclass(frozen=True, slots=True)
class StartCost:
    """Seconds from `exec` to the first byte of a page, CPU seconds of all processes until then, MB
    of one worker (in all, and of that nothing is shared with another process) and of all processes
    together.
    """

    seconds: float
    cpu_seconds: float
    rss_mb: float
    private_mb: float
    together_mb: float


class _Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def _origin() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Origin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _start(tree: Path, origin: int, workers: int, compiled: Path) -> StartCost:
    with tempfile.TemporaryDirectory(prefix="consent-proxy-start-") as name:
        folder, port = Path(name), free_port()
        config = folder / "c.toml"
        config.write_text(proxy.config_text(folder, port, origin, workers=workers))
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(compiled)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "run", "--config", str(config)],
            cwd=tree,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with guarded(process):
            try:
                _first_reply(process, port)
                took, cpu = time.monotonic() - begun, cpu_seconds(process.pid)
                time.sleep(_SETTLED)
                held, together = workers_memory(process.pid), memory_together(process.pid)
            finally:
                process.terminate()
                process.wait(30)
    return StartCost(took, cpu, held.rss / 1024, held.private / 1024, together / 1024)


def _first_reply(process: subprocess.Popen[bytes], port: int) -> None:
    head = (
        f"GET / HTTP/1.1\r\nHost: {proxy.HOST}:{port}\r\nAccept: text/html\r\n"
        f"Accept-Encoding: gzip\r\nSec-Fetch-Dest: document\r\nUser-Agent: {_AGENT}\r\n\r\n"
    )
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as one:
            one.sendall(head.encode())
            if not one.recv(100).startswith(b"HTTP/1.1 200 "):
                raise RuntimeError("the first reply is not a page")
            return
        time.sleep(0.005)
    raise RuntimeError(f"it ended with exit code {process.returncode}")


def measure_own(workers: int = 1, rounds: int = 3) -> StartCost:
    """This checkout: of each figure the least of several starts."""
    here = Path(__file__).resolve().parents[1]
    _prepare(here)
    with _origin() as origin, tempfile.TemporaryDirectory(prefix="consent-proxy-pyc-") as compiled:
        return _least(
            [_start(here, origin, workers, Path(compiled)) for _ in range(rounds + 1)][1:]
        )


def _least(costs: Sequence[StartCost]) -> StartCost:
    return StartCost(*map(min, zip(*map(astuple, costs), strict=True)))


def _prepare(tree: Path) -> None:
    """What the build of a package makes, where the checkout knows of it."""
    program = tree / "consent_rules" / "catalogue" / "prepared.py"
    if program.exists():
        subprocess.run([sys.executable, str(program)], check=True)


def bare_interpreter_mb() -> float:
    """What a Python process holds that has imported nothing (`VmRSS`, proc_pid_status(5))."""
    told = "print(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')))"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[1]) / 1024


def measure(trees: list[Path], rounds: int) -> None:
    """Print a line for each checkout and number of workers."""
    for tree in trees:
        _prepare(tree)
    with _origin() as origin, tempfile.TemporaryDirectory(prefix="consent-proxy-pyc-") as compiled:
        for workers in (1, 2):
            found: dict[Path, list[StartCost]] = {tree: [] for tree in trees}
            for count in range(rounds + 1):
                for number, tree in enumerate(trees):
                    cost = _start(tree, origin, workers, Path(compiled, str(number)))
                    if count or workers > 1:
                        found[tree].append(cost)
            for tree, costs in found.items():
                one = _least(costs)
                print(
                    f"{tree!s:30} {workers} worker(s): {one.seconds:.2f} s to the first reply, "
                    f"{one.cpu_seconds:.2f} s of CPU; a worker holds {one.rss_mb:.0f} MB, "
                    f"{one.private_mb:.0f} MB of it alone; together they hold "
                    f"{one.together_mb:.0f} MB"
                )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--base", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    measure([here, *([options.base.resolve()] if options.base else [])], options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
