"""Sockets that outlive their process: a killed worker, a new version, systemd's activation."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.certificates import issue
from tests.support.guarded import guarded
from tests.support.ports import free_ports
from tests.support.processes import ROOT, ask, running
from tests.support.tls_client import client_context
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

TLS = '[tls]\n[[tls.certificate]]\nfile = "www.pem"\nkey = "www.key"\n'
START = re.compile(r"SIGUSR2: process (\d+) starts")


@dataclass
class Load:
    """Visitors without a pause: some on a connection for each request, some on one for many, which
    is opened again only where a response says that it closes.
    """

    port: int
    tls: bool
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def connection(self) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=PATIENCE, context=client_context()
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def visit(self, *, keep: bool, pause: float) -> None:
        connection = self.connection()
        number = 0
        while not self.stop.is_set():
            number += 1
            try:
                connection.request("GET", f"/{number % 7}", headers={"Host": "www.example.com"})
                reply = connection.getresponse()
                reply.read()
                found = "" if reply.status == 200 else f"status {reply.status}"
            except (OSError, http.client.HTTPException) as error:
                found = repr(error)
            with self._lock:
                self.answered += not found
                if found:
                    self.lost.append(found)
            if found or not keep or reply.will_close:
                connection.close()
                connection = self.connection()
            time.sleep(pause)
        connection.close()


@contextlib.contextmanager
def load(port: int, *, tls: bool = False) -> Iterator[Load]:
    """Four visitors; the second pair makes a pause that is longer than most loops of the proxy."""
    found = Load(port, tls)
    visitors = [
        threading.Thread(target=found.visit, kwargs={"keep": keep, "pause": pause})
        for keep in (False, True)
        for pause in (0.02, 0.2)
    ]
    for visitor in visitors:
        visitor.start()
    try:
        yield found
    finally:
        found.stop.set()
        for visitor in visitors:
            visitor.join()


def _end(pid: int) -> None:
    """End a process that is no child of ours, and wait for it."""
    end = time.monotonic() + PATIENCE
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while " Z " not in Path(f"/proc/{pid}/stat").read_text() and time.monotonic() < end:
            time.sleep(0.05)


@pytest.mark.parametrize(("workers", "tls"), [(1, False), (2, True)])
def test_a_new_process_takes_over_without_a_lost_request(
    workers: int, tls: bool, tmp_path: Path
) -> None:
    issue("www.example.com").write(tmp_path, "www")
    with running(tmp_path, workers, more=TLS if tls else "") as (process, _, text, port):
        admin = re.search(r'admin_listen = "127.0.0.1:(\d+)"', text)
        assert admin
        try:
            with load(port, tls=tls) as visitors:
                process.process.send_signal(signal.SIGUSR2)
                process.wait_for("listening on", 2, after_end=True)
                assert process.process.wait(PATIENCE) == 0
                status = ask(int(admin[1]), "/readyz", Host="127.0.0.1")[0]
        finally:
            for pid in START.findall(process.log):
                _end(int(pid))
        assert visitors.lost == []
        assert visitors.answered > 50
        assert status == 200
        assert "the new process serves" in process.log
        assert "Traceback" not in process.log


def test_a_new_process_that_cannot_serve_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path, 2) as (process, config, text, port), load(port) as visitors:
        config.write_text(text.replace("[policy]", "[polcy]"))
        process.wait_for("config rejected", 1)
        process.process.send_signal(signal.SIGUSR2)
        process.wait_for("hand-over failed: the new process ended with exit code 1")
        assert "polcy" in process.errors
        config.write_text(text)
        assert process.process.poll() is None
        assert ask(port)[0] == 200
        visitors.stop.set()
        assert visitors.lost == []
        assert process.stop() == 0


def _workers(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_what_waits_for_a_killed_worker_is_answered(tmp_path: Path) -> None:
    """Its socket is the parent's too: connections that it has not accepted wait for the next."""
    with running(tmp_path, 2) as (process, _, _, port):
        victim = _workers(process.process.pid)[0]
        os.kill(victim, signal.SIGSTOP)
        visitors = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(40)]
        request = b"GET /x HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
        for visitor in visitors:
            visitor.sendall(request)
        os.kill(victim, signal.SIGKILL)
        answers = [b"".join(iter(lambda v=v: v.recv(65536), b"")) for v in visitors]  # type: ignore[misc]
        for visitor in visitors:
            visitor.close()
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 40
        assert process.stop() == 0


def test_sockets_of_systemd(tmp_path: Path) -> None:
    """Started with them, as by a socket unit; the supervisor is told when it serves."""
    ports = free_ports(2)
    listening = {
        name: socket.create_server(("127.0.0.1", 0)) for name in ("consent-proxy.socket", "admin")
    }
    with running(tmp_path, 1) as (origin, config, text, _):
        assert origin.stop() == 0
        for was, now in zip(re.findall(r'listen = "127.0.0.1:(\d+)"', text), ports, strict=True):
            text = text.replace(was, str(now))  # other ports: nobody may have to open them
        config.write_text(text)
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind(str(tmp_path / "notify"))
        notices.settimeout(PATIENCE)
        script = (
            "import os, sys\n"
            "fds = [int(one) for one in sys.argv[1].split(',')]\n"
            "fds = [os.dup(os.dup(os.dup(fd))) for fd in fds]\n"  # away from 3 and 4
            "for number, fd in enumerate(fds): os.dup2(fd, 3 + number)\n"
            "os.environ['LISTEN_PID'] = str(os.getpid())\n"
            "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])\n"
        )
        numbers = [one.fileno() for one in listening.values()]
        process = subprocess.Popen(
            [sys.executable, "-c", script, ",".join(map(str, numbers)), "-m", "proxy", "run",
             "--config", str(config)],
            cwd=ROOT, pass_fds=numbers, stdout=(tmp_path / "out").open("w"),
            env={
                **os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": ":".join(listening),
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
            },
        )  # fmt: skip
        with guarded(process):
            try:
                assert notices.recv(100) == f"READY=1\nMAINPID={process.pid}".encode()
                visitors, admin = (one.getsockname()[1] for one in listening.values())
                assert ask(visitors)[0] in {200, 502}  # its origin has ended by now
                assert ask(admin, "/healthz", Host="127.0.0.1")[0] == 200
            finally:
                process.terminate()
                process.wait(PATIENCE)
                notices.close()
                for one in listening.values():
                    one.close()
        log = (tmp_path / "out").read_text()
        assert "Traceback" not in log
        assert json.loads(log.splitlines()[-1])["message"] == "stopped"
