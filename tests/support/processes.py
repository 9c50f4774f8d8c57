"""The proxy as a process of its own, and a local origin for it."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.guarded import guarded
from tests.support.ports import free_ports
from tests.support.site import PAGE, config_text
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


class LocalOrigin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """By default 5: on a loaded machine connections wait for seconds."""


class Process:
    """The command, and what it wrote so far: its log, and what it wrote to stderr."""

    def __init__(self, config: Path, log: int | None = None, module: str = "proxy") -> None:
        self._log = (config.parent / "log").open("w+")
        self._errors = (config.parent / "errors").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "run", "--config", str(config)],
            cwd=ROOT,
            stdout=self._log if log is None else log,
            stderr=self._errors,
            # With those that it hands over to, so that all of them end with the tests.
            start_new_session=True,
        )

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    @property
    def errors(self) -> str:
        return Path(self._errors.name).read_text()

    def wait_for(self, text: str, times: int = 1, *, after_end: bool = False) -> None:
        """Wait for a line of the log; `after_end`: of another process that writes it, too."""
        end = time.monotonic() + PATIENCE
        while self.log.count(text) < times:
            assert time.monotonic() < end, self.log
            assert after_end or self.process.poll() is None, self.log
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running(
    folder: Path,
    workers: int,
    *,
    more: str = "",
    proxy: str = "",
    origin: type[BaseHTTPRequestHandler] = LocalOrigin,
    log: int | None = None,
    module: str = "proxy",
) -> Iterator[tuple[Process, Path, str, int]]:
    """The process, its config file and text, and its port. `more` is added to the config, `proxy`
    to its [proxy]; `log` is a descriptor for its log, in place of the file; `module` is what Python
    runs.
    """
    upstream = _Server(("127.0.0.1", 0), origin)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port, admin = free_ports(2)
    text = config_text(upstream.server_address[1], more=more).replace(
        'listen = "127.0.0.1:0"',
        f'listen = "127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:{admin}"\nworkers = {workers}\n'
        f'admin_hosts = ["admin.example.com"]\n{proxy}',
    )
    config = folder / "c.toml"
    config.write_text(text)
    process = Process(config, log, module)
    speaks_other = "[tls]" in more or "proxy_protocol" in proxy
    guard = contextlib.ExitStack()
    try:
        guard.enter_context(guarded(process.process))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.process.poll() is None:
            with contextlib.suppress(OSError):
                if "listening on" in process.log if speaks_other else ask(port)[0] == 200:
                    break
            time.sleep(0.1)
        yield process, config, text, port
    finally:
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait()
        guard.close()
        upstream.shutdown()
        upstream.server_close()


def ask(port: int, path: str = "/", **headers: str) -> tuple[int, bytes, list[str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": "www.example.com", **{k.replace("_", "-"): v for k, v in headers.items()}}
    method, body = ("POST", "action=accept_all") if path.endswith("/choice") else ("GET", None)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers.get_all("Set-Cookie") or []
    finally:
        connection.close()
