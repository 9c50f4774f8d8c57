"""Remnants of a closed inline script: the site's own functions and data in it.

Such a script is closed as a whole, for no part of a vendor's code may run. But the rest of the page
may call its own declarations. So two things replace it: the declarations of the site's own that the
page uses, and stubs for those that cannot be preserved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import tree_sitter
import tree_sitter_javascript
from tree_sitter import Node

__all__ = ["Node", "Remains", "code_of", "is_data", "parse_script", "remnants"]

_LANGUAGE = tree_sitter.Language(tree_sitter_javascript.language())

# A quick approximation of the names that a script declares outside of all brackets.
_PIECE = re.compile(
    rb"""(?P<open>[({\[])|(?P<close>[)}\]])"""
    rb"""|(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|//[^\n]*|/\*[\s\S]*?\*/)"""
    rb"""|(?<![\w$.])(?:function[\s*]|var\s|let\s|const\s|class\s)\s*(?P<declared>[\w$]{3,})"""
    rb"""|(?:(?<![\w$.])|(?<=window\.))(?P<assigned>[\w$]{3,})\s*=(?![=>])"""
)
_MAX_BYTES = 16_384
"""Bytes. A script beyond that is a library or a bundle."""
_BYTES_A_STEP = 20
"""The parser calls its progress callback some 2 times in 100 bytes; where error recovery
backtracks, as often as there are bytes (`case a:case a:`).
"""
_MAX_OPEN = 2000
"""Braces that are open. The parser takes 100 bytes of the stack for each, which may have 512 KB."""
_MAX_PAIRED = 200
_NO_BRACES = bytes(set(range(256)) - set(b"{}"))

_FUNCTIONS = frozenset(
    {"function_declaration", "generator_function_declaration", "class_declaration"}
)
_VARIABLES = frozenset({"variable_declaration", "lexical_declaration"})
_WINDOW = frozenset({b"window", b"self", b"globalThis"})
_DATA = frozenset(
    {
        "object", "array", "string", "number", "true", "false", "null", "pair", "string_fragment",
        "property_identifier", "escape_sequence", "template_string", "comment", "computed_property",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Remains:
    """`code` replaces the script; `names` are the functions that must exist as stubs."""

    code: bytes = b""
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Declared:
    """One global name that a script declares; `own` is its text where it can be preserved: a
    function, or plain data.
    """

    name: str
    start: int
    own: bytes


_HANDLERS = (b" on", b"\non")
_HANDLER = re.compile(rb"""on[a-z]+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
_JOINED = (b"_", b"$", b"-")
_UNTIL = re.compile(rb"[^>]*")


def code_of(page: bytes) -> bytes:
    """The page's scripts and event handlers, approximately: where function names may be used."""
    lowered = page.lower()
    found = [page[at : lowered.find(b"</script", at)] for at in _places(lowered, b"<script")]
    for mark in _HANDLERS:
        for at in _places(lowered, mark):
            handler = _HANDLER.match(page, at + 1)
            if handler is not None:
                found.append(handler[1])
    found += [
        until[0]
        for at in _places(lowered, b"javascript:")
        if (until := _UNTIL.match(page, at)) is not None
    ]
    return b"\n".join(found)


def _places(page: bytes, mark: bytes) -> Iterator[int]:
    at = page.find(mark)
    while at >= 0:
        yield at
        at = page.find(mark, at + len(mark))


def remnants(
    script: bytes,
    rest: Callable[[], bytes],
    is_vendors: Callable[[str], bool],
    *,
    all_used: bool = False,
) -> Remains:
    """The remnants of a closed script.

    `rest` is the code of the page around it (`code_of`); `is_vendors` decides whether a text or
    name identifies a vendor. `all_used`: more of the page may follow, and may use everything.
    """
    if len(script) > _MAX_BYTES or b"<!--" in script:
        return Remains()
    likely = {name for name in _likely(script) if not is_vendors(_text(name))}
    if not likely:
        return Remains()
    around = rest()
    if not all_used and not any(_is_named(name, around) for name in likely):
        return Remains()
    declared = {one.name: one for one in _declared(script) if not is_vendors(one.name)}
    used = set(declared) if all_used else _used(declared, around)
    if not used:
        return Remains()
    preserved = [
        declared[name]
        for name in used
        if declared[name].own and not is_vendors(_text(declared[name].own))
    ]
    code = b"\n".join(one.own for one in sorted(preserved, key=lambda one: one.start))
    if is_vendors(_text(code)):
        preserved, code = [], b""
    lost = used - {one.name for one in preserved}
    called = {name for name in lost if any(_of(name, "[.([]").search(b) for b in (around, code))}
    blanks = b"".join(b"var %s;" % name.encode() for name in sorted(lost - called))
    return Remains(blanks + code, frozenset(called))


def _likely(script: bytes) -> Iterator[bytes]:
    depth = 0
    for piece in _PIECE.finditer(script):
        kind = piece.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind is not None and depth <= 0:
            yield piece[kind]


def _is_named(name: bytes, code: bytes) -> bool:
    """Whether a name occurs in the code as a word; an approximation."""
    for at in _places(code, name):
        before, after = code[at - 1 : at], code[at + len(name) : at + len(name) + 1]
        if not (before.isalnum() or before in _JOINED or after.isalnum() or after in _JOINED):
            return True
    return False


def _used(declared: Mapping[str, _Declared], rest: bytes) -> set[str]:
    """The names that the page uses, transitively through the preserved declarations."""
    used: set[str] = set()
    waiting = [rest]
    while waiting:
        text = waiting.pop()
        found = {
            name
            for name in declared.keys() - used
            if name.encode() in text and _of(name, r"[^\w$-]|\Z").search(text)
        }
        used |= found
        waiting += [declared[name].own for name in found if declared[name].own]
    return used


def _of(name: str, following: str) -> re.Pattern[bytes]:
    pattern = rf"(?:(?<![\w$.-])|(?<=window\.)){re.escape(name)}\s*(?:{following})"
    return re.compile(pattern.encode())


def _text(code: bytes) -> str:
    return code.decode("latin-1")


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


def _declared(script: bytes) -> Iterator[_Declared]:
    root = parse_script(script)
    # One that cannot be read as a whole is none that a browser would run.
    for statement in () if root is None else root.children:
        for name, node, own in _names(statement, script):
            if name.isascii() and len(name) > 2:
                yield _Declared(name.decode(), node.start_byte, own)


def _names(statement: Node, script: bytes) -> Iterator[tuple[bytes, Node, bytes]]:
    def text(node: Node) -> bytes:
        return script[node.start_byte : node.end_byte]

    if statement.type in _FUNCTIONS:
        name = statement.child_by_field_name("name")
        if name is not None:
            yield text(name), statement, text(statement)
    elif statement.type in _VARIABLES:
        for one in statement.children:
            name = one.child_by_field_name("name") if one.type == "variable_declarator" else None
            if name is not None and name.type == "identifier":
                value = one.child_by_field_name("value")
                own = b"var %s;" % text(one) if value is not None and is_data(value) else b""
                yield text(name), one, own
    elif statement.type == "expression_statement":
        for one in _assignments(statement):
            left, value = one.child_by_field_name("left"), one.child_by_field_name("right")
            if left is None or value is None:
                continue
            name = left if left.type == "identifier" else None
            if left.type == "member_expression":
                of, name = left.child_by_field_name("object"), left.child_by_field_name("property")
                if of is None or text(of) not in _WINDOW:
                    continue
            if name is not None:
                yield text(name), one, b"%s;" % text(one) if is_data(value) else b""


def _assignments(node: Node) -> Iterator[Node]:
    for child in node.children:
        if child.type == "assignment_expression":
            yield child
        elif child.type == "sequence_expression":
            yield from _assignments(child)


def is_data(value: Node) -> bool:
    """Whether evaluating a value runs no code."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if node.is_named and node.type not in _DATA:
            return False
        waiting += node.children
    return True
