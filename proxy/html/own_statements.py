"""The parts of a script that are the site's own, told apart from a vendor's by the syntax tree.

A part is a statement at top level, one declarator of a declaration, or one assignment of a
sequence. Three kinds of them are the site's own:

* data: a name or property that is assigned a literal (`ACME={...}`, `x.y=[...]`);
* a function or class that holds no signature;
* a statement that names no vendor, nothing that a vendor's part declares or calls, and does
  nothing by which code is loaded or run.

All else goes, and with it every statement that rests upon it. In doubt a part is the vendor's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from proxy.html.script_syntax import Node, is_data, parse_script

_FUNCTIONS = frozenset(
    {"function_declaration", "generator_function_declaration", "class_declaration"}
)
_VARIABLES = frozenset({"variable_declaration", "lexical_declaration"})
_RUN = frozenset({"if_statement", "for_statement", "for_in_statement", "while_statement",
                  "try_statement", "statement_block"})  # fmt: skip
_WINDOW = frozenset({b"window", b"self", b"globalThis"})
_BROWSERS = frozenset({b"document", b"location", b"navigator", b"history", b"screen", b"top",
                       b"parent", b"opener", b"frames", b"event", b"this"})  # fmt: skip
"""Roots of paths whose assignment is not plain storage."""
_SETTERS = re.compile(rb"location|name|status|opener|on[a-z]+")
"""Of the window's own properties."""
_LOADS = re.compile(
    rb"eval|execScript|Function|constructor|create\w*|write(?:ln)?|\w*HTML\w*|srcdoc|src|srcset"
    rb"|insert\w+|append\w*|prepend\w*|replace(?:With|Child\w*)|Image|Audio|\w*Worker\w*|import\w*"
    rb"|sendBeacon|fetch|XMLHttpRequest|ActiveXObject|EventSource|Web[ST]\w+|setAttribute\w*|cookie"
    rb"|(?:local|session)Storage|indexedDB|getScript|ajax|load\w*|require|define\w*|postMessage"
    rb"|script|iframe|Reflect|Proxy|arguments"
)
"""Words of code that loads or runs other code, keeps or sends something."""
_KNOWN = frozenset(
    rb"""document window self globalThis jQuery console Math JSON Date Object Array String Number
    RegExp Promise setTimeout setInterval requestAnimationFrame addEventListener $ function return
    var let const new if else for in of this true false null undefined typeof try catch""".split()
)
"""Names that say nothing about whose a statement is."""
_WORD = re.compile(rb"[\w$\x80-\xff]+")
_TEXTS = frozenset({"string_fragment", "escape_sequence", "regex_pattern"})
_MAX_STATEMENTS = 500
_MAX_NODES = 100_000
"""Nodes of the syntax tree that are looked at: some 100 ms."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a script: its global name ("" for none), where it starts, and its code where it
    is the site's own. `stays`: it is of use whether or not the page names it. `lost` is the code of
    one that goes though it names no vendor.
    """

    name: str
    start: int
    code: bytes
    stays: bool = False
    lost: bytes = b""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A part that may be the site's own. `names` are those that it declares or assigns."""

    part: Part
    names: frozenset[bytes]
    words: frozenset[bytes]


def parts_of(script: bytes, is_vendors: Callable[[str], bool]) -> list[Part]:
    """The parts of a script, in its order; none where it cannot be read.

    `is_vendors` decides whether a text or name identifies a vendor.
    """
    root = parse_script(script)
    # One that cannot be read as a whole is none that a browser would run.
    if root is None or root.descendant_count > _MAX_NODES:
        return []
    if len(root.children) > _MAX_STATEMENTS:
        return []
    is_vendors = cache(is_vendors)
    found = [one for node in root.children for one in _statements(node, script)]
    own = [_is_own(one, is_vendors) for one in found]
    while True:
        gone = [one for one, is_own in zip(found, own, strict=True) if not is_own]
        declared = frozenset[bytes]().union(*(one.names for one in gone))
        touched = frozenset[bytes]().union(*(one.words for one in gone)) - _KNOWN
        left = [
            is_own and not _rests_upon(one, declared, touched)
            for one, is_own in zip(found, own, strict=True)
        ]
        if left == own:
            break
        own = left
    return [
        one.part if is_own else _gone(one, is_vendors)
        for one, is_own in zip(found, own, strict=True)
    ]


def _gone(one: _Statement, is_vendors: Callable[[str], bool]) -> Part:
    code = one.part.code
    words = (word.decode("latin-1") for word in one.words | one.names)
    is_own = not (is_vendors(code.decode("latin-1")) or any(map(is_vendors, words)))
    return replace(one.part, code=b"", stays=False, lost=code if is_own else b"")


def _rests_upon(one: _Statement, declared: frozenset[bytes], touched: frozenset[bytes]) -> bool:
    if one.part.name and not one.part.stays:
        return False  # a function: what it calls has a stub
    if not one.words:
        return not one.names.isdisjoint(declared)
    return not one.words.isdisjoint(declared) or not _calls(one).isdisjoint(touched)


def _calls(one: _Statement) -> frozenset[bytes]:
    return one.words - _KNOWN - one.names


def _is_own(one: _Statement, is_vendors: Callable[[str], bool]) -> bool:
    part = one.part
    if not part.code or (part.name and is_vendors(part.name)):
        return False
    text = part.code.decode("latin-1")
    if not one.words:  # data: what it names is a text
        return not any(is_vendors(name.decode("latin-1")) for name in one.names)
    if is_vendors(text):
        return False
    if part.name and not part.stays:
        return True
    return not any(
        _LOADS.fullmatch(word) or is_vendors(word.decode("latin-1")) for word in one.words
    )


def _statements(node: Node, script: bytes) -> Iterator[_Statement]:
    text = script[node.start_byte : node.end_byte]
    if node.type in _FUNCTIONS:
        name = node.child_by_field_name("name")
        if name is not None:
            yield _statement(node, script, text, name=_text(name, script), stays=False)
    elif node.type in _VARIABLES:
        for one in node.children:
            if one.type == "variable_declarator":
                yield _declarator(one, script)
    elif node.type == "expression_statement":
        for one in _expressions(node):
            yield _expression(one, script)
    elif node.type in _RUN:
        yield _statement(node, script, text)
    elif node.type not in {"comment", "empty_statement", ";"}:
        yield _statement(node, script, b"")


def _declarator(one: Node, script: bytes) -> _Statement:
    name, value = one.child_by_field_name("name"), one.child_by_field_name("value")
    code = b"var %s;" % _text(one, script)
    if name is None or name.type != "identifier":
        return _statement(one, script, b"")
    path = _text(name, script)
    if value is None or not _is_stored(value, path, script):
        return _statement(one, script, code, name=path)
    return _data(one, code, path, (path,))


def _expression(one: Node, script: bytes) -> _Statement:
    left, value = one.child_by_field_name("left"), one.child_by_field_name("right")
    code = b"%s;" % _text(one, script)
    if one.type != "assignment_expression" or left is None or value is None:
        return _statement(one, script, code)
    path = _path(left, script)
    if path is None:
        return _statement(one, script, code)
    name = path[0] if len(path) == 1 else b""
    if not _is_stored(value, _text(left, script), script):
        return _statement(one, script, code, name=name)
    if len(path) == 1 and _SETTERS.fullmatch(name):
        return _statement(one, script, b"")
    if path[0] in _BROWSERS:
        return _statement(one, script, code)
    return _data(one, code, name, path)


def _data(node: Node, code: bytes, name: bytes, path: tuple[bytes, ...]) -> _Statement:
    part = Part(_name(name), node.start_byte, code, stays=True)
    return _Statement(part, frozenset(path[:2]), frozenset())


def _statement(
    node: Node, script: bytes, code: bytes, *, name: bytes = b"", stays: bool = True
) -> _Statement:
    words = frozenset(_words(node, script))
    names = frozenset(_assigned(node, script)) | ({name} if name else frozenset())
    return _Statement(
        Part(_name(name), node.start_byte, code, stays), names, words or frozenset({b""})
    )


def _name(name: bytes) -> str:
    return name.decode() if name.isascii() and len(name) > 2 else ""


def _is_stored(value: Node, path: bytes, script: bytes) -> bool:
    """Whether a value is data, or what the name holds already (`window.x = window.x || {}`)."""
    if is_data(value):
        return True
    left, right = value.child_by_field_name("left"), value.child_by_field_name("right")
    if value.type != "binary_expression" or left is None or right is None:
        return False
    names = {path, *(b"%s.%s" % (window, path) for window in _WINDOW)}
    names |= {path.partition(b".")[2]} if path.partition(b".")[0] in _WINDOW else set()
    return is_data(right) and _text(left, script) in names


def _path(target: Node, script: bytes) -> tuple[bytes, ...] | None:
    """The names of `window.a.b` or `a["b"]`, without the window; None for any other target."""
    names: list[bytes] = []
    node: Node | None = target
    while node is not None:
        if node.type == "identifier":
            names.append(_text(node, script))
            break
        child = node.child_by_field_name("property") or node.child_by_field_name("index")
        if child is None or child.type not in {"property_identifier", "string"}:
            return None
        names.append(_text(child, script).strip(b"\"'"))
        node = node.child_by_field_name("object")
    names.reverse()
    if len(names) > 1 and names[0] in _WINDOW:
        del names[0]
    return tuple(names)


def _expressions(node: Node) -> Iterator[Node]:
    for child in node.children:
        if child.type == "sequence_expression":
            yield from _expressions(child)
        elif child.is_named and child.type != "comment":
            yield child


def _words(node: Node, script: bytes) -> Iterator[bytes]:
    """The words of code, and of short texts, which may be names (`window["x"]`)."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.type in _TEXTS:
            if _WORD.fullmatch(_text(one, script)):
                yield _text(one, script)
        elif one.type == "comment":
            continue
        elif one.children:
            waiting += one.children
        else:
            yield from _WORD.findall(_text(one, script))


def _assigned(node: Node, script: bytes) -> Iterator[bytes]:
    """Names that a statement declares, or assigns somewhere within."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        target = None
        if one.type == "assignment_expression":
            target = one.child_by_field_name("left")
        elif one.type == "variable_declarator" or one.type in _FUNCTIONS:
            target = one.child_by_field_name("name")
        path = _path(target, script) if target is not None else None
        if path:
            yield path[0]
        waiting += one.children


def _text(node: Node, script: bytes) -> bytes:
    return script[node.start_byte : node.end_byte]
