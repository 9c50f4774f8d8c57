"""`python -m proxy run` as a process of its own: start, reload, stop, and what it says."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.site import PAGE, config_text
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class _Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        return


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Process:
    """The command, and what it wrote to stderr so far."""

    def __init__(self, config: Path) -> None:
        self._log = (config.parent / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "run", "--config", str(config)],
            cwd=ROOT,
            stderr=self._log,
        )

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        end = time.monotonic() + PATIENCE
        while self.log.count(text) < times:
            assert time.monotonic() < end, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running(folder: Path, workers: int) -> Iterator[tuple[Process, Path, str, int]]:
    """The process, its config file and text, and its port."""
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), _Origin)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port, admin = free_ports(2)
    text = config_text(upstream.server_address[1]).replace(
        'listen = "127.0.0.1:0"',
        f'listen = "127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:{admin}"\nworkers = {workers}\n'
        'admin_hosts = ["admin.example.com"]',
    )
    config = folder / "c.toml"
    config.write_text(text)
    process = Process(config)
    try:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.process.poll() is None:
            with contextlib.suppress(OSError):
                if ask(port)[0] == 200:
                    break
            time.sleep(0.1)
        yield process, config, text, port
    finally:
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait()
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


def shows(body: bytes) -> set[str]:
    hosts = {"ga": b"google-analytics.com/", "meta": b"connect.facebook.net/"}
    return {name for name, host in hosts.items() if host in body}


def test_reload(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as (process, config, text, port):
        _, _, cookies = ask(
            port,
            "/.consent/choice",
            Sec_Fetch_Site="same-origin",
            Content_Type="application/x-www-form-urlencoded",
        )
        cookie = cookies[0].partition(";")[0]
        assert shows(ask(port, Cookie=cookie)[1]) == {"ga", "meta"}

        admin = int(text.partition('admin_listen = "127.0.0.1:')[2].partition('"')[0])
        own = f"127.0.0.1:{admin}"
        asked = [ask(admin, path, Host=own)[0] for path in ("/healthz", "/readyz", "/x")]
        assert asked == [200, 200, 404]
        assert ask(admin, "/config", Host="evil.example")[0] == 421
        assert ask(admin, "/config", Host="admin.example.com")[0] == 200

        # Every bad file is refused, and the good config goes on serving.
        garbage = [
            b"\xff\xfe\0", b"nonsense", text.replace("google-analytics", "gogle").encode(),
            text.replace("[preferences]", "").encode() + b'[preferences]\nkeys = "c.toml"\n',
        ]  # fmt: skip
        for number, bad in enumerate(garbage, 1):
            config.write_bytes(bad)
            process.process.send_signal(signal.SIGHUP)
            process.wait_for("config not taken", 2 * number)
            assert shows(ask(port, Cookie=cookie)[1]) == {"ga", "meta"}
        config.unlink()
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("config not taken", 2 * len(garbage) + 2)
        assert shows(ask(port, Cookie=cookie)[1]) == {"ga", "meta"}

        # A good one is taken by every worker; the visitor's choice still counts.
        start = text.index('[[tag]]\nvendor = "meta-pixel"')
        end = text.index("[[tag]]", start + 1)
        config.write_text(text[:start] + text[end:])
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("config reloaded", 2)
        for _ in range(8):
            assert shows(ask(port, Cookie=cookie)[1]) == {"ga"}

        # A folder without a key is refused. With one, all workers sign and check with it.
        config.write_text(text + '\n[preferences]\nkeys = "new-keys/"\n')
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("there is no key in this folder")
        assert shows(ask(port, Cookie=cookie)[1]) == {"ga"}
        assert not (tmp_path / "new-keys").exists()
        subprocess.run(
            [sys.executable, "-m", "proxy", "keys", "rotate", "--config", str(config)],
            cwd=ROOT, check=True, timeout=60,
        )  # fmt: skip
        process.process.send_signal(signal.SIGHUP)
        (key,) = (tmp_path / "new-keys").glob("*.pem")
        # More than one line a worker where the file is looked at and the signal comes, too.
        deadline = time.monotonic() + PATIENCE
        while set(map(_kid, [port] * 8)) != {key.stem.partition("-")[2]}:
            assert time.monotonic() < deadline, process.log
            time.sleep(0.05)
        assert shows(ask(port, Cookie=cookie)[1]) == set()
        assert "Traceback" not in process.log
        assert process.stop() == 0


def _kid(port: int) -> str:
    """The one key of the worker that happens to answer."""
    (key,) = json.loads(ask(port, "/.consent/jwks.json")[1])["keys"]
    return str(key["kid"])


def test_what_keeps_it_from_starting(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as (process, _, text, port):
        second = tmp_path / "second"
        second.mkdir()
        for name, content, says in (
            ("taken.toml", text, f"cannot listen on '127.0.0.1:{port}'"),
            ("keys.toml", text + '[preferences]\nkeys = "file/"\n', "keys: "),
        ):
            (second / "file").write_text("")
            (second / name).write_text(content)
            done = subprocess.run(
                [sys.executable, "-m", "proxy", "run", "--config", str(second / name)],
                cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
            )  # fmt: skip
            assert done.returncode == 1
            assert says in done.stderr
            assert str(second / name) in done.stderr
            assert "Traceback" not in done.stderr
        assert ask(port)[0] == 200
        assert process.stop() == 0
