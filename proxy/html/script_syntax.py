"""The syntax tree of a script, at a bounded cost.

tree-sitter is imported here alone.
"""

from __future__ import annotations

import tree_sitter
import tree_sitter_javascript
from tree_sitter import Node

__all__ = ["Node", "is_data", "parse_script"]

_LANGUAGE = tree_sitter.Language(tree_sitter_javascript.language())

_BYTES_A_STEP = 20
"""The parser calls its progress callback some 2 times in 100 bytes; where error recovery
backtracks, as often as there are bytes (`case a:case a:`).
"""
_MAX_OPEN = 2000
"""Braces that are open. The parser takes 100 bytes of the stack for each, which may have 512 KB."""
_MAX_PAIRED = 200
_NO_BRACES = bytes(set(range(256)) - set(b"{}"))

_DATA = frozenset(
    {
        "object", "array", "string", "number", "true", "false", "null", "pair", "string_fragment",
        "property_identifier", "escape_sequence", "template_string", "comment", "computed_property",
        "unary_expression", "undefined",
    }
)  # fmt: skip


def parse_script(script: bytes) -> Node | None:
    """The syntax tree of a script; None where it has errors or is too expensive to parse."""
    if _is_too_deep(script):
        return None
    left = 200 + len(script) // _BYTES_A_STEP

    def stops(_offset: int, _has_error: bool) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    try:
        tree = tree_sitter.Parser(_LANGUAGE).parse(
            lambda offset, _point: script[offset:], progress_callback=stops
        )
    except ValueError:  # it was stopped
        return None
    return None if tree.root_node.has_error else tree.root_node


def _is_too_deep(script: bytes) -> bool:
    """Whether braces are nested deeper than the parser's stack allows."""
    braces = script.translate(None, _NO_BRACES)
    for _ in range(_MAX_PAIRED):
        if len(braces) <= _MAX_OPEN:
            return False
        braces = braces.replace(b"{}", b"")
    return len(braces) > _MAX_OPEN


def is_data(value: Node) -> bool:
    """Whether evaluating a value runs no code."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if node.is_named and node.type not in _DATA:
            return False
        waiting += node.children
    return True
