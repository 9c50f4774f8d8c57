"""Pydantic's errors as sentences: unknown keys, missing keys, values of the wrong type."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from consent_rules.config.model_paths import (
    field_of,
    header_of,
    is_table,
    model_at,
    tables_with_key,
    toml_key,
    toml_keys,
)
from consent_rules.config.models import Site
from consent_rules.config.problems import Problem, did_you_mean, nearest
from consent_rules.config.toml.positions import Path
from consent_rules.wording import join_or, quoted


def schema_problems(error: ValidationError, data: Mapping[str, Any]) -> list[Problem]:
    """Every schema problem of `data` (the file's values), in sentences."""
    errors: list[dict[str, Any]] = [
        {**one, "loc": _in_file(one["loc"], data)}
        for one in error.errors(include_url=False)
        # A list is also "too short" when its items are wrong, which is reported for each already.
        if not (one["type"] == "too_short" and one["input"])
    ]
    misspelt = {
        (*one["loc"][:-1], meant)
        for one in errors
        if one["type"] == "extra_forbidden" and (meant := _intended_key(one["loc"])) is not None
    }
    return [
        _problem(one["type"], one["loc"], one.get("ctx", {}), one["input"], data)
        for one in errors
        if not (one["type"] == "missing" and one["loc"] in misspelt)
    ]


def _in_file(path: Path, data: Mapping[str, Any]) -> Path:
    """The path of a value in the file, where one value may stand for a list of one."""
    holder: Any = data
    for part in path[:-1]:
        holder = _item(holder, part)
    return path[:-1] if isinstance(path[-1], int) and not isinstance(holder, list) else path


def _item(holder: Any, part: str | int) -> Any:
    if isinstance(holder, dict):
        return holder.get(part)
    return holder[part] if isinstance(holder, list) and isinstance(part, int) else None


def _intended_key(path: Path) -> str | None:
    model = model_at(path[:-1])
    return nearest(str(path[-1]), toml_keys(model)) if model else None


def _problem(
    kind: str, path: Path, context: Mapping[str, Any], value: object, data: Mapping[str, Any]
) -> Problem:
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(path, data), at="key")
    if kind == "missing":
        return Problem(path[:-1], _missing_key(path, data), at="key")
    key = _last_key(path)
    if kind == "value_error":
        return Problem(path, f"{key}: {context['error']}")
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return Problem(path, _no_table(path, value), at="key")
    if kind == "tuple_type":
        return Problem(path, _no_list(path, value))
    if kind == "enum":
        return Problem(path, f"{key}: {_no_choice(path, value)}")
    if kind == "too_short":
        return Problem(path, _empty_list(path))
    return Problem(path, f"{key}: {_wrong_value(kind, path, context, value)}")


def _unknown_key(path: Path, data: Mapping[str, Any]) -> str:
    *table, key = path
    word = str(key)
    model = model_at(tuple(table))
    known = toml_keys(model) if model else []
    if not table:
        meant = nearest(word, known)
        tables = {name: header_of((name,)) for name in known if is_table((name,))}
        hint = (
            f"; did you mean {tables.get(meant, meant)}?"
            if meant
            else f"; the tables are {', '.join(tables.values())}"
        )
        as_table = isinstance(data.get(word), dict | list)
        what = (
            f"unknown table [{quoted(word)[1:-1]}]" if as_table else f"unknown key {quoted(word)}"
        )
        if not as_table and (homes := tables_with_key(word)):
            hint = f"; it belongs in {join_or(homes)}"
        return f"{what}{hint}"
    what = f"unknown key {quoted(word)} in {header_of(tuple(table))}"
    homes = [home for home in tables_with_key(word) if home != header_of(tuple(table))]
    parent = header_of(tuple(table[:1]))
    if homes and len(table) > 2 and parent in homes:
        return f"{what}; it belongs in {parent}: move it above the first {header_of(tuple(table))}"
    near = did_you_mean(word, known)
    if near:
        return what + near
    if homes:
        return f"{what}; it belongs in {join_or(homes)}"
    return f"{what}; the keys are {', '.join(known)}"


def _missing_key(path: Path, data: Mapping[str, Any]) -> str:
    *table, key = path
    if not table:
        header = header_of((key,))
        example = _examples_of(model_at((key,)) or model_at((key, 0)))
        return f"{header} is missing; add {header} with {example}"
    model = model_at(tuple(table))
    field = field_of(model, str(key)) if model else None
    example = _example(str(key), field) if field else str(key)
    return f'{_named(tuple(table), data)} has no "{key}"; add {example}'


def _no_table(path: Path, value: object) -> str:
    header = header_of(path)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{header} stands once and in single brackets: write {header}, not [{header}]"
    if path == ("texts",):
        header = "[texts.en]"
    return f"{_last_key(path)} must be a table: write {header}, not a value"


def _no_list(path: Path, value: object) -> str:
    key = _last_key(path)
    if model_at((*path, 0)) is not None:
        header = header_of(path)
        if isinstance(value, dict):
            return f"write {header} with double brackets: there may be several"
        return f"{key} must be tables: write {header}"
    if isinstance(value, str):
        return f"{key}: it must be a list; write {key} = [{quoted(value)}]"
    return f"{key}: it must be a list in square brackets, not {_kind(value)}"


def _no_choice(path: Path, value: object) -> str:
    choices = _choices(path)
    listed = join_or([f'"{choice}"' for choice in choices])
    if not isinstance(value, str):
        return f"it must be {listed}, not {_kind(value)}"
    hint = did_you_mean(value, choices)
    return f"{quoted(value)} is not {listed}{hint}"


def _empty_list(path: Path) -> str:
    if path == ("site",):
        return "there is no [[site]]; add one with " + _examples_of(Site)
    model = model_at(path[:-1])
    field = field_of(model, str(path[-1])) if model else None
    hint = f"; write {_example(str(path[-1]), field)}" if field and field.examples else ""
    return f"{_last_key(path)}: the list is empty, so nothing would match{hint}"


_LIMITS = {
    "greater_than_equal": ("ge", "too small; the least is {}"),
    "greater_than": ("gt", "too small; it must be more than {}"),
    "less_than_equal": ("le", "too large; the most is {}"),
    "less_than": ("lt", "too large; it must be less than {}"),
}


def _wrong_value(kind: str, path: Path, context: Mapping[str, Any], value: object) -> str:
    key = _last_key(path)
    if kind in _LIMITS:
        name, sentence = _LIMITS[kind]
        return f"{_shown(value)} is {sentence.format(_plain_number(context[name]))}"
    if kind == "string_type":
        if isinstance(value, int | float | datetime.date | datetime.time):
            refused = _why_refused(path, _shown(value))
            if refused:
                return f"it must be text in quotes, and {refused}"
            of_key = f"{key} = " if isinstance(path[-1], str) else ""
            return f'it must be text; put quotes around it: {of_key}"{_shown(value)}"'
        return f"it must be text in quotes, not {_kind(value)}"
    if kind in {"int_type", "int_from_float"}:
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            return f"it must be a number; write it without quotes: {key} = {value.strip()[:20]}"
        return f"it must be a whole number, not {_kind(value)}"
    if kind == "float_type":
        return f"it must be a number of seconds, not {_kind(value)}"
    if kind == "bool_type":
        if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return f"write it without quotes: {key} = {value.strip().lower()}"
        return f"it must be true or false, not {_kind(value)}"
    if kind == "string_too_short":
        return "it is empty"
    if kind in {"string_too_long", "too_long"}:
        return f"it is too long; the most is {context['max_length']} characters"
    return f"this value cannot stand here ({kind.replace('_', ' ')})"


def _why_refused(path: Path, text: str) -> str:
    """Why a text could not stand at a path either; "" where it can."""
    field_path = path if isinstance(path[-1], str) else path[:-1]
    model = model_at(field_path[:-1])
    field = field_of(model, str(field_path[-1])) if model else None
    if field is None:
        return ""
    annotation: Any = field.annotation
    for extra in field.metadata:
        annotation = Annotated[annotation, extra]
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    try:
        adapter.validate_python(text if isinstance(path[-1], str) else [text])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return str(first.get("ctx", {}).get("error", "")) or "this value cannot stand here"
    return ""


def _kind(value: object) -> str:
    match value:
        case bool():
            return f"{value}".lower()
        case str():
            return f"the text {quoted(value)}"
        case int() | float():
            return f"the number {_shown(value)}"
        case datetime.datetime():
            return "a date with a time"
        case datetime.date():
            return "a date"
        case list():
            return "a list"
        case dict():
            return "a table"
    return "this"


def _shown(value: object) -> str:
    try:
        return quoted(str(value))[1:-1]
    except ValueError:  # an integer of more digits than Python prints
        return "that number"


def _plain_number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _named(path: Path, data: Mapping[str, Any]) -> str:
    """The header, with the name of the table where it has one: `[[site]] "www"`."""
    table: Any = data
    for part in path:
        table = table[part]
    for key in ("name", "id", "vendor"):
        if isinstance(table, dict) and isinstance(table.get(key), str):
            return f"{header_of(path)} {quoted(table[key])}"
    return header_of(path)


def _choices(path: Path) -> list[str]:
    """The allowed words at a path whose type is an enumeration, alone or in a list."""
    key_path = path[:-1] if isinstance(path[-1], int) else path
    model = model_at(key_path[:-1])
    field = field_of(model, str(key_path[-1])) if model else None
    pending = [field.annotation] if field else []
    while pending:
        annotation: Any = pending.pop()
        if hasattr(annotation, "__members__"):
            return [str(choice) for choice in annotation]
        pending.extend(get_args(annotation))
    return []


def _example(key: str, field: FieldInfo) -> str:
    return f"{key} = {_as_toml(field.examples[0])}" if field.examples else key


def _examples_of(model: type[BaseModel] | None) -> str:
    if model is None:
        return "its keys"
    shown = [
        _example(toml_key(model, name), field)
        for name, field in model.model_fields.items()
        if field.is_required()
    ]
    return ", ".join(shown)


def _as_toml(value: object) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    return json.dumps(value)


def _last_key(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")
