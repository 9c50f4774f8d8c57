"""When a new signing key is due, and what the log says of it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from proxy.config.file import folder_of, read_config
from proxy.config.key_age import due_at, warning
from proxy.cookies.signing_keys import make_key, read_keys
from proxy.runtime import Runtime, build_runtime

CONFIG = """
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[preferences]
rotate_days = {days}
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
"""
BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def runtime(folder: Path, days: int) -> Runtime:
    path = folder / "c.toml"
    path.write_text(CONFIG.format(days=days))
    loaded, _ = read_config(path, today=BEGAN.date())
    return build_runtime(loaded.config, folder_of(path), lambda: read_keys(folder / "keys"))


@pytest.mark.parametrize(
    ("days", "after", "says"),
    [
        (365, 334, None),
        (365, 336, "is due to be replaced on 2027-01-01"),
        (365, 366, "was due to be replaced on 2027-01-01"),
        (0, 9999, None),
    ],
)
def test_what_is_said(tmp_path: Path, days: int, after: int, says: str | None) -> None:
    (tmp_path / "keys").mkdir()
    make_key(tmp_path / "keys", BEGAN)
    text = warning(runtime(tmp_path, days), BEGAN.timestamp() + after * 86_400)
    assert (text is None) is (says is None)
    assert says is None or says in str(text)


def test_a_name_without_a_time(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    make_key(tmp_path / "keys", BEGAN).rename(tmp_path / "keys" / "mine.pem")
    assert due_at(runtime(tmp_path, 365), BEGAN.timestamp()) is None
