"""`keys list`, `keys rotate` and `keys revoke`."""

from __future__ import annotations

import datetime
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from proxy.cookies.preference_cookie import signs_from
from proxy.cookies.signing_keys import make_key, read_keys
from tests.support.commands import run

CONFIG = """
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG)
    return path


def test_a_new_key_signs_and_the_old_ones_stay(config: Path) -> None:
    done = run("keys", "list", "--config", config)
    assert done.exit_code == 1
    assert "there is no key in this folder" in done.stderr
    assert not (config.parent / "keys").exists()
    kids: list[str] = []
    for number in range(1, 4):
        made = json.loads(run("keys", "rotate", "--config", config, "--json").stdout)
        assert made["signs"] is True
        # Any name will do; the order of the names counts.
        if number < 3:
            old = Path(made["file"])
            old.rename(old.with_name(f"{number}.pem"))
        kids.append(made["kid"])
        listed = json.loads(run("keys", "list", "--config", config, "--json").stdout)
        assert [row["kid"] for row in listed] == kids
        assert [row["signs"] for row in listed] == [False] * (number - 1) + [True]
    text = run("keys", "list", "--config", config).stdout
    assert [line.split()[:2] for line in text.splitlines()] == [
        [kids[0], "reads"], [kids[1], "reads"], [kids[2], "signs"],
    ]  # fmt: skip


@pytest.mark.slow
def test_keys_made_within_a_second_sign_one_after_the_other(config: Path) -> None:
    kids = []
    for _ in range(4):
        done = run("keys", "rotate", "--config", config, "--json")
        assert done.exit_code == 0, done.stderr
        made = json.loads(done.stdout)
        assert made["signs"] is True
        kids.append(made["kid"])
        ring = read_keys(config.parent / "keys")
        assert ring.signing_id(time.time()) == made["kid"]
    assert list(ring.ids.values()) == kids


def test_keys_made_at_once_have_a_second_each(config: Path) -> None:
    assert run("keys", "rotate", "--config", config).exit_code == 0
    folder, now = config.parent / "keys", datetime.datetime.now(datetime.UTC)
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda _: make_key(folder, now).name, range(16)))
    assert len({signs_from(name) for name in files}) == 16


def listed(config: Path) -> dict[str, dict[str, Any]]:
    rows = json.loads(run("keys", "list", "--config", config, "--json").stdout)
    return {row["kid"]: row for row in rows}


def made(config: Path, *options: object) -> str:
    kid: str = json.loads(run("keys", "rotate", "-c", config, "--json", *options).stdout)["kid"]
    return kid


def test_a_key_signs_when_its_time_comes(config: Path) -> None:
    first = made(config)
    assert run("keys", "rotate", "-c", config, "--ahead", 2).exit_code == 0
    rows = listed(config)
    (second,) = set(rows) - {first}
    assert (rows[first]["state"], rows[second]["state"]) == ("signs", "waits")
    ring = read_keys(config.parent / "keys")
    now = time.time()
    assert [ring.signing_id(now + hours * 3600) for hours in (0, 1.9, 2.1)] == [
        first, first, second,
    ]  # fmt: skip
    # It is published before it signs.
    assert {key["kid"] for key in ring.jwks()["keys"]} == {first, second}


def test_what_can_be_removed_and_when_a_new_key_is_due(config: Path) -> None:
    config.write_text(
        CONFIG.replace("[policy]", "[preferences]\nrotate_days = 10\n[policy]\nmax_age_days = 100")
    )
    folder = config.parent / "keys"
    folder.mkdir()
    for month in (1, 3):
        make_key(folder, datetime.datetime(2026, month, 1, tzinfo=datetime.UTC))
    old, new = listed(config).values()
    assert (old["state"], old["unused_after"], old["due"]) == ("reads", "2026-06-09", None)
    assert (new["state"], new["unused_after"], new["due"]) == ("signs", None, "2026-03-11")
    text = run("keys", "list", "-c", config).stdout
    assert "can be removed after 2026-06-09" in text
    assert "a new key is due on 2026-03-11" in text


def test_a_revoked_key_stays_revoked(config: Path) -> None:
    first, folder = made(config), config.parent / "keys"
    (file,) = folder.glob("*.pem")
    leaked = file.read_bytes()
    done = run("keys", "revoke", first, "--config", config)
    assert done.exit_code == 0
    assert "made a key in its place" in done.stdout
    assert not file.exists()
    rows = listed(config)
    assert [row["state"] for row in rows.values()] == ["signs", "revoked"]
    # A copy that comes back, as from another node, changes nothing.
    again = folder / "99991231T000000Z-again.pem"
    again.write_bytes(leaked)
    again.chmod(0o600)
    rows = listed(config)
    assert rows[first]["state"] == "revoked"
    ring = read_keys(folder)
    assert first not in {key["kid"] for key in ring.jwks()["keys"]}
    assert run("keys", "revoke", first, "-c", config).stderr == f"{first}: is revoked already\n"
    assert "no key in" in run("keys", "revoke", "x" * 16, "-c", config).stderr


def test_the_answer_says_who_is_asked_again(config: Path) -> None:
    folder = config.parent / "keys"
    folder.mkdir()
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    starts = [now - datetime.timedelta(days=days) for days in (900, 300, 20)]
    kids: list[str] = []
    for start in starts:
        make_key(folder, start)
        (new,) = set(listed(config)) - set(kids)
        kids.append(new)
    ahead = run("keys", "rotate", "-c", config, "--ahead", 2, "--json")
    kids.append(json.loads(ahead.stdout)["kid"])
    first, second, third = (f"{start:%Y-%m-%d}" for start in starts)
    assert first < second
    expected = [
        "Every choice that it signed has ended: nobody is asked again because of it.",
        f"Visitors who chose while it signed from {second} to {third} see the banner again; until "
        "they choose, what needs their consent stays closed. Who chose under another key is not "
        "asked.",
        f"Visitors who chose while it signed from {third} until now see the banner again; until "
        "they choose, what needs their consent stays closed. Who chose under another key is not "
        "asked.",
        "It has not signed yet: nobody is asked again.",
    ]
    for kid, words in zip(kids, expected, strict=True):
        done = run("keys", "revoke", kid, "-c", config)
        assert done.exit_code == 0, done.output
        assert f"revoked {kid}. {words}" in done.stdout


def test_one_of_several_is_revoked(config: Path) -> None:
    kids = [made(config), made(config)]
    other = listed(config)
    (reads,) = [kid for kid, row in other.items() if row["state"] == "reads"]
    done = run("keys", "revoke", reads, "-c", config, "--json")
    said = json.loads(done.stdout)
    assert said["kid"] == reads
    assert said["made"] is None
    assert len(said["removed"]) == 1
    assert said["asked_again"].startswith("Visitors who chose while it signed from ")
    assert len(list((config.parent / "keys").glob("*.pem"))) == 1
    assert set(listed(config)) == set(kids)


def test_keys_of_a_command_are_listed_and_not_written(config: Path, tmp_path: Path) -> None:
    kid = made(config)
    (file,) = (tmp_path / "keys").glob("*.pem")
    config.write_text(f'{CONFIG}\n[preferences]\nkeys_command = ["cat", "{file}"]\n')
    assert listed(config)[kid]["file"] == "keys_command cat, block 1"
    for command in (("rotate",), ("revoke", kid)):
        done = run("keys", *command, "--config", config)
        assert done.exit_code == 2
        assert "the keys come from keys_command cat" in done.stderr
    config.write_text(
        f'{CONFIG}\n[preferences]\nkeys_command = ["cat", "{file}"]\nrevoked_keys = ["{kid}"]\n'
    )
    assert "every key of it is in revoked_keys" in run("keys", "list", "-c", config).stderr


def test_a_key_that_sorts_last_is_named(config: Path) -> None:
    made = json.loads(run("keys", "rotate", "--config", config, "--json").stdout)
    Path(made["file"]).rename(config.parent / "keys" / "mine.pem")
    done = run("keys", "rotate", "--config", config)
    assert done.exit_code == 1
    assert "mine.pem: still signs" in done.stderr


def test_a_wrong_config_gets_no_key(config: Path) -> None:
    config.write_text(CONFIG.replace("marketing", "all"))
    for command in ("list", "rotate"):
        assert run("keys", command, "--config", config).exit_code == 1
    assert list(config.parent.iterdir()) == [config]


def test_a_key_that_root_makes_is_the_folders_owners(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *owner: given.append((path.suffix, *owner)))
    folder = config.parent / "keys"
    folder.mkdir()
    owner = folder.stat()
    assert run("keys", "rotate", "--config", config).exit_code == 0
    assert given == [(".new", owner.st_uid, owner.st_gid)]  # before it has its name
