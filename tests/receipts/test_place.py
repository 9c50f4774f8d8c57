"""Where the store of a config is, and whether one can be there."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from consent_rules.config.load import Config, load_config
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.place import StorePlace, check_place, store_place
from tests.support.site import config_text


def config(table: str) -> Config:
    today = datetime.date(2026, 11, 29)
    return load_config(config_text(1, more=table), "c.toml", today=today).config


@pytest.mark.parametrize(
    ("table", "path", "key"),
    [
        ("[receipts]", "var/receipts.db", "var/receipts.pem"),
        ('[receipts]\nstore = "sqlite:///a.db"', "a.db", "a.pem"),
        ('[receipts]\nstore = "sqlite:////srv/a.db"', "/srv/a.db", "/srv/a.pem"),
        ('[receipts]\nlog_key = "k.pem"', "var/receipts.db", "k.pem"),
    ],
)
def test_the_place(tmp_path: Path, table: str, path: str, key: str) -> None:
    origin = "www.example.com/.consent/log"
    found = store_place(config(table), tmp_path)
    assert found == StorePlace(tmp_path / path, tmp_path / key, origin)


@pytest.mark.parametrize(
    ("table", "path", "key"),
    [
        ("", "var/outbox.db", "var/receipts.pem"),
        ('outbox = "a/b.db"', "a/b.db", "a/receipts.pem"),
        ('outbox = "/srv/b.db"\nlog_key = "k.pem"', "/srv/b.db", "k.pem"),
    ],
)
def test_the_place_of_a_database(tmp_path: Path, table: str, path: str, key: str) -> None:
    url = "postgresql://consent:s3cret@db/consent"
    found = store_place(config(f'[receipts]\nstore = "{url}"\n{table}'), tmp_path)
    origin = "www.example.com/.consent/log"
    assert found == StorePlace(tmp_path / path, tmp_path / key, origin, url)
    assert "s3cret" not in repr(found)


def test_no_place(tmp_path: Path) -> None:
    assert store_place(config(""), tmp_path) is None


def test_a_database_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    place = StorePlace(tmp_path / "a.db", tmp_path / "a.pem", "log", "postgresql://me:pw@db/a")
    with pytest.raises(
        ReceiptStoreError, match=r"db/a: .* pip install 'consent-proxy\[postgres\]'"
    ):
        check_place(place, writable=False)


def test_what_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    good = tmp_path / "new" / "folder" / "a.db"
    check_place(StorePlace(good, good.with_suffix(".pem"), "log"), writable=True)
    for bad in (tmp_path, tmp_path / "file" / "a.db"):
        for place in (StorePlace(bad, good, "log"), StorePlace(good, bad, "log")):
            with pytest.raises(ReceiptStoreError, match="no file can be made here"):
                check_place(place, writable=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
