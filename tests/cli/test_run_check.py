"""`run --check`: whether a start would work; it makes nothing and takes no port of the config."""

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


CAN_START = "the proxy can start with it (whether its ports are free was not tried)"


def write(folder: Path, more: str = "", listen: str = "127.0.0.1:0") -> Path:
    path = folder / "c.toml"
    path.write_text(CONFIG.replace("LISTEN", listen) + more)
    return path


def test_a_good_config_starts_and_nothing_is_made(tmp_path: Path) -> None:
    config = write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = run("run", "--check", "--config", config)
    assert (done.exit_code, done.stdout) == (0, f"{config}: {CAN_START}\n")
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


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("access_log_file", "nonexist/access.log", "access_log_file: "),
        ("access_log_file", ".", "cannot be written: Is a directory"),
        ("admin_listen", "192.0.2.7:18556", "cannot listen on '192.0.2.7:18556'"),
        ("admin_listen", "192.0.2.7:18556", "No interface of this machine has that address"),
        ("admin_listen", "unix:/nonexist/admin.sock", "cannot listen on unix:/nonexist/admin.sock"),
        ("admin_listen", "unix:/etc/passwd", "cannot listen on unix:/etc/passwd"),
    ],
)
def test_what_a_start_would_open(tmp_path: Path, key: str, value: str, says: str) -> None:
    config = write(tmp_path)
    config.write_text(config.read_text().replace("[proxy]\n", f'[proxy]\n{key} = "{value}"\n'))
    before = sorted(tmp_path.rglob("*"))
    done = run("run", "--check", "--config", config)
    assert (done.exit_code, CAN_START in done.stdout) == (1, False), done.output
    assert says in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("is_there", [False, True])
def test_a_log_file_is_not_made(tmp_path: Path, is_there: bool) -> None:
    config = write(tmp_path)
    config.write_text(config.read_text().replace("[proxy]", '[proxy]\naccess_log_file = "a.log"'))
    log = tmp_path / "a.log"
    if is_there:
        log.write_text("a line\n")
    assert run("run", "--check", "--config", config).exit_code == 0
    assert (log.read_text() if is_there else log.exists()) == ("a line\n" if is_there else False)


def test_a_socket_of_a_running_proxy_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as taken:
        taken.bind(str(path))
        config = write(tmp_path, listen=f"unix:{path}")
        assert run("run", "--check", "--config", config).exit_code == 0
    assert path.is_socket()
