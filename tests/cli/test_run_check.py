"""`run --check`: whether a start would work; it makes nothing and binds nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.commands import run

CONFIG = """\
[proxy]
listen = "LISTEN"
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
"""


def write(folder: Path, more: str = "", listen: str = "127.0.0.1:0") -> Path:
    path = folder / "c.toml"
    path.write_text(CONFIG.replace("LISTEN", listen) + more)
    return path


def test_a_good_config_starts_and_nothing_is_made(tmp_path: Path) -> None:
    config = write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run("run", "--check", "--config", config)
    assert (done.exit_code, done.stdout) == (0, f"{config}: the proxy can start with it\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_running_proxy_is_not_in_the_way(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = write(tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}")
        assert run("run", "--check", "--config", config).exit_code == 0


EXPIRED = """
[[tag]]
vendor = "google-analytics"
sites = ["www"]
approved_by = "m@example.com"
approved_on = 2020-11-02
expires = 2021-11-02
"""


def test_an_expired_tag_is_told_and_does_not_stop_the_start(tmp_path: Path) -> None:
    config = write(tmp_path, EXPIRED)
    done = run("run", "--check", "--config", config)
    assert done.exit_code == 0
    assert "expired" in done.stdout
    assert run("check", config).exit_code == 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("\n[preferences]\nkeys_command = [\"/no/such/program\"]\n", "cannot be run"),
        ('\n[preferences]\nkeys_variable = "NO_SUCH_VARIABLE"\n', "is not set or empty"),
        ('\n[receipts]\nstore = "sqlite:////dev/null/receipts.db"\n', "no file can be made here"),
        ("\n[prox]\n", "c.toml:"),
    ],
)  # fmt: skip
def test_what_would_stop_the_start(tmp_path: Path, more: str, says: str) -> None:
    done = run("run", "--check", "--config", write(tmp_path, more))
    assert done.exit_code == 1, done.output
    assert says in done.stderr
