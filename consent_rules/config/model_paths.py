"""Map paths of keys in a TOML file to the models that validate them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from consent_rules.config.models import Config
from consent_rules.config.toml.positions import Path


@cache
def toml_key(model: type[BaseModel], name: str) -> str:
    """The key that stands for a field in the file."""
    alias = model.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else name


def toml_keys(model: type[BaseModel]) -> list[str]:
    return [toml_key(model, name) for name in model.model_fields]


def field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if toml_key(model, name) == key:
            return field
    return None


def _table_type(annotation: object) -> type[BaseModel] | None:
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def model_at(path: Path) -> type[BaseModel] | None:
    """The model of the table at a path of the file."""
    model: type[BaseModel] = Config
    expects_index = False
    for part in path:
        if isinstance(part, int):
            if not expects_index:
                return None
            expects_index = False
            continue
        field = field_of(model, part)
        found = _table_type(field.annotation) if field else None
        if field is None or found is None or expects_index:
            return None
        model = found
        expects_index = get_origin(field.annotation) is tuple
    return None if expects_index else model


def is_table(path: Path) -> bool:
    """Whether a path is that of a table, or of a list of tables."""
    return model_at(path) is not None or model_at((*path, 0)) is not None


def header_of(path: Path) -> str:
    """The TOML header of a table: `[policy]`, `[[site.page]]`."""
    names = [part for part in path if isinstance(part, str)]
    is_list = model_at(path) is None or isinstance(path[-1], int)
    dotted = ".".join(names)
    return f"[[{dotted}]]" if is_list else f"[{dotted}]"


@cache
def _headers() -> Mapping[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}

    def visit(model: type[BaseModel], path: Path) -> None:
        for name, field in model.model_fields.items():
            below = _table_type(field.annotation)
            if below is None:
                continue
            here: Path = (*path, toml_key(model, name))
            if get_origin(field.annotation) is tuple:
                here = (*here, 0)
            found[header_of(here)] = below
            visit(below, here)

    visit(Config, ())
    return found


def tables_with_key(key: str) -> list[str]:
    """The headers of the tables that have a key."""
    return [header for header, model in _headers().items() if key in toml_keys(model)]
