"""`python -m proxy run` as a process of its own: start, reload, stop, and what it says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.guarded import guarded
from tests.support.ports import free_ports
from tests.support.processes import ROOT, Process, ask, running
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow


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
            process.wait_for("config rejected", 2 * number)
            assert shows(ask(port, Cookie=cookie)[1]) == {"ga", "meta"}
        config.unlink()
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("config rejected", 2 * len(garbage) + 2)
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


def test_a_variables_value_is_never_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_ORIGIN", "http://s3cret-name.localhost:9")
    with running(tmp_path, workers=1) as (process, config, text, port):
        upstream = re.search(r'upstream = "([^"]+)"', text)
        assert upstream is not None
        config.write_text(text.replace(upstream[1], "${SECRET_ORIGIN}"))
        process.wait_for("config reloaded", 1)
        assert ask(port, "/never-seen")[0] in {502, 504}
        process.wait_for("${SECRET_ORIGIN}", 1)
        assert "s3cret" not in process.log


@pytest.mark.parametrize("workers", [1, 2])
def test_it_listens_when_it_says_so_and_tells_of_its_end(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, workers=workers) as (process, config, _, _):
        process.stop()
        port, admin = free_ports(2)
        text = re.sub(r'"127\.0\.0\.1:\d+"\nadmin_listen = "127\.0\.0\.1:\d+"',
                      f'"127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:{admin}"',
                      config.read_text())  # fmt: skip
        config.write_text(text)
        again = Process(config)
        with guarded(again.process):
            try:
                again.wait_for("listening on 127.0.0.1:")
                assert ask(port)[0] == 200  # refused, if it were not so
                assert again.stop() == 0
            finally:
                again.process.kill()
                again.process.wait()
        lines = [json.loads(line) for line in again.log.splitlines()]
        messages = [one["message"] for one in lines if "message" in one]
        assert any("SIGTERM: accepts no new connections" in one for one in messages), messages
        assert messages[-1] == "stopped"
        assert all(one["level"] in {"info", "warning", "error"} for one in lines if "level" in one)


def test_the_log_is_one_stream_of_json(tmp_path: Path) -> None:
    """Warnings of the config at the start, messages and the access log, on standard output."""
    with running(tmp_path, workers=2) as (process, config, text, port):
        config.write_text(text.replace("expires = 2999-01-01", "expires = 2020-01-02"))
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("config reloaded", 2)
        config.write_text('"nonsense')
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("config rejected", 2)
        assert ask(port)[0] == 200
        assert process.stop() == 0
        assert process.errors == ""
        lines = [json.loads(line) for line in process.log.splitlines()]
    kinds = {"message" if "message" in one else "path" for one in lines}
    assert kinds == {"message", "path"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", one["time"]) for one in lines)
