"""Edit a TOML text in place: comments, order and layout stay, byte by byte.

Only what the commands change: arrays of tables written as `[[name]]`, and single values of them.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tree_sitter import Node

from consent_rules.config.toml.positions import key_names, toml_parser

Value = str | bool | datetime.date | tuple[str, ...]


class UneditableError(ValueError):
    """The text cannot be edited in place. The message says what to do."""


@dataclass(frozen=True, slots=True)
class _Table:
    """One `[[name]]` table: bytes of its header's line, and of the line after its last pair."""

    start: int
    end: int
    pairs: Mapping[str, tuple[int, int]]
    """Key -> the bytes of its value."""


def with_table(text: str, name: str, values: Mapping[str, Value]) -> str:
    """The text with one more `[[name]]` table: after the last one, or at the end of the file."""
    source = text.encode()
    tables = _tables(source, name)
    if not tables and _is_given(source, name):
        raise UneditableError(
            f"the {name}s stand in a list ({name} = [...]), which cannot be added to without "
            f"moving what is there; write each as a table of its own, headed [[{name}]]"
        )
    newline = _newline(text)
    written = newline.join((f"[[{name}]]", *(f"{k} = {as_toml(v)}" for k, v in values.items())))
    at = tables[-1].end if tables else len(source)
    before, after = source[:at].decode(), source[at:].decode()
    if before and not before.endswith("\n"):
        before += newline
    if (before and not tables and not before.endswith((newline * 2, "\n\n"))) or tables:
        written = newline + written
    return before + written + newline + after


def with_value(text: str, name: str, index: int, key: str, value: Value) -> str:
    """The text with one value of the `index`-th `[[name]]` table replaced."""
    source = text.encode()
    start, end = _table(source, name, index).pairs.get(key, (0, 0))
    if not end:
        raise UneditableError(f"[[{name}]] has no {key} that could be changed")
    return (source[:start] + as_toml(value).encode() + source[end:]).decode()


def without_tables(text: str, name: str, indexes: Iterable[int]) -> str:
    """The text without some `[[name]]` tables, and without the comments right above them."""
    source = text.encode()
    for index in sorted(set(indexes), reverse=True):
        table = _table(source, name, index)
        start = _with_comments_above(source, table.start)
        end = table.end
        # The empty line that set it apart goes too.
        if source[end : end + 1] == b"\n":
            end += 1
        elif source[end : end + 2] == b"\r\n":
            end += 2
        source = source[:start] + source[end:]
    return source.decode()


def as_toml(value: Value) -> str:
    """A value as TOML writes it. JSON's escapes are TOML's, but for DEL, which must be escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(as_toml(item) for item in value)}]"


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _table(source: bytes, name: str, index: int) -> _Table:
    tables = _tables(source, name)
    if index >= len(tables):
        raise UneditableError(
            f"the {name}s do not all stand as tables of their own, headed [[{name}]]; "
            "change this one by hand"
        )
    return tables[index]


def _tables(source: bytes, name: str) -> list[_Table]:
    found = []
    for node in toml_parser().parse(source).root_node.children:
        if node.type != "table_array_element":
            continue
        key = next((c for c in node.children if c.type.endswith("_key")), None)
        if key is not None and key_names(key) == [name]:
            found.append(_read(node, source))
    return found


def _is_given(source: bytes, name: str) -> bool:
    for node in toml_parser().parse(source).root_node.children:
        key = next((c for c in node.children if c.type.endswith("_key")), None)
        if key is not None and key_names(key)[:1] == [name]:
            return True
    return False


def _read(node: Node, source: bytes) -> _Table:
    pairs: dict[str, tuple[int, int]] = {}
    last = node.start_byte
    for child in node.children:
        if child.type == "]]":
            last = max(last, child.end_byte - 1)
        if child.type != "pair":
            continue
        last = child.end_byte - 1
        parts = [c for c in child.children if c.is_named and c.type not in {"comment", "ERROR"}]
        if len(parts) >= 2:
            pairs[".".join(key_names(parts[0]))] = (parts[1].start_byte, parts[1].end_byte)
    line_end = source.find(b"\n", last)
    return _Table(
        start=source.rfind(b"\n", 0, node.start_byte) + 1,
        end=len(source) if line_end < 0 else line_end + 1,
        pairs=pairs,
    )


def _with_comments_above(source: bytes, start: int) -> int:
    while start > 0:
        above = source.rfind(b"\n", 0, start - 1) + 1
        if not source[above:start].lstrip().startswith(b"#"):
            break
        start = above
    return start
