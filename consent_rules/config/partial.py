"""What is valid in a config file, whatever else is wrong with it.

The checks across tables look at drafts, so that one broken table hides no mistake in another.
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
    PreferenceStore,
    Proxy,
    RegionRule,
    Site,
    Tag,
    ThemeTable,
    VendorTable,
)
from consent_rules.config.toml.positions import Path


@dataclass(frozen=True, slots=True)
class Draft:
    """The valid values of one table, by field name. A broken item of a list is None."""

    path: Path
    model: type[BaseModel]
    values: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """The value, its default, or None when it is missing or broken."""
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
class Drafts:
    """The tables that the checks look at."""

    proxy: Draft
    preferences: Draft
    theme: Draft
    regions: tuple[Draft, ...]
    sites: tuple[Draft, ...]
    tags: tuple[Draft, ...]
    vendors: tuple[Draft, ...]


def drafts_of(config: Config) -> Drafts:
    """The drafts of a file whose shape is right."""
    return Drafts(
        proxy=Draft(("proxy",), Proxy, vars(config.proxy)),
        preferences=Draft(("preferences",), PreferenceStore, vars(config.preferences)),
        theme=Draft(("theme",), ThemeTable, vars(config.theme)),
        regions=_whole(("policy", "region"), RegionRule, config.policy.regions),
        sites=_whole(("site",), Site, config.sites),
        tags=_whole(("tag",), Tag, config.tags),
        vendors=_whole(("vendor",), VendorTable, config.vendors),
    )


def drafts_of_broken(data: Mapping[str, Any]) -> Drafts:
    """The drafts of what is valid in a file whose shape is wrong somewhere."""
    policy = data.get("policy")
    regions = policy.get("region") if isinstance(policy, dict) else None
    return Drafts(
        proxy=Draft(("proxy",), Proxy, _salvaged(Proxy, data.get("proxy", {}))),
        preferences=Draft(
            ("preferences",), PreferenceStore, _salvaged(PreferenceStore, data.get("preferences"))
        ),
        theme=Draft(("theme",), ThemeTable, _salvaged(ThemeTable, data.get("theme", {}))),
        regions=_salvaged_all(("policy", "region"), RegionRule, regions),
        sites=_salvaged_all(("site",), Site, data.get("site")),
        tags=_salvaged_all(("tag",), Tag, data.get("tag")),
        vendors=_salvaged_all(("vendor",), VendorTable, data.get("vendor")),
    )


def _whole(path: Path, model: type[BaseModel], tables: tuple[BaseModel, ...]) -> tuple[Draft, ...]:
    return tuple(Draft((*path, i), model, vars(table)) for i, table in enumerate(tables))


def _salvaged_all(path: Path, model: type[BaseModel], tables: object) -> tuple[Draft, ...]:
    if not isinstance(tables, list):
        return ()
    return tuple(
        Draft((*path, index), model, _salvaged(model, table))
        for index, table in enumerate(tables)
        if isinstance(table, dict)
    )


def _salvaged(model: type[BaseModel], table: object) -> dict[str, Any]:
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
                values[name] = tuple(_salvaged_item(model, name, item) for item in table[key])
    return values


def _salvaged_item(model: type[BaseModel], name: str, item: object) -> Any:
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
