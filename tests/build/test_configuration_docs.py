"""docs/configuration.md names every key of the config, no other, and with the right default."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest

from consent_rules.config import load_config
from consent_rules.config_models import (
    Config,
    CookieTable,
    PageRule,
    Policy,
    PreferenceStore,
    Proxy,
    Receipts,
    RegionFrom,
    RegionRule,
    Signals,
    Site,
    Table,
    Tag,
    Theme,
    VendorTable,
)

TEXT = (Path(__file__).parents[2] / "docs/configuration.md").read_text()

SECTIONS: dict[str, type[Table]] = {
    "[proxy]": Proxy,
    "[policy]": Policy,
    "[[policy.region]]": RegionRule,
    "[policy.region_from]": RegionFrom,
    "[preferences]": PreferenceStore,
    "[receipts]": Receipts,
    "[theme]": Theme,
    "[signals]": Signals,
    "[[site]]": Site,
    "[[site.page]]": PageRule,
    "[[tag]]": Tag,
    "[[vendor]]": VendorTable,
    "[[vendor.cookie]]": CookieTable,
}

_TABLES_WITHIN = {"region", "region_from", "page", "cookie"}


def _rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading: key -> the cells after it."""
    found = re.search(rf"^##+ `{re.escape(heading)}`$(.*?)(?=^##|\Z)", TEXT, re.M | re.S)
    assert found, f"no heading for {heading}"
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", found[1], re.M)
    return {key: [cell.strip() for cell in cells.split(" | ")] for key, cells in rows}


def _key(table: type[Table], field: str) -> str:
    return str(table.model_fields[field].validation_alias or field)


def test_every_table_has_a_section() -> None:
    headings = set(re.findall(r"^##+ `(\[.+\])`$", TEXT, re.M))
    assert headings == {*SECTIONS, "[texts]"}  # whose keys are those of the files of texts
    tops = {heading.strip("[]") for heading in headings if "." not in heading}
    assert tops == {_key(Config, field) for field in Config.model_fields}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_a_table_and_no_other_is_described(heading: str) -> None:
    table = SECTIONS[heading]
    keys = {_key(table, field) for field in table.model_fields} - _TABLES_WITHIN
    assert set(_rows(heading)) == keys


@pytest.mark.parametrize("heading", [h for h in SECTIONS if h != "[theme]"])
def test_defaults_are_those_of_the_code(heading: str) -> None:
    table = SECTIONS[heading]
    rows = _rows(heading)
    for name, field in table.model_fields.items():
        key = _key(table, name)
        if key in _TABLES_WITHIN:
            continue
        told = rows[key][1]
        if field.is_required():
            assert told == "required", key
        elif field.default is None or field.default == ():
            # What is then taken or asked for is told in words.
            assert not told.startswith("`"), key
        else:
            value = list(field.default) if isinstance(field.default, tuple) else field.default
            assert told == f"`{json.dumps(value)}`", key


def test_the_example_is_a_config_without_fault() -> None:
    example = re.search(r"```toml\n(.*?)```", TEXT, re.S)
    assert example
    loaded = load_config(example[1], "example.toml", today=datetime.date(2026, 11, 3))
    assert [tag.vendor for tag in loaded.config.tags] == ["google-analytics", "acme-chat"]
    assert loaded.faults == ()
