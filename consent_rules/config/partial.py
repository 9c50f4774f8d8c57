"""The valid part of an invalid config file.

The checks across tables read partial tables: an invalid table hides no problem in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from consent_rules.config.model_paths import toml_key
from consent_rules.config.models import (
    Config,
    LibraryTable,
    PreferenceStore,
    Proxy,
    RegionRule,
    Site,
    Tag,
    ThemeTable,
    Tls,
    VendorTable,
)
from consent_rules.config.toml.positions import Path


@dataclass(frozen=True, slots=True)
class PartialTable:
    """The valid values of one table, by field name. An invalid item of a list is None."""

    path: Path
    model: type[BaseModel]
    values: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """The value, its default, or None when it is missing or invalid."""
        return self.values.get(name)

    def at(self, name: str) -> Path:
        return (*self.path, toml_key(self.model, name))

    def items(self, name: str) -> Iterator[tuple[Path, Any]]:
        """The valid items of a list, each with its path."""
        found = self.values.get(name)
        if not found:
            return
        path = self.at(name)
        for index, item in enumerate(found):
            if item is not None:
                yield (*path, index), item


@dataclass(frozen=True, slots=True)
class PartialTables:
    """The tables that the checks read."""

    proxy: PartialTable
    tls: PartialTable
    preferences: PartialTable
    theme: PartialTable
    regions: tuple[PartialTable, ...]
    sites: tuple[PartialTable, ...]
    tags: tuple[PartialTable, ...]
    vendors: tuple[PartialTable, ...]
    libraries: tuple[PartialTable, ...]


def whole_tables(config: Config) -> PartialTables:
    """The tables of a file without schema problems."""
    return PartialTables(
        proxy=PartialTable(("proxy",), Proxy, vars(config.proxy)),
        tls=PartialTable(("tls",), Tls, vars(config.tls)),
        preferences=PartialTable(("preferences",), PreferenceStore, vars(config.preferences)),
        theme=PartialTable(("theme",), ThemeTable, vars(config.theme)),
        regions=_whole(("policy", "region"), RegionRule, config.policy.regions),
        sites=_whole(("site",), Site, config.sites),
        tags=_whole(("tag",), Tag, config.tags),
        vendors=_whole(("vendor",), VendorTable, config.vendors),
        libraries=_whole(("library",), LibraryTable, config.libraries),
    )


def partial_tables(data: Mapping[str, Any]) -> PartialTables:
    """The valid part of a file with schema problems."""
    policy = data.get("policy")
    regions = policy.get("region") if isinstance(policy, dict) else None
    return PartialTables(
        proxy=_valid_table("proxy", Proxy, data),
        tls=_valid_table("tls", Tls, data),
        preferences=PartialTable(
            ("preferences",),
            PreferenceStore,
            _valid_values(PreferenceStore, data.get("preferences")),
        ),
        theme=PartialTable(
            ("theme",), ThemeTable, _valid_values(ThemeTable, data.get("theme", {}))
        ),
        regions=_valid_tables(("policy", "region"), RegionRule, regions),
        sites=_valid_tables(("site",), Site, data.get("site")),
        tags=_valid_tables(("tag",), Tag, data.get("tag")),
        vendors=_valid_tables(("vendor",), VendorTable, data.get("vendor")),
        libraries=_valid_tables(("library",), LibraryTable, data.get("library")),
    )


def _whole(
    path: Path, model: type[BaseModel], tables: tuple[BaseModel, ...]
) -> tuple[PartialTable, ...]:
    return tuple(PartialTable((*path, i), model, vars(table)) for i, table in enumerate(tables))


def _valid_table(key: str, model: type[BaseModel], data: Mapping[str, Any]) -> PartialTable:
    return PartialTable((key,), model, _valid_values(model, data.get(key, {})))


def _valid_tables(path: Path, model: type[BaseModel], tables: object) -> tuple[PartialTable, ...]:
    if not isinstance(tables, list):
        return ()
    return tuple(
        PartialTable((*path, index), model, _valid_values(model, table))
        for index, table in enumerate(tables)
        if isinstance(table, dict)
    )


def _valid_values(model: type[BaseModel], table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        return {}
    try:
        return vars(model.model_validate(table, by_alias=True, by_name=False))
    except ValidationError:
        pass
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = toml_key(model, name)
        if key not in table:
            if not field.is_required():
                values[name] = field.get_default(call_default_factory=True)
            continue
        try:
            values[name] = _adapter(model, name).validate_python(
                table[key], by_alias=True, by_name=False
            )
        except ValidationError:
            if get_origin(field.annotation) is tuple and isinstance(table[key], list):
                values[name] = tuple(_valid_item(model, name, item) for item in table[key])
    return values


def _valid_item(model: type[BaseModel], name: str, item: object) -> Any:
    try:
        return _item_adapter(model, name).validate_python(item, by_alias=True, by_name=False)
    except ValidationError:
        return None


@cache
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    field = model.model_fields[name]
    annotation: Any = field.annotation
    for note in field.metadata:
        annotation = Annotated[annotation, note]
    return TypeAdapter(annotation)


@cache
def _item_adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_args(model.model_fields[name].annotation)[0])
