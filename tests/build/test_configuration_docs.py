"""docs/configuration.md names every key of the config, no other, and with the right default."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest

from consent_rules.config.load import included_schema, json_schema, load_config
from consent_rules.config.models import (
    FROM_ENVIRONMENT,
    CertificateFiles,
    Config,
    CookieTable,
    Dashboard,
    Health,
    LibraryTable,
    PageRule,
    Policy,
    PreferenceStore,
    Proxy,
    Receipts,
    RegionFrom,
    RegionRule,
    ScriptPin,
    Signals,
    Site,
    Table,
    Tag,
    ThemeTable,
    Tls,
    TracingTable,
    UpstreamTls,
    VendorTable,
)

TEXT = (Path(__file__).parents[2] / "docs/configuration.md").read_text()

SECTIONS: dict[str, type[Table]] = {
    "[proxy]": Proxy,
    "[tls]": Tls,
    "[[tls.certificate]]": CertificateFiles,
    "[policy]": Policy,
    "[[policy.region]]": RegionRule,
    "[policy.region_from]": RegionFrom,
    "[preferences]": PreferenceStore,
    "[receipts]": Receipts,
    "[dashboard]": Dashboard,
    "[tracing]": TracingTable,
    "[theme]": ThemeTable,
    "[signals]": Signals,
    "[[site]]": Site,
    "[[site.page]]": PageRule,
    "[site.health]": Health,
    "[site.upstream_tls]": UpstreamTls,
    "[[tag]]": Tag,
    "[[tag.script]]": ScriptPin,
    "[[vendor]]": VendorTable,
    "[[vendor.cookie]]": CookieTable,
    "[[library]]": LibraryTable,
}

_TABLES_WITHIN = {"script", "region", "region_from", "page", "cookie", "health", "upstream_tls"}


def _rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading: key -> the cells after it."""
    found = re.search(rf"^##+ `{re.escape(heading)}`$(.*?)(?=^##|\Z)", TEXT, re.M | re.S)
    assert found, f"no heading for {heading}"
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", found[1], re.M)
    return {key: [cell.strip() for cell in cells.split(" | ")] for key, cells in rows}


def _key(table: type[Table], field: str) -> str:
    return str(table.model_fields[field].validation_alias or field)


def _is_table(table: type[Table], field: str) -> bool:
    key = _key(table, field)
    return key in _TABLES_WITHIN or (table is Tls and key == "certificate")


def test_every_table_has_a_section() -> None:
    headings = set(re.findall(r"^##+ `(\[.+\])`$", TEXT, re.M))
    assert headings == {*SECTIONS, "[texts]"}  # whose keys are those of the files of texts
    tops = {heading.strip("[]") for heading in headings if "." not in heading}
    assert tops == {_key(Config, field) for field in Config.model_fields} - {"include"}
    assert "## Files of teams: `include`" in TEXT


def test_every_key_that_takes_a_variable_is_named() -> None:
    section = TEXT.partition("## Environment variables")[2].partition("\n## ")[0]
    taking = {
        _key(table, name)
        for table in SECTIONS.values()
        for name, field in table.model_fields.items()
        if FROM_ENVIRONMENT in field.metadata
    }
    told = section.partition("`${NAME}` stands")[2].partition("Everywhere else")[0]
    assert set(re.findall(r"`(\w+)`", told)) == taking


@pytest.mark.parametrize(
    ("name", "schema"),
    [("config.schema.json", json_schema()), ("tags.schema.json", included_schema())],
)
def test_the_schemas_in_the_docs_are_those_of_the_code(name: str, schema: object) -> None:
    """Else: `make schema`."""
    text = (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8")
    assert json.loads(text) == schema


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_a_table_and_no_other_is_described(heading: str) -> None:
    table = SECTIONS[heading]
    keys = {_key(table, name) for name in table.model_fields if not _is_table(table, name)}
    assert set(_rows(heading)) == keys


@pytest.mark.parametrize("heading", [h for h in SECTIONS if h != "[theme]"])
def test_defaults_are_those_of_the_code(heading: str) -> None:
    table = SECTIONS[heading]
    rows = _rows(heading)
    for name, field in table.model_fields.items():
        key = _key(table, name)
        if _is_table(table, name):
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
    assert loaded.problems == ()
