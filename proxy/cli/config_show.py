"""`config show`: the values in force, and where each comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import tomli
import typer
from pydantic import BaseModel, TypeAdapter
from rich.text import Text

from consent_rules.config.environment import without_values
from consent_rules.config.load import LoadedConfig
from consent_rules.config.model_paths import toml_key
from consent_rules.config.models import SECRET
from consent_rules.config.problems import did_you_mean
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    ConfigOption,
    JsonOption,
    console,
    open_config,
    print_json,
    stop,
)

config_commands = typer.Typer(
    name="config",
    help="The config in force.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

HIDDEN = "(hidden)"
_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_USER_INFO = re.compile(r"(?<=://)([^/@:]*):[^/@]*(?=@)")
_PASSWORD_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)

_ANY: TypeAdapter[Any] = TypeAdapter(Any)

_KeyPath = tuple[str | int, ...]


class ValueSource(StrEnum):
    """Where a value comes from."""

    FILE = "file"
    DEFAULT = "default"
    ENVIRONMENT = "environment"
    """The file names an environment variable."""


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One key. `key` is its path with indexes from 0 (`site[0].hosts`), `value` is JSON, without
    secrets. `file` and `line` are where it stands; "" and 0 for a default. `variables` are the
    environment variables in it.
    """

    key: str
    value: Any
    source: ValueSource
    file: str = ""
    line: int = 0
    variables: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """In words."""
        if self.source is ValueSource.DEFAULT:
            return "default"
        named = f" (environment: {', '.join(self.variables)})" if self.variables else ""
        return f"{self.file}:{self.line}{named}"


@config_commands.command("show")
def show(
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="[KEY]", help="Only this key, or the keys of this table: proxy, site[0]."
        ),
    ] = "",
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Show each value in force and where it comes from: file and line, environment, or default."""
    loaded, text = open_config(config)
    found = list(effective_values(loaded, text, config))
    wanted = [
        one for one in found if not prefix or re.match(rf"{re.escape(prefix)}(?:$|[.\[])", one.key)
    ]
    if not wanted:
        known = {
            one.key[: end.start()] for one in found for end in re.finditer(r"[.\[]|$", one.key)
        }
        hint = did_you_mean(prefix, sorted(known))
        stop(f"{prefix}: no such key in the config{hint}", PROBLEMS)
    if as_json:
        print_json([asdict(one) for one in wanted])
        return
    out = console()
    for one in wanted:
        line = Text(f"{one.key} = {json.dumps(one.value, ensure_ascii=False)}")
        line.append(f"  # {one.origin}", style="dim")
        out.print(line)


def effective_values(loaded: LoadedConfig, text: str, path: Path) -> Iterator[EffectiveValue]:
    """Every key of a valid config, in the order of its tables. `text` is that of the config file:
    only there environment variables can stand.
    """
    written = tomli.loads(text.removeprefix("\ufeff"))
    absent = () if loaded.config.writes_receipts else ("receipts",)
    for key_path, value, is_secret in _values(loaded.config, ()):
        if key_path[0] in absent:
            continue
        raw = _at(written, key_path)
        texts = raw if isinstance(raw, list) else [raw]
        found = (name for one in texts if isinstance(one, str) for name in _VARIABLE.findall(one))
        names = tuple(dict.fromkeys(found))
        named = tuple(name for name in names if name in loaded.variables)
        shown = _ANY.dump_python(value, mode="json")
        if is_secret:
            shown = _without_secrets(shown, {name: loaded.variables[name] for name in named})
        key = _key(key_path)
        if not loaded.places.has(key_path):
            yield EffectiveValue(key, shown, ValueSource.DEFAULT)
            continue
        spot = loaded.places.value(key_path)
        source = ValueSource.ENVIRONMENT if named else ValueSource.FILE
        yield EffectiveValue(key, shown, source, spot.file or str(path), spot.line, named)


def _values(value: object, path: _KeyPath) -> Iterator[tuple[_KeyPath, object, bool]]:
    """Each value that is no table, with its path, and whether it is a secret."""
    if isinstance(value, BaseModel):
        model = type(value)
        for name, field in model.model_fields.items():
            here = (*path, toml_key(model, name))
            for one, inner, is_secret in _values(getattr(value, name), here):
                yield one, inner, is_secret or SECRET in field.metadata
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for index, item in enumerate(value):
            yield from _values(item, (*path, index))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _values(item, (*path, str(name)))
    else:
        yield path, value, False


def _without_secrets(value: Any, variables: Mapping[str, str]) -> Any:
    """A secret value: an address without its password, the program of a command, or nothing."""
    if isinstance(value, list):
        return [*value[:1], *([HIDDEN] if len(value) > 1 else ())]
    if not isinstance(value, str) or not value:
        return value
    if "://" not in value:
        return HIDDEN
    shown = _USER_INFO.sub(rf"\1:{HIDDEN}", value)
    return without_values(_PASSWORD_PARAMETER.sub(rf"\1{HIDDEN}", shown), variables)


def _at(table: Any, path: _KeyPath) -> Any:
    for part in path:
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            return None
    return table


def _key(path: _KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
