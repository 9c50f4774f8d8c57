"""`make demo` in its first minute: taken ports, Ctrl-C at any time, nothing odd on the screen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from consent_rules.config.theme import contrast
from examples.demo.running import (
    REPOSITORY,
    Ports,
    StartError,
    config_text,
    is_free,
    make_keys,
    settle,
)
from examples.demo.vendors import page_told
from proxy.cookies.signing_keys import key_files, read_keys
from tests.support.guarded import guarded
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture
def free() -> Ports:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        return Ports(*(one.getsockname()[1] for one in found))


@contextlib.contextmanager
def taken(*ports: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def test_free_ports_are_taken_as_they_are(free: Ports) -> None:
    assert settle(free) == (free, [])


def test_for_each_taken_port_another_is_found_and_said(free: Ports) -> None:
    with taken(free.proxy, free.origin, free.vendors):
        settled, said = settle(free)
        assert all(map(is_free, asdict(settled).values()))
    assert settled.admin == free.admin
    assert len(set(asdict(settled).values())) == 4
    assert [line.partition(":")[0] for line in said] == [
        f"Port {getattr(free, name)} ({name}) is taken by another program"
        for name in ("proxy", "origin", "vendors")
    ]
    for name, line in zip(("proxy", "origin", "vendors"), said, strict=True):
        assert line.endswith(f"taking {getattr(settled, name)}.")


def test_all_taken_ports_that_were_asked_for_are_said_at_once(free: Ports) -> None:
    with taken(free.proxy, free.origin, free.vendors), pytest.raises(StartError) as raised:
        settle(free, {"proxy", "vendors"})
    lines = str(raised.value).splitlines()
    assert [line.split()[1] for line in lines] == [str(free.proxy), str(free.vendors)]
    assert "--proxy-port N or DEMO_PROXY_PORT=N" in lines[0]


def test_a_program_on_the_other_loopback_address_counts(free: Ports) -> None:
    """A browser asks `localhost` at ::1 first."""
    try:
        other = socket.create_server(("::1", free.proxy), family=socket.AF_INET6)
    except OSError:
        assert is_free(free.proxy), "without IPv6 nobody can be there"
        return
    with other:
        assert not is_free(free.proxy)


def test_its_config_has_neither_fault_nor_warning(free: Ports, tmp_path: Path) -> None:
    config = tmp_path / "consent-proxy.toml"
    config.write_text(config_text(free, tmp_path))
    ran = subprocess.run(
        [sys.executable, "-m", "proxy", "check", str(config)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    assert "warning" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "until", [b"== the demo\n", b"starting consent-proxy", b"Ctrl-C stops everything"]
)
async def test_ctrl_c_stops_it_at_any_time(until: bytes, free: Ports) -> None:
    flags = [f"--{name}-port={port}" for name, port in asdict(free).items()]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.demo", *flags),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    with guarded(process):
        async with asyncio.timeout(4 * PATIENCE):
            said = await process.stdout.readuntil(until)
            process.send_signal(signal.SIGINT)
            # To the end: every process that holds its output, the proxy too, is gone then.
            said += await process.stdout.read()
            # Before it has its own way to stop, it ends by the signal, as shells expect.
            assert await process.wait() in {0, -signal.SIGINT}
    assert b"Traceback" not in said
    assert b"warning" not in said.lower()
    assert all(map(is_free, asdict(free).values()))


def test_the_first_start_makes_a_key_and_the_next_one_keeps_it(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    first = key_files(tmp_path / "keys")
    make_keys(tmp_path / "keys")
    assert key_files(tmp_path / "keys") == first
    assert read_keys(tmp_path / "keys")


@pytest.mark.parametrize(
    ("sent", "page"),
    [
        ("v=2&dl=http%3A%2F%2Flocalhost%3A8080%2Fblog&dt=x", "http://localhost:8080/blog"),
        ("id=4&ev=PageView&dl=http%3A%2F%2Flocalhost%2F", "http://localhost/"),
        ("v=2&url=http%3A%2F%2Flocalhost%2Fa", "http://localhost/a"),
        ("e=view&u=http%3A%2F%2Flocalhost%2Fa", "http://localhost/a"),
        ('{"page":"http://localhost/contact"}', "http://localhost/contact"),
        ('{"url":"http://localhost/contact","nodes":3}', "http://localhost/contact"),
        ("http://localhost/contact", "http://localhost/contact"),
        ("id=GTM-BRIGHT", ""),
        ("", ""),
    ],
)
def test_the_vendors_page_names_the_page_and_not_its_origin_for_all(sent: str, page: str) -> None:
    assert page_told(sent) == page


@pytest.mark.parametrize("dark", [False, True])
def test_coloured_words_of_the_demo_can_be_read(dark: bool) -> None:
    """WCAG 2.2, 1.4.3."""
    css = (REPOSITORY / "examples/demo/assets/site.css").read_text("utf-8")
    found: dict[str, str] = {}
    for name, value in re.findall(r"--(warm|paper): (#[0-9a-f]{3,6})", css):
        if dark or name not in found:
            found[name] = value
    assert contrast(found["warm"], found["paper"]) >= 4.5
