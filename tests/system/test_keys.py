"""Signing keys of a running proxy: revoked in all workers, also while the config is wrong; read
from a command that fails; and warned of when they are old.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.cookies.signing_keys import make_key
from tests.support.commands import run
from tests.support.processes import Process, ask, running
from tests.support.prometheus_text import samples
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

WORKERS = 2


def choice(port: int) -> str:
    _, _, cookies = ask(
        port, "/.consent/choice", Sec_Fetch_Site="same-origin",
        Content_Type="application/x-www-form-urlencoded",
    )  # fmt: skip
    return cookies[0].partition(";")[0]


def decided(port: int, cookie: str) -> bool:
    state = json.loads(ask(port, "/.consent/state", Cookie=cookie)[1])
    return bool(state["categories"]["analytics"])


def kids(port: int) -> set[str]:
    return {key["kid"] for key in json.loads(ask(port, "/.consent/jwks.json")[1])["keys"]}


def until(what: Callable[[], bool], process: Process) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, process.log
        time.sleep(0.02)


def in_all_workers(what: Callable[[], bool]) -> Callable[[], bool]:
    """A connection goes to one of the workers: often enough to have met each."""
    return lambda: all(what() for _ in range(12))


def test_a_revoked_key_counts_in_no_worker(tmp_path: Path) -> None:
    with running(tmp_path, workers=WORKERS) as (process, config, _, port):
        cookie = choice(port)
        assert in_all_workers(lambda: decided(port, cookie))()
        (old,) = kids(port)
        assert run("keys", "revoke", old, "--config", config).exit_code == 0
        until(in_all_workers(lambda: not decided(port, cookie)), process)
        assert old not in kids(port)
        again = choice(port)
        assert in_all_workers(lambda: decided(port, again))()
        assert "were signed by a key that was revoked" in process.log

        # While the config is wrong: the file that another node sends.
        (now,) = kids(port)
        config.write_text("nonsense")
        process.wait_for("config rejected", WORKERS)
        (tmp_path / "keys" / f"{now}.revoked").write_text("")
        until(in_all_workers(lambda: not decided(port, again)), process)
        assert ask(port)[0] == 200
        assert "Traceback" not in process.log
        assert process.stop() == 0


def test_a_command_that_fails_keeps_the_keys(tmp_path: Path) -> None:
    make_key(tmp_path, datetime.datetime.now(datetime.UTC)).rename(tmp_path / "first")
    script = tmp_path / "vault"
    script.write_text("#!/bin/sh\ncat first\n")
    script.chmod(0o700)
    more = '\n[preferences]\nkeys_command = ["./vault"]\nkeys_command_timeout = 30\n'
    with running(tmp_path, workers=WORKERS, more=more) as (process, config, text, port):
        assert not (tmp_path / "keys").exists()
        (first,) = kids(port)
        cookie = choice(port)
        script.write_text("#!/bin/sh\necho sealed >&2; exit 2\n")
        config.write_text(text + "\n")
        process.wait_for("keys_command ./vault: ended with 2: sealed")
        assert in_all_workers(lambda: decided(port, cookie))()
        # The vault is open again, and has a second key.
        make_key(tmp_path, datetime.datetime.now(datetime.UTC)).rename(tmp_path / "second")
        script.write_text("#!/bin/sh\ncat first second\n")
        config.write_text(text + "\n\n")
        until(in_all_workers(lambda: len(kids(port)) == 2), process)
        assert in_all_workers(lambda: decided(port, cookie))()
        # It still has the key, and the config revokes it: also where the vault fails again.
        script.write_text("#!/bin/sh\nexit 3\n")
        revoked = f'revoked_keys = ["{first}"]\nkeys_command ='
        config.write_text(text.replace("keys_command =", revoked))
        until(in_all_workers(lambda: not decided(port, cookie)), process)
        assert first not in kids(port)
        assert process.stop() == 0


def test_an_old_key_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=95)
    make_key(tmp_path / "keys", began)
    more = "\n[preferences]\nrotate_days = 90\n"
    with running(tmp_path, workers=WORKERS, more=more) as (process, config, text, _):
        process.wait_for("was due to be replaced on")
        assert process.log.count("was due to be replaced on") == 1  # by one worker
        admin = int(text.partition('admin_listen = "127.0.0.1:')[2].partition('"')[0])
        found = samples(ask(admin, "/metrics", Host="localhost")[1])
        due = int(began.timestamp()) + 90 * 86_400
        name = "signing_key_due_timestamp_seconds"
        assert {value for key, value in found.items() if key[0] == name} == {due}
        run("keys", "rotate", "--config", config)

        def renewed() -> bool:
            text = ask(admin, "/metrics", Host="localhost")[1]
            return all(v > time.time() for k, v in samples(text).items() if k[0] == name)

        until(renewed, process)
        assert process.stop() == 0
