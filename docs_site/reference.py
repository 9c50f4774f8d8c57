"""Pages of the reference that are made from the code: command line, keys, vendors, Python API."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib.resources import files
from types import FunctionType, ModuleType
from typing import Any

import typer

import consent_rules
import proxy.testing
from consent_rules.catalogue.cookie_details import details_of
from consent_rules.catalogue.load import catalogue
from consent_rules.categories import Category
from consent_rules.config.load import json_schema
from consent_rules.vendors import BaaOffer, Vendor
from proxy.cli.app import app

_COLUMNS = 80


def made_pages() -> Mapping[str, str]:
    """Path on the site -> text."""
    return {
        "reference/command-line.md": command_line(),
        "reference/keys.md": keys(),
        "reference/vendors.md": vendors(),
        "reference/regions.md": regions(),
        "reference/python.md": python(),
    }


def _cell(text: str) -> str:
    """Text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


# --- The command line


def command_line() -> str:
    root = typer.main.get_command(app)
    parts = [
        "# Command line",
        "Made from the program: what `--help` says, of every command. "
        "Exit code: 0 fine, 1 problems found, 2 wrong usage.",
    ]
    for words, command in _commands(root, ("consent-proxy",)):
        parts += _command(" ".join(words), command)
    return "\n\n".join(parts) + "\n"


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands without commands of their own, with the words that call them."""
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield words, command
    for name, one in inner.items():
        yield from _commands(one, (*words, name))


def _command(name: str, command: Any) -> list[str]:
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"## {name.removeprefix('consent-proxy ')}", f"```text\n{usage}\n```"]
    # A form feed ends what --help shows.
    parts.append(inspect.cleandoc((command.help or "").partition("\f")[0]))
    rows = [
        row
        for parameter in command.get_params(context)
        if (row := parameter.get_help_record(context)) is not None and "--help" not in row[0]
    ]
    if rows:
        table = "\n".join(f"| {_code(_cell(left))} | {_cell(right)} |" for left, right in rows)
        parts.append(f"| option or argument | |\n|---|---|\n{table}")
    return parts


# --- The config's keys


def keys() -> str:
    """Each key with its type and default, from the JSON Schema that editors get."""
    schema = json_schema()
    tables = {name: one for name, one in schema["$defs"].items() if "properties" in one}
    parts = [
        "# Keys of the config",
        "Made from the JSON Schema that [`consent-proxy schema`](command-line.md#schema) prints. "
        "The [configuration](../configuration.md) page explains them, with examples.",
    ]
    for title, table in _tables(schema, tables):
        parts.append(f"## `{title}`" if title else "## The file itself")
        if "description" in table and title:
            parts.append(str(table["description"]).splitlines()[0])
        required = set(table.get("required", ()))
        rows = [
            f"| `{key}` | {_cell(_type(about, schema))} | {_default(key, about, required)} "
            f"| {_cell(str(about.get('description', '')))} |"
            for key, about in table["properties"].items()
        ]
        parts.append("| key | type | default | |\n|---|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _tables(
    schema: Mapping[str, Any], tables: Mapping[str, Any], name: str = "", many: bool = False
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A table, then those in it: `[proxy]`, `[[site]]`, `[[site.page]]`."""
    yield (f"[[{name}]]" if many else f"[{name}]") if name else "", schema
    for key, about in schema["properties"].items():
        inner = _referred(about)
        if inner in tables:
            full = f"{name}.{key}" if name else key
            yield from _tables(tables[inner], tables, full, about.get("type") == "array")


def _referred(about: Mapping[str, Any]) -> str:
    """The name of the definition that a property, or what its array holds, refers to."""
    places = [about, about.get("items", {}), *about.get("anyOf", ()), *about.get("allOf", ())]
    found = next((one["$ref"] for one in places if "$ref" in one), "")
    return str(found).rpartition("/")[2]


def _type(about: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    definitions = schema.get("$defs") or json_schema()["$defs"]
    choices = about.get("enum") or definitions.get(_referred(about), {}).get("enum")
    if choices:
        return "one of " + ", ".join(f"`{json.dumps(choice)}`" for choice in choices)
    if "anyOf" in about:
        kinds = [_type(one, schema) for one in about["anyOf"]]
        return " or ".join(kind for kind in kinds if kind != "null")
    if about.get("type") == "array":
        inner = _referred(about)
        if inner and "properties" in definitions.get(inner, {}):
            return "tables"
        return f"list of {_type(about.get('items', {}), schema)}"
    if _referred(about):
        return "table"
    return str(about.get("format") or about.get("type", "any"))


def _default(key: str, about: Mapping[str, Any], required: set[str]) -> str:
    if key in required:
        return "required"
    value = about.get("default")
    if value in (None, "", []) or isinstance(value, dict):
        return ""
    return f"`{_cell(json.dumps(value))}`"


# --- The catalogue


def vendors() -> str:
    known = catalogue()
    parts = [
        "# Vendors of the catalogue",
        f"Made from the catalogue: {len(known)} vendors. In a shell: "
        "[`consent-proxy catalogue`](command-line.md#catalogue). One that is missing is described "
        "with [`[[vendor]]`](../configuration.md#vendor). An agreement for patients' data (BAA) is "
        "what the vendor says in public that it offers; which products and plans it covers, and "
        "whether you have signed one, is for you to see.",
    ]
    for category in Category:
        rows = [_vendor_row(vendor) for vendor in known.values() if vendor.category is category]
        if rows:
            parts.append(f"## {category.value.replace('_', ' ').capitalize()}")
            parts.append(
                "| id | vendor | hosts and paths | cookies | BAA |\n|---|---|---|---|---|\n"
                + "\n".join(rows)
            )
    return "\n\n".join(parts) + "\n"


def _vendor_row(vendor: Vendor) -> str:
    where = _some([*vendor.hosts, *vendor.paths], 4)
    cookies = _some([detail.name for detail in details_of(vendor)], 4)
    offer = "" if vendor.baa is BaaOffer.UNKNOWN else vendor.baa.value
    if vendor.baa_source.startswith("https://"):
        offer = f"[{offer}]({vendor.baa_source})"
    return f"| `{vendor.id}` | {_cell(vendor.name)} | {where} | {cookies} | {offer} |"


def _some(names: list[str], most: int) -> str:
    shown = ", ".join(_code(_cell(name)) for name in names[:most])
    return f"{shown} +{len(names) - most}" if len(names) > most else shown


# --- The table of laws


def regions() -> str:
    text = files("consent_rules").joinpath("regions.toml").read_text(encoding="utf-8")
    rows = [
        f"| `{code}` | {one['name']} | {_cell(one['law'])} | "
        + " | ".join(
            [
                one.get("regime", "").replace("_", "-"),
                *(
                    "yes" if one.get(key) else ""
                    for key in ("signal", "opt_out_link", "limit_link")
                ),
            ]
        )
        + " |"
        for code, one in tomllib.loads(text).items()
    ]
    return (
        "\n\n".join(
            [
                "# Regions and laws",
                "Made from the table that the proxy decides by: what the law of a region asks for, "
                "whatever the config says of its neighbours. A rule of the config that names "
                "the same region wins; a region that is not here has the config's own default. "
                "It is no legal advice: have it checked for your case. Global Privacy Control is "
                "honoured everywhere; the column says where a law asks for it.",
                "| region | | law | before a choice | GPC is law | opt-out link | "
                "limit link |\n|---|---|---|---|---|---|---|\n" + "\n".join(rows),
            ]
        )
        + "\n"
    )


# --- Python


def python() -> str:
    parts = [
        "# Python API",
        "Made from the code: what `consent_rules` and `proxy.testing` export. Everything else is "
        "the proxy's own and may change with any release.",
    ]
    for module in (consent_rules, proxy.testing):
        parts += _module(module)
    return "\n\n".join(parts) + "\n"


def _module(module: ModuleType) -> Iterator[str]:
    yield f"## `{module.__name__}`"
    yield _doc(module)
    for name in module.__all__:
        yield from _member(name, getattr(module, name))


def _member(name: str, value: Any) -> Iterator[str]:
    yield f"### `{name}`"
    if isinstance(value, type) and issubclass(value, Enum):
        yield _doc(value)
        yield ", ".join(f"`{name}.{member.name}`" for member in value)
        return
    yield f"```python\n{_declaration(name, value)}\n```"
    yield _doc(value)
    if isinstance(value, type):
        rows = [
            f"| `{_signature(key, member)}` | {_cell(_doc(member))} |"
            for key, member in vars(value).items()
            if not key.startswith("_") and isinstance(member, FunctionType | property)
        ]
        if rows:
            yield "| | |\n|---|---|\n" + "\n".join(rows)


def _doc(value: object) -> str:
    return inspect.getdoc(value) or ""


def _signature(name: str, value: Any) -> str:
    if isinstance(value, property):
        return name
    try:
        signature = str(inspect.signature(value))
    except ValueError:  # an exception's
        return name
    signature = re.sub(r"\(self(?:, )?", "(", signature)
    # Annotations are text (PEP 563), and an enum's repr has its value.
    signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", signature)
    signature = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", signature)
    return f"{name}{signature}"


def _declaration(name: str, value: Any) -> str:
    """The signature; a long one with a parameter a line."""
    whole = _signature(name, value)
    if len(whole) <= _COLUMNS:
        return whole
    head, _, rest = whole.partition("(")
    inside, _, result = rest.rpartition(")")
    parameters = ",\n    ".join(_split(inside))
    return f"{head}(\n    {parameters},\n){result}"


def _split(parameters: str) -> list[str]:
    """At the commas that are in no bracket."""
    found, depth = [""], 0
    for character in parameters:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [one.strip() for one in found]
