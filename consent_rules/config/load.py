"""Load a config: TOML text -> `Config`, or every problem with its file and line."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from consent_rules.catalogue.load import catalogue as known_vendors
from consent_rules.config.banner_texts import KnownTexts, text_errors, text_warnings
from consent_rules.config.checks import CheckContext, check_all
from consent_rules.config.descriptions import with_descriptions
from consent_rules.config.environment import with_environment
from consent_rules.config.models import (
    Config,
    IncludedTables,
    Mode,
    PageRule,
    Policy,
    PreferenceStore,
    Proxy,
    Receipts,
    RegionFrom,
    RegionRule,
    Signals,
    Site,
    Tag,
    ThemeTable,
    VendorTable,
)
from consent_rules.config.partial import partial_tables, whole_tables
from consent_rules.config.problems import (
    ConfigError,
    LocatedProblem,
    Places,
    Problem,
    Severity,
    format_problem,
    located,
)
from consent_rules.config.shape_errors import schema_problems
from consent_rules.config.sources import (
    IncludedFile,
    Includes,
    decode_text,
    parse_toml,
    read_sources,
)
from consent_rules.config.vendor_overlay import all_vendors, partial_vendors
from consent_rules.config.warnings import lint
from consent_rules.vendors import Vendor

__all__ = [
    "Config",
    "ConfigError",
    "IncludedFile",
    "Includes",
    "LoadedConfig",
    "LocatedProblem",
    "Mode",
    "PageRule",
    "Policy",
    "PreferenceStore",
    "Proxy",
    "Receipts",
    "RegionFrom",
    "RegionRule",
    "Severity",
    "Signals",
    "Site",
    "Tag",
    "ThemeTable",
    "VendorTable",
    "all_vendors",
    "decode_config",
    "format_problem",
    "included_schema",
    "json_schema",
    "load_config",
]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid config, with its warnings. `problems` holds no errors: only expired tags and
    warnings, sorted by file and line.

    `problems` holds no errors: only expired tags and warnings, sorted by file and line. `places`
    has the line of each table: `places.key(("tag", 3))`. `vendors` are the config's laid over
    the catalogue, by id. `variables` are the values of the environment variables that it names:
    for hiding them, not for showing.
    """

    config: Config
    problems: tuple[LocatedProblem, ...]
    places: Places
    vendors: Mapping[str, Vendor]
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


def load_config(
    text: str,
    filename: str,
    *,
    today: datetime.date,
    catalogue: Mapping[str, Vendor] | None = None,
    texts: KnownTexts | None = None,
    includes: Includes | None = None,
    environment: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Parse and check a config. Raises ConfigError with every problem, sorted by file and line.

    `texts` are the banner's texts by language and key, which [texts] may override; without them
    [texts] is not checked. `includes` finds the files that it includes; without it there are none.
    `environment` holds the variables that it may name.

    Expired tags do not make a config invalid: a proxy must start again on the day after one
    expired. Warnings are returned once there are no errors.
    """
    text = text.removeprefix("\ufeff")
    data = parse_toml(text)
    if isinstance(data, list):
        raise ConfigError(data, filename)
    vendors = known_vendors() if catalogue is None else catalogue
    sources = read_sources(text, data, filename, includes or Includes(filename, lambda *_: ()))
    substituted = with_environment(data if sources.variables else {}, environment or {})
    config, invalid = _validated(data)
    problems = [p for one in invalid if (p := substituted.schema_problem(one)) is not None]
    problems += substituted.problems
    tables = whole_tables(config) if config is not None else partial_tables(data)
    known = all_vendors(config, vendors) if config else partial_vendors(tables, vendors)
    problems += check_all(
        CheckContext(
            tables=tables,
            catalogue=vendors,
            vendors=known,
            today=today,
            places=sources,
            site_names_given=frozenset(_given(data, "site", "name")),
            vendor_ids_given=frozenset(_given(data, "vendor", "id")),
            filename=filename,
            whole=sources.whole,
        )
    )
    if texts is not None:
        problems += text_errors(data.get("texts"), texts)

    def all_problems() -> tuple[LocatedProblem, ...]:
        every = located(problems, sources, sources.problems)
        return tuple(map(substituted.redacted, every))

    severities = {p.severity for p in problems} | {p.severity for p in sources.problems}
    if config is None or "error" in severities:
        raise ConfigError(all_problems(), filename)
    problems += lint(config, vendors, known, today=today)
    problems += substituted.written_secrets(config.receipts.store, config.dashboard.token)
    if texts is not None:
        problems += text_warnings(config.texts, texts)
    return LoadedConfig(config, all_problems(), sources, known, substituted.values)


def decode_config(content: bytes, filename: str) -> str:
    """The text of a config file. Raises ConfigError with the line that is not UTF-8."""
    text = decode_text(content)
    if isinstance(text, LocatedProblem):
        raise ConfigError([text], filename)
    return text


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file, with a description for every key, for editors."""
    return _schema(Config)


def included_schema() -> dict[str, Any]:
    """As `json_schema`, of a file that a config includes."""
    return _schema(IncludedTables)


def _schema(model: type[Config | IncludedTables]) -> dict[str, Any]:
    plain = model.model_json_schema(by_alias=True, mode="validation")
    schema = _without_null(with_descriptions(plain, model))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _validated(data: Mapping[str, Any]) -> tuple[Config | None, list[Problem]]:
    try:
        # In the file only the names of the contract count, not those of the Python fields.
        return Config.model_validate(data, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, schema_problems(error, data)


def _given(data: Mapping[str, Any], table: str, key: str) -> Iterator[str]:
    entries = data.get(table)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get(key), str):
            yield entry[key]


def _without_null(node: Any) -> Any:
    """TOML has no null: a key that may be left out is not one that may be null."""
    if isinstance(node, list):
        return [_without_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _without_null(value) for key, value in node.items()}
    if plain.get("default", 0) is None:
        del plain["default"]
    options = plain.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        if len(rest) == 1:
            del plain["anyOf"]
            return {**rest[0], **plain}
        plain["anyOf"] = rest
    return plain
