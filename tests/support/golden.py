"""The golden tables of the catalogue."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1] / "consent_rules" / "catalogue"


def golden_rows(name: str) -> list[list[str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def golden_snippets() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(
        (HERE / "golden_snippets.toml").read_text(encoding="utf-8")
    )["snippet"]
    return found
