"""Line and column of each key and value of a TOML text, which tomllib does not give."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, cached_property

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Path = tuple[str | int, ...]
"""Keys and array indexes from the root: `("site", 0, "hosts", 1)`."""

Place = tuple[int, int]
"""Line and column, both from 1; columns count characters."""

_KEYS = frozenset({"bare_key", "quoted_key", "dotted_key"})
_MAX_DEPTH = 100
"""Parts of a key that are read. No table of ours lies deeper than three."""
_NO_VALUES = frozenset({"comment", "ERROR"})


@cache
def toml_parser() -> Parser:
    """Parses TOML into a tree with positions; never fails: invalid text becomes ERROR nodes."""
    return Parser(Language(tree_sitter_toml.language()))


class TomlLines:
    """The positions of one text. For an unknown path, its nearest known parent's.

    The text is parsed on the first look-up: a file without problems never is.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _places(self) -> _Places:
        return _Places(self._text)

    def key(self, path: Path) -> Place:
        """Of the key, or of the header of a table."""
        return _nearest(path, self._places.keys)

    def value(self, path: Path) -> Place:
        """Of the value; of the header for a table that has one."""
        return _nearest(path, self._places.values)

    def has(self, path: Path) -> bool:
        """Whether the file itself gives the value at a path."""
        return path in self._places.values


def _nearest(path: Path, places: Mapping[Path, Place]) -> Place:
    for length in range(len(path), 0, -1):
        if (place := places.get(path[:length])) is not None:
            return place
    return (1, 1)


class _Places:
    def __init__(self, text: str) -> None:
        source = text.encode("utf-8", "surrogatepass")
        self._lines = source.split(b"\n")
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self._lengths: dict[Path, int] = {}
        root = toml_parser().parse(source).root_node
        for node in root.children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in {"table", "table_array_element"}:
                self._table(node)

    def _place(self, node: Node) -> Place:
        row, column = node.start_point
        before = self._lines[row][:column].decode("utf-8", "replace")
        return (row + 1, len(before) + 1)

    def _note(self, path: Path, key: Place, value: Place) -> None:
        # The first mention is what a person looks for: `[site.page]` may name `site` again.
        self.keys.setdefault(path, key)
        self.values.setdefault(path, value)

    def _table(self, node: Node) -> None:
        key = next((child for child in node.children if child.type in _KEYS), None)
        if key is None:
            return
        place = self._place(key)
        path: Path = ()
        names = key_names(key)
        for number, name in enumerate(names):
            path = (*path, name)
            self._note(path, place, place)
            is_last = number == len(names) - 1
            if is_last and node.type == "table_array_element":
                index = self._lengths.get(path, 0)
                self._lengths[path] = index + 1
                path = (*path, index)
                self._note(path, place, place)
            elif path in self._lengths:
                # A header below an array of tables refers to its latest element.
                path = (*path, self._lengths[path] - 1)
        for child in node.children:
            if child.type == "pair":
                self._pair(child, path)

    def _pair(self, node: Node, table: Path) -> None:
        children = [c for c in node.children if c.is_named and c.type not in _NO_VALUES]
        if len(children) < 2 or children[0].type not in _KEYS:
            return
        key, value = children[:2]
        key_place, value_place = self._place(key), self._place(value)
        path = table
        for name in key_names(key):
            path = (*path, name)
            self._note(path, key_place, value_place)
        self._value(value, path)

    def _value(self, node: Node, path: Path) -> None:
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, path)
        elif node.type == "array":
            items = [c for c in node.children if c.is_named and c.type not in _NO_VALUES]
            for index, item in enumerate(items):
                place = self._place(item)
                self._note((*path, index), place, place)
                self._value(item, (*path, index))


def key_names(key: Node) -> list[str]:
    """The parts of a key. The grammar nests them to the left, as deep as there are dots."""
    names: list[str] = []
    pending = [key]
    while pending:
        node = pending.pop()
        if node.type == "dotted_key":
            pending.extend(child for child in reversed(node.children) if child.type in _KEYS)
        else:
            names.append(_name(node))
    return names[:_MAX_DEPTH]


def _name(key: Node) -> str:
    raw = (key.text or b"").decode("utf-8", "replace")
    if key.type == "bare_key":
        return raw
    try:
        return next(iter(tomllib.loads(f"{raw} = 0")))
    except ValueError:
        return raw
