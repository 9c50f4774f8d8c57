"""What `check` knows of the files that a config names, and `run` needs: keys, regions."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from consent_rules.config.load import ConfigError
from proxy.config.file import folder_of, read_config
from proxy.cookies.preference_cookie import KeyFileError
from proxy.cookies.signing_keys import check_keys, first_keys, make_key, read_keys
from proxy.runtime import build_runtime

NOW = datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)
CONFIG = """
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[preferences]
keys = "keys"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
"""


def _folder(path: Path) -> None:
    path.mkdir()


def _good_key(path: Path) -> None:
    path.mkdir()
    make_key(path, NOW)


def _no_key(path: Path) -> None:
    path.mkdir()
    (path / "1.pem").write_text("not a key")
    (path / "1.pem").chmod(0o600)


def _open_key(path: Path) -> None:
    path.mkdir()
    make_key(path, NOW).chmod(0o644)


def _file(path: Path) -> None:
    path.write_text("")


def _directory_as_key(path: Path) -> None:
    (path / "1.pem").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, ""),
        (_folder, ""),
        (_good_key, ""),
        (_no_key, "1.pem: not an unencrypted PEM private key"),
        (_open_key, "others may read this key; run `chmod 600"),
        (_file, "keys: not a folder"),
        (_directory_as_key, "1.pem: cannot be read"),
    ],
)
def test_check_and_run_agree_about_the_keys(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / "keys")
    path = tmp_path / "c.toml"
    path.write_text(CONFIG)
    before = sorted(tmp_path.rglob("*"))
    try:
        loaded, _ = read_config(path, today=NOW.date())
    except ConfigError as error:
        assert message
        assert [problem.line for problem in error.problems] == [7]
        assert message in error.problems[0].message
        return
    finally:
        assert sorted(tmp_path.rglob("*")) == before  # looked at, nothing made
    assert not message
    keys = first_keys(tmp_path / "keys", NOW)
    build_runtime(loaded.config, folder_of(path), lambda: keys)


def test_a_key_of_the_proxys_user_is_no_fault_to_who_may_not_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _good_key(tmp_path / "keys")

    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refused)
        check_keys(tmp_path / "keys")
        with pytest.raises(KeyFileError, match="cannot be read"):
            read_keys(tmp_path / "keys")


def test_each_missing_file_of_tls_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    tls = '[[tls.certificate]]\nfile = "a.pem"\nkey = "a.key"\n'
    upstream = '[site.upstream_tls]\nca = "ca.pem"\ncertificate = "u.pem"\nkey = "u.key"\n'
    text = CONFIG.replace("http://127", "https://127")
    path.write_text(f'{tls}{text}maintenance_page = "m.html"\n{upstream}')
    with pytest.raises(ConfigError) as raised:
        read_config(path, today=NOW.date())
    lines = path.read_text().splitlines()
    found = {lines[one.line - 1].partition('"')[2][:-1] for one in raised.value.problems}
    assert found == {"a.pem", "a.key", "ca.pem", "u.pem", "u.key", "m.html"}
