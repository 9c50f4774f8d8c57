"""The table of third parties: what is new stands first, and says so."""

from __future__ import annotations

import datetime
import sqlite3
from pathlib import Path

from consent_rules.config.load import load_config
from proxy.dashboard.vendor_tables import third_party_table
from proxy.observability.discovered import Sightings

CONFIG = """
[policy]
controller = "Example"
version = "1"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
"""


def test_what_is_new_stands_first(tmp_path: Path) -> None:
    today = datetime.date(2026, 11, 30)
    config = load_config(CONFIG, "c.toml", today=today).config
    file = tmp_path / config.proxy.discovered
    sightings = Sightings(file)
    seen = {"old.example": "2026-01-02", "new.example": "2026-11-29", "unknown.example": "",
            "week.example": "2026-11-22"}  # fmt: skip
    for host in seen:
        for page in range(50 if host == "old.example" else 1):
            sightings.add("www", f"/{page}", host=host, seen="page")
    sightings.write()
    with sqlite3.connect(file) as database:
        for host, day in seen.items():
            database.execute("UPDATE sightings SET first_seen = ? WHERE host = ?", (day, host))
    table = third_party_table(config, tmp_path, today)
    names = [column.key for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert [(row["name"], row["state"]) for row in rows] == [
        ("new.example", "new, closed"),
        ("old.example", "closed"),
        ("unknown.example", "closed"),
        ("week.example", "closed"),
    ]
