"""docs/marketing.md, walked: its files written, its commands run, what they say compared."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support.commands import ROOT, run
from tests.support.guarded import guarded

pytestmark = pytest.mark.slow

DOC = (ROOT / "docs" / "marketing.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)(?: ([\w.-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PIXEL, ANALYTICS = b"fbq('init'", b"googletagmanager.com/gtag"


def _plain(text: str) -> list[str]:
    """Lines without what changes from day to day, and without the widths of columns."""
    text = re.sub(r"\d{4}-\d\d-\d\d", "DAY", text)
    text = re.sub(r"\d+ days\)", "N days)", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _commands() -> Iterator[tuple[str, list[str]]]:
    for kind, _, text in _BLOCK.findall(DOC):
        if kind != "console":
            continue
        for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, said = step.partition("\n")
            yield command, _plain(said)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for _, name, text in _BLOCK.findall(DOC):
        if name:
            (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _walk(command: str) -> list[str]:
    program, *arguments = shlex.split(command)
    if program == "cp":
        shutil.copy(*arguments)
        return []
    assert program == "consent-proxy"
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return _plain(done.output)


def test_every_command_says_what_the_document_shows(folder: Path) -> None:
    steps = list(_commands())
    assert len(steps) >= 7
    for command, expected in steps:
        said = _walk(command)
        for line in expected:
            assert line in said or any(shown.startswith(line) for shown in said), (command, said)
    assert run("check", "consent-proxy.toml").exit_code == 1  # an expired tag is told
    tags = {
        tag["vendor"]: tag for tag in tomllib.loads(Path("consent-proxy.toml").read_text())["tag"]
    }
    assert list(tags) == ["google-analytics", "meta-pixel"]
    assert Path("consent-proxy.toml").read_text().startswith("# Acme's website.")


# --- The same, seen by a visitor


@pytest.fixture
def site(folder: Path) -> Iterator[Callable[[bool], bytes]]:
    """The proxy, run as in the document. Gives the page for a visitor with all allowed, or none."""
    (folder / "index.html").write_bytes((folder / "page.html").read_bytes())
    handler = functools.partial(_Quiet, directory=str(folder))
    origin = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    port, admin = _free_port(), _free_port()
    config = folder / "consent-proxy.toml"
    config.write_text(
        f'[proxy]\nlisten = "127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:{admin}"\nworkers = 1\n'
        + config.read_text().replace(":9100", f":{origin.server_port}")
    )
    shutil.copy(config, folder / "before.toml")
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "run", "--config", "consent-proxy.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )

    def page(allowed: bool) -> bytes:
        there = f"http://127.0.0.1:{port}"
        headers = {"Host": "localhost", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        action = "accept_all" if allowed else "reject_all"
        form = urllib.parse.urlencode({"action": action, "return_to": "/"}).encode()
        asked = urllib.request.Request(f"{there}/.consent/choice", form, headers)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(asked, timeout=10) as reply:  # the redirect leads to the page
            return bytes(reply.read())

    with guarded(process):
        try:
            until(lambda: page(False), seconds=30)
            yield page
        finally:
            process.terminate()
            process.wait(timeout=20)
            origin.shutdown()
            origin.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(met: Callable[[], object], *, seconds: float = 10) -> None:
    """Ask again and again: the proxy takes up a saved file by itself."""
    end = time.monotonic() + seconds
    while True:
        try:
            if met():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_a_visitor_sees_what_the_document_says(site: Callable[[bool], bytes]) -> None:
    assert PIXEL not in site(True), "no tag yet"
    assert ANALYTICS in site(True)
    for command, _ in _commands():
        if " tag add " in command or " tag expire " in command:
            _walk(command)
        if " tag add " in command:
            until(lambda: PIXEL in site(True))
            assert PIXEL not in site(False), "only with consent"
            assert ANALYTICS in site(True)
    until(lambda: ANALYTICS not in site(True))
    assert PIXEL in site(True)
