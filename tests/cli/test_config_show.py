"""`config show`: what is in force, where it comes from, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consent_rules.config.models import SECRET, PreferenceStore, Receipts
from tests.support.commands import run

CONFIG = """\
include = ["tags/*.toml"]
[proxy]
listen = "127.0.0.1:${SHOW_PORT}"
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[preferences]
keys_command = ["vault", "--token=s3cr3t-argument"]
[receipts]
store = "postgresql://consent:${SHOW_PASSWORD}@db/consent?sslpassword=s3cr3t-parameter"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
page = [{ path = "/patients/*", audience = "patient" }]
[texts.en]
banner.title = "Your choice"
"""
TAG = """\
[[tag]]
vendor = "google-analytics"
sites = ["www"]
approved_by = "m@example.com"
approved_on = 2026-11-02
expires = 2027-11-02
"""
PASSWORD = "s3cr3t-password"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOW_PORT", "8089")
    monkeypatch.setenv("SHOW_PASSWORD", PASSWORD)
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags" / "a.toml").write_text(TAG)
    path = tmp_path / "c.toml"
    path.write_text(CONFIG)
    return path


def shown(config: Path, *more: str) -> dict[str, dict[str, Any]]:
    done = run("config", "show", "--json", "--config", config, *more)
    assert done.exit_code == 0, done.output
    return {one["key"]: one for one in json.loads(done.stdout)}


def test_each_value_says_where_it_comes_from(config: Path) -> None:
    found = shown(config)
    file, tags = str(config), str(config.parent / "tags" / "a.toml")
    table: dict[str, tuple[Any, str, str, int]] = {
        "proxy.listen": ("127.0.0.1:8089", "environment", file, 3),
        "proxy.admin_listen": ("127.0.0.1:8081", "default", "", 0),
        "policy.controller": ("Acme", "file", file, 5),
        "policy.max_age_days": (180, "default", "", 0),
        "site[0].hosts": (["www.example.com"], "file", file, 14),
        "site[0].mode": ("enforce", "default", "", 0),
        "site[0].page[0].path": ("/patients/*", "file", file, 17),
        "texts.en.banner.title": ("Your choice", "file", file, 19),
        "tag[0].expires": ("2027-11-02", "file", tags, 6),
        "tag[0].pages": (["/*"], "default", "", 0),
        "vendor": ([], "default", "", 0),
    }
    for key, (value, source, where, line) in table.items():
        one = found[key]
        told = one["value"], one["source"], one["file"], one["line"]
        assert told == (value, source, where, line), key
    assert found["proxy.listen"]["variables"] == ["SHOW_PORT"]


def test_no_secret_is_shown(config: Path) -> None:
    for more in ((), ("--json",)):
        done = run("config", "show", "--config", config, *more)
        assert done.exit_code == 0
        assert "s3cr3t" not in done.output
    found = shown(config)
    assert found["receipts.store"]["value"] == (
        "postgresql://consent:(hidden)@db/consent?sslpassword=(hidden)"
    )
    assert found["receipts.store"]["variables"] == ["SHOW_PASSWORD"]
    assert found["preferences.keys_command"]["value"] == ["vault", "(hidden)"]


def test_a_whole_address_from_the_environment_is_hidden_too(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOW_STORE", "postgresql:///consent?host=db&user=u&password=s3cr3t")
    text = CONFIG.replace(CONFIG[CONFIG.index("store =") :].partition("\n")[0],
                          'store = "${SHOW_STORE}"')  # fmt: skip
    config.write_text(text)
    assert "s3cr3t" not in json.dumps(shown(config, "receipts"))


def test_the_keys_of_a_table(config: Path) -> None:
    assert set(shown(config, "receipts")) == {
        f"receipts.{key}" for key in ("store", "outbox", "log_key", "keep_days")
    }
    assert list(shown(config, "policy.controller")) == ["policy.controller"]
    done = run("config", "show", "polic", "--config", config)
    assert (done.exit_code, done.stderr) == (
        1, 'polic: no such key in the config; did you mean "policy"?\n'
    )  # fmt: skip
    for key, hint in (
        ("proxy.lisen", '; did you mean "proxy.listen"?'),
        ("site[0].upsteam", '; did you mean "site[0].upstream"?'),
        ("site[7]", '; did you mean "site[0]"?'),
        ("zzz", ""),
    ):
        done = run("config", "show", key, "--config", config)
        assert (done.exit_code, done.stderr) == (1, f"{key}: no such key in the config{hint}\n")


def test_receipts_that_are_not_written_are_not_shown(config: Path) -> None:
    head, _, rest = CONFIG.partition("[receipts]")
    config.write_text(head + rest[rest.index("[[site]]") :])
    assert not [key for key in shown(config) if key.startswith("receipts")]


def test_as_text(config: Path) -> None:
    lines = run("config", "show", "--config", config).stdout.splitlines()
    assert f'proxy.listen = "127.0.0.1:8089"  # {config}:3 (environment: SHOW_PORT)' in lines
    assert "proxy.cache_status = false  # default" in lines


def test_a_config_with_problems_says_them(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[proxy]\nlistn = 1\n")
    done = run("config", "show", "--config", tmp_path / "c.toml")
    assert done.exit_code == 1
    assert 'did you mean "listen"' in done.stderr


@pytest.mark.parametrize(("table", "key"), [(Receipts, "store"), (PreferenceStore, "keys_command")])
def test_what_may_hold_a_secret_is_marked(table: Any, key: str) -> None:
    assert SECRET in table.model_fields[key].metadata
