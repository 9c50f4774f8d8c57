"""Read the plain literals of a JavaScript file, without running it.

Objects, lists, texts, numbers and regular expressions are read; whatever would have to be computed
(functions, variables, calls) is UNREADABLE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

_MAX_DEPTH = 60
"""Objects and lists within each other. What is deeper is UNREADABLE."""
_MAX_NAME = 200
"""Bytes. A longer name of a call or an assignment is an expression that no tool gives a meaning."""
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r\n|[\s\S])")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


class Unreadable:
    """A value that only running the file would give."""

    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE = Unreadable()


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression, as it stands between the slashes."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`, with the name as it is written."""

    name: str
    arguments: tuple[Any, ...]


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_javascript.language()))


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _is_name(node: Node) -> bool:
    # In a chain of calls each name has all that stand before it.
    return node.end_byte - node.start_byte <= _MAX_NAME


def objects_in(source: str) -> Iterator[dict[str, Any]]:
    """Every object that is not within another one, in the order of the file; also of JSON."""
    for node in _outermost(_root(source), "object"):
        value = _value(node, 0)
        if isinstance(value, dict):
            yield value


def calls_in(source: str) -> Iterator[Call]:
    """Every call, with its arguments as far as they are literals."""
    for node in _all(_root(source), "call_expression"):
        name, arguments = (node.child_by_field_name(f) for f in ("function", "arguments"))
        if name is not None and arguments is not None and _is_name(name):
            values = (_value(child, 0) for child in arguments.named_children)
            yield Call(_text(name), tuple(values))


def assignments_in(source: str) -> Iterator[tuple[str, Any]]:
    """Every `left = right`, the left side as it is written."""
    for node in _all(_root(source), "assignment_expression"):
        left, right = (node.child_by_field_name(field) for field in ("left", "right"))
        if left is not None and right is not None and _is_name(left):
            yield _text(left), _value(right, 0)


def _root(source: str) -> Node:
    text = source.removeprefix("\ufeff").strip()
    # A file of JSON begins with what JavaScript takes for a block.
    if text.startswith("{"):
        text = f"({text})"
    return _parser().parse(text.encode("utf-8", "replace")).root_node


def _all(root: Node, kind: str) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == kind:
            yield node
        pending.extend(reversed(node.named_children))


def _outermost(root: Node, kind: str) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == kind:
            yield node
        else:
            pending.extend(reversed(node.named_children))


def _value(node: Node, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return UNREADABLE
    match node.type:
        case "string":
            return _unescaped(_text(node)[1:-1])
        case "template_string" if not any(
            child.type == "template_substitution" for child in node.children
        ):
            return _unescaped(_text(node)[1:-1])
        case "number":
            return _number(_text(node))
        case "true" | "false":
            return node.type == "true"
        case "null" | "undefined":
            return None
        case "regex":
            pattern = node.child_by_field_name("pattern")
            return Regex(_text(pattern)) if pattern is not None else UNREADABLE
        case "array":
            items = (c for c in node.named_children if c.type != "comment")
            return [_value(child, depth + 1) for child in items]
        case "object":
            return _object(node, depth)
        case "parenthesized_expression" if len(node.named_children) == 1:
            return _value(node.named_children[0], depth + 1)
    return UNREADABLE


def _object(node: Node, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in node.named_children:
        if child.type == "method_definition":
            name = child.child_by_field_name("name")
            if name is not None:
                found[_text(name)] = UNREADABLE
        if child.type != "pair":
            continue
        key, value = (child.child_by_field_name(field) for field in ("key", "value"))
        if key is None or value is None or key.type == "computed_property_name":
            continue
        name_ = _unescaped(_text(key)[1:-1]) if key.type == "string" else _text(key)
        found[name_] = _value(value, depth + 1)
    return found


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return UNREADABLE


def _unescaped(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] in "ux" and len(escape) > 1:
            number = int(escape[1:].strip("{}"), 16)
            return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
        return "" if escape[0] in "\r\n" else _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(plain, text)
