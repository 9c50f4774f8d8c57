"""The syntax tree of a script, at a bounded cost.

tree-sitter is imported here alone.
"""

from __future__ import annotations

import tree_sitter
import tree_sitter_javascript
from tree_sitter import Node

from consent_rules.lazy_pattern import lazy_pattern

__all__ = ["KEEPERS", "MERGES", "Node", "is_data", "is_plain_merge", "parse_script"]

_LANGUAGE = tree_sitter.Language(tree_sitter_javascript.language())

_BYTES_A_STEP = 20
"""The parser calls its progress callback some 2 times in 100 bytes; where error recovery
backtracks, as often as there are bytes (`case a:case a:`).
"""
_PIECE = 65_536
"""Bytes of a script that the parser gets at once. It keeps them to its end."""
_MAX_READ_AHEAD = 20_000_000
"""Bytes that the parser may read in search of the ends of comments that have none."""
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


KEEPERS = frozenset({b"JSON.parse", b"Object.freeze"})
"""Functions that give back the data that they are given, as a value."""
MERGES = frozenset(
    {
        b"Object.assign", b"jQuery.extend", b"$.extend", b"_.extend", b"_.assign", b"_.merge",
        b"angular.merge", b"angular.extend",
    }
)  # fmt: skip
"""Functions that add data to the object which they are given first, and give it back."""
_FETCHING = lazy_pattern(
    rb"on\w+|location|href|src|srcset|srcdoc|imagesrcset|data|action|formaction|codebase|poster"
    rb"|ping|background\w*|style|csstext|text|textcontent|innertext|html|innerhtml|outerhtml"
    rb"|nodevalue|cookie|prototype|__proto__|attributionsrc|cursor|filter|clippath|shapeoutside"
    rb"|httpequiv|(?:liststyle|borderimage|mask|webkit)\w*"
)
"""Properties of elements and styles, without hyphens and in small letters: what is put into one may
be run, shown or loaded.
"""
_SETTING = frozenset({b"style", b"dataset", b"attributes", b"location", b"document", b"href"})
_SWITCHES = frozenset({"number", "true", "false", "null", "undefined", "unary_expression"})


def parse_script(script: bytes) -> Node | None:
    """The syntax tree of a script; None where it has errors or is too expensive to parse."""
    if _is_too_deep(script) or _is_read_too_often(script):
        return None
    left = 200 + len(script) // _BYTES_A_STEP

    def stops(_offset: int, _has_error: bool) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    try:
        tree = tree_sitter.Parser(_LANGUAGE).parse(
            lambda offset, _point: script[offset : offset + _PIECE], progress_callback=stops
        )
    except ValueError:  # it was stopped
        return None
    return None if tree.root_node.has_error else tree.root_node


def _is_read_too_often(script: bytes) -> bool:
    """Whether many comments begin of which none ends: to the parser each may be one, and it reads
    on to the script's end.
    """
    last = script.rfind(b"*/") + 1
    return script.count(b"/*", last) * (len(script) - last) > _MAX_READ_AHEAD


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


def is_plain_merge(path: tuple[bytes, ...], data: Node) -> bool:
    """Whether adding data to the object at a path stores it, and sets nothing even if that is an
    element.
    """
    if data.type != "object" or not _SETTING.isdisjoint(path):
        return False
    for pair in data.named_children:
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is None or value is None or value.type in _SWITCHES:
            continue
        name = (key.text or b"").strip(b"\"'").replace(b"-", b"").lower()
        if b"\\" in name:
            return False
        # Some merge what is within an object, too.
        if name in _SETTING or (value.type != "object" and _FETCHING.fullmatch(name)):
            return False
        if name == b"content" and b"url(" in (value.text or b"").lower():
            return False  # a style's
    return True
