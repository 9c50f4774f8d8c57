"""`keys list` and `keys rotate`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

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
    kids = []
    for number in range(1, 4):
        made = json.loads(run("keys", "rotate", "--config", config, "--json").stdout)
        assert made["signs"] is True
        # Those made within a second are ordered by their ids.
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
