"""`top`: what the running proxy does, on a terminal, in a pipe and for scripts."""

from __future__ import annotations

import contextlib
import json
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from tests.support.commands import run
from tests.support.ports import free_ports
from tests.support.processes import ROOT, ask, running
from tests.support.site import config_text

pytestmark = pytest.mark.slow

SITE = "www"


@contextlib.contextmanager
def admin(address: str | None = None) -> Iterator[str]:
    """The metrics of a proxy that answers one request between two looks, and one choice."""
    metrics = Metrics()
    metrics.watch_all("upstream_exchanges", lambda: {("http://10.0.0.1", "active"): 7})
    metrics.watch_all("upstream_up", lambda: {(SITE, "http://10.0.0.1"): 0.0})

    class Admin(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics_text(metrics) if self.path == "/metrics" else b""
            metrics.count("requests", SITE, "2xx", "hit")
            metrics.count("choices", SITE, "accept_all", "opt_in")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    class Unix(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    server: socketserver.BaseServer
    if address is None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Admin)
        address = f"127.0.0.1:{server.server_address[1]}"
    else:
        server = Unix(address.removeprefix("unix:"), Admin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()


def config_for(folder: Path, address: str) -> Path:
    file = folder / "c.toml"
    file.write_text(config_text(9).replace("[proxy]", f'[proxy]\nadmin_listen = "{address}"', 1))
    return file


@pytest.mark.parametrize("on_socket", [False, True])
def test_once(on_socket: bool, tmp_path: Path) -> None:
    with admin(f"unix:{tmp_path / 'a.sock'}" if on_socket else None) as address:
        config = config_for(tmp_path, address)
        shown = run("top", "--once", "--interval", 1, "--config", config)
    assert shown.exit_code == 0
    assert "\x1b" not in shown.stdout
    assert re.search(r"^www +\d\.\d +100% +0% +0% ", shown.stdout, re.M)
    assert re.search(r"^http://10\.0\.0\.1 +DOWN +7 ", shown.stdout, re.M)
    assert re.search(r"^www accept all +1 +1 *$", shown.stdout, re.M)


def test_in_a_pipe_that_is_closed(tmp_path: Path) -> None:
    """Look after look, as text or as lines of JSON; `head` ends it without a word."""
    with admin() as address:
        config = config_for(tmp_path, address)
        for form, lines in (([], 5), (["--json"], 2)):
            command = [sys.executable, "-m", "proxy", "top", "-n", "1", "-c", str(config), *form]
            with subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                read = [process.stdout.readline() for _ in range(lines)]
                process.stdout.close()
                assert process.wait(60) == 0
                assert process.stderr.read() == ""
            if form:
                assert [json.loads(line)["choices"][0]["new"] for line in read] == [1, 1]
            else:
                assert re.match(r"\d{4}-\d\d-\d\dT", read[0])
                assert "\x1b" not in "".join(read)


def test_nobody_there(tmp_path: Path) -> None:
    config = config_for(tmp_path, f"127.0.0.1:{free_ports(1)[0]}")
    done = run("top", "--once", "--config", config)
    assert done.exit_code == 1
    assert "is the proxy running?" in done.stderr


def test_of_a_running_proxy(tmp_path: Path) -> None:
    with running(tmp_path, 1) as (process, config, _, port):
        stop = threading.Event()

        def visit() -> None:
            while not stop.wait(0.05):
                ask(port)

        visitor = threading.Thread(target=visit)
        visitor.start()
        try:
            done = run("top", "--once", "--json", "--interval", 3, "--config", config)
        finally:
            stop.set()
            visitor.join()
        found = json.loads(done.stdout)
        assert found["workers"] == 1
        assert found["takes_config"] is True
        (site,) = found["sites"]
        assert site["site"] == "www"
        assert site["requests_per_second"] > 0
        assert found["upstreams"][0]["active_limit"] == 256
        purged = run("purge", "*", "--config", config)
        assert purged.exit_code == 0, purged.output
        assert process.stop() == 0
