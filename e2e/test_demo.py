"""`python -m examples.demo`, as `make demo` starts it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from http.client import HTTPConnection

import pytest

from examples.demo.running import REPOSITORY, Ports
from tests.support.guarded import guarded
from tests.support.ports import free_ports

START_SECONDS = 90


def start(ports: Ports) -> subprocess.Popen[str]:
    flags = [f"--{name}-port={port}" for name, port in asdict(ports).items()]
    return subprocess.Popen(
        [sys.executable, "-m", "examples.demo", *flags],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def welcome_of(process: subprocess.Popen[str]) -> str:
    """What it prints until it is up."""
    assert process.stdout is not None
    text, deadline = "", time.monotonic() + START_SECONDS
    while "Ctrl-C" not in text:
        ready, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
        assert ready, f"not up after {START_SECONDS} s: {text}"
        chunk = os.read(process.stdout.fileno(), 4096).decode()
        assert chunk, f"it stopped: {process.communicate()}"
        text += chunk
    return text


def ask(port: int, method: str, path: str, host: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


@pytest.fixture
def ports() -> Ports:
    return Ports(*free_ports(4))


@pytest.fixture
def started(ports: Ports) -> Iterator[subprocess.Popen[str]]:
    process = start(ports)
    with guarded(process):
        yield process
        process.terminate()  # it stops the proxy, which a kill would leave behind
        process.communicate(timeout=20)


def test_it_says_what_to_open_and_stops_cleanly(
    started: subprocess.Popen[str], ports: Ports
) -> None:
    text = welcome_of(started)
    assert f"http://localhost:{ports.proxy}/" in text
    assert f"http://vendors.localhost:{ports.vendors}/" in text
    assert ask(ports.proxy, "GET", "/", f"localhost:{ports.proxy}")[0] == 200
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=15) == 0
    for port in asdict(ports).values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"{port} is still in use"


def test_vendors_count_and_start_over(started: subprocess.Popen[str], ports: Ports) -> None:
    welcome_of(started)
    here = f"vendors.localhost:{ports.vendors}"
    ask(ports.vendors, "GET", "/tr?id=1", f"facebook.localhost:{ports.vendors}")
    ask(ports.vendors, "GET", "/gtag/js?id=G-1", f"googletagmanager.localhost:{ports.vendors}")
    state = json.loads(ask(ports.vendors, "GET", "/hits.json", here)[1])
    assert {v["id"]: v["hits"] for v in state["vendors"] if v["hits"]} == {
        "meta-pixel": 1,
        "google-analytics": 1,
    }
    assert ask(ports.vendors, "POST", "/reset", here)[0] == 204
    assert json.loads(ask(ports.vendors, "GET", "/hits.json", here)[1])["total"] == 0
    assert b"What the vendors see" in ask(ports.vendors, "GET", "/", here)[1]


def test_taken_port_is_said_with_what_to_do(ports: Ports) -> None:
    with socket.create_server(("127.0.0.1", ports.origin)):
        process = start(ports)
        _, error = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 1
    assert f"Port {ports.origin} (origin) is taken" in error
    assert "--origin-port" in error
    assert "Traceback" not in error
