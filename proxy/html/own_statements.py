"""The parts of a script that are the site's own, told apart from a vendor's by the syntax tree.

A part is a statement at top level, one declarator of a declaration, or one assignment of a
sequence. Three kinds of them are the site's own:

* data: a name or property that is assigned a literal (`ACME={...}`, `x.y=[...]`) or is given one
  (`Object.assign(x.y, {...})`);
* a function or class that holds no signature, declared or assigned (`x.y=function(){...}`,
  `ACME={show(){...}}`);
* a statement that names no vendor, nothing that a vendor's part declares or calls, and does
  nothing by which code is loaded or run. A function within it that is called later, as a handler
  is, may call a vendor's global for which a stub stands.

All else goes, and with it every statement that rests upon it: that uses a name or a property
(`x.y()`, `x.y.z=1`) which nothing else makes. In doubt a part is the vendor's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.long_literals import Shortened, shortened
from proxy.html.script_syntax import (
    KEEPERS,
    MERGES,
    Node,
    is_data,
    is_plain_merge,
    parse_script,
)

_FUNCTIONS = frozenset(
    {"function_declaration", "generator_function_declaration", "class_declaration"}
)
_VARIABLES = frozenset({"variable_declaration", "lexical_declaration"})
_RUN = frozenset({"if_statement", "for_statement", "for_in_statement", "while_statement",
                  "try_statement", "statement_block", "switch_statement", "do_statement",
                  "labeled_statement"})  # fmt: skip
_PATTERNS = frozenset({"identifier", "object_pattern", "array_pattern"})
_HANDLERS = frozenset({"function_expression", "arrow_function"})
_WINDOW = frozenset({b"window", b"self", b"globalThis"})
_BROWSERS = frozenset({b"document", b"location", b"navigator", b"history", b"screen", b"top",
                       b"parent", b"opener", b"frames", b"event", b"this"})  # fmt: skip
"""Roots of paths whose assignment is not plain storage."""
_SETTERS = lazy_pattern(rb"location|name|status|opener|on[a-z]+")
"""Of the window's own properties."""
_LOADS = lazy_pattern(
    rb"eval|execScript|Function|constructor|create\w*|write(?:ln)?|\w*HTML\w*|srcdoc|src|srcset"
    rb"|insert\w+|append\w*|prepend\w*|replace(?:With|Child\w*)|Image|Audio|\w*Worker\w*|import\w*"
    rb"|sendBeacon|fetch|XMLHttpRequest|ActiveXObject|EventSource|Web[ST]\w+|setAttribute\w*|cookie"
    rb"|(?:local|session)Storage|indexedDB|getScript|ajax|load\w*|require|define\w*|postMessage"
    rb"|script|iframe|Reflect|Proxy|arguments"
)
"""Words of code that loads or runs other code, keeps or sends something."""
_OF_COMPONENTS = frozenset({b"define", b"HTMLElement"})
"""Of these the words of a statement that defines a custom element, which loads nothing."""
_KNOWN = frozenset(
    rb"""document window self globalThis jQuery console Math JSON Date Object Array String Number
    RegExp Promise setTimeout setInterval requestAnimationFrame addEventListener $ function return
    var let const new if else for in of this true false null undefined typeof try catch""".split()
)
"""Names that say nothing about whose a statement is."""
_WORD = lazy_pattern(rb"[\w$\x80-\xff]+")
_TEXTS = frozenset({"string_fragment", "escape_sequence", "regex_pattern"})
_LISTENS = frozenset({b"addEventListener", b"removeEventListener", b"on", b"off", b"one", b"once"})
"""Of their arguments the texts are names of events."""
_INERT = frozenset({"function_expression", "generator_function", "arrow_function"})
_MAX_STATEMENTS = 500
_MAX_BYTES = 400_000
"""Bytes, without long literals. A syntax tree takes up to 450 times as many."""
_MAX_PATH = 6
"""Names of a path that are told apart from longer ones."""
_MAX_NODES = 100_000
"""Nodes of the syntax tree that are looked at: some 100 ms."""


Path = tuple[bytes, ...]
"""A name, and properties of what it holds: `a.b` and `window.a.b` alike."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a script: its global name ("" for none), where it starts, and its code where it
    is the site's own. `stays`: it is of use whether or not the page names it. `lost` is the code of
    one that goes though it names no vendor. `is_data`: it only stores a literal.

    `sets` and `reads` are the paths that it assigns, of one that goes the properties alone, and
    those that it reads or assigns something of. `defines` are globals that one which goes would
    make within blocks or functions.
    """

    name: str
    start: int
    code: bytes
    stays: bool = False
    lost: bytes = b""
    is_data: bool = False
    sets: frozenset[Path] = frozenset()
    reads: frozenset[Path] = frozenset()
    defines: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Statement:
    """A part that may be the site's own.

    `names` are those that it declares, or of which it assigns a property; `declares` the first of
    these, `makes` those among them that it gives a value of its own. `words` are all of its code,
    none for data; `now` and `later` are the names of variables that it reads, at once and in
    functions that are handed on. `is_inert`: it assigns functions, and runs nothing.
    """

    part: Part
    names: frozenset[bytes]
    words: frozenset[bytes] = frozenset()
    now: frozenset[bytes] = frozenset()
    later: frozenset[bytes] = frozenset()
    declares: frozenset[bytes] = frozenset()
    makes: frozenset[bytes] = frozenset()
    is_inert: bool = False


def parts_of(
    script: bytes,
    is_vendors: Callable[[str], bool],
    stubbed: frozenset[bytes] = frozenset(),
) -> list[Part]:
    """The parts of a script, in its order; none where it cannot be read.

    `is_vendors` decides whether a text or name identifies a vendor; `stubbed` are globals of
    vendors for which a stub stands while the script is closed.
    """
    short = _shortened(script)
    read = short.code.encode("utf-8") if short.pairs else script
    root = parse_script(read) if len(read) <= _MAX_BYTES else None
    # One that cannot be read as a whole is none that a browser would run.
    if root is None or root.descendant_count > _MAX_NODES:
        return []
    if len(root.children) > _MAX_STATEMENTS or not short.is_read_alike(root):
        return []
    is_vendors = cache(is_vendors)
    found = [one for node in root.children for one in _statements(node, read)]
    if short.pairs:
        found = [
            replace(one, part=replace(one.part, code=short.restored(one.part.code)))
            for one in found
        ]
    own = [_is_own(one, is_vendors, stubbed) for one in found]
    _drop_what_rests_upon_gone(found, own, stubbed)
    return [
        one.part if is_own else _gone(one, is_vendors)
        for one, is_own in zip(found, own, strict=True)
    ]


def _shortened(script: bytes) -> Shortened:
    """A script without its long literals, whatever they name: they are data."""
    try:
        return shortened(script.decode("utf-8"), lambda _: False)
    except UnicodeDecodeError:
        return Shortened("")


def _gone(one: _Statement, is_vendors: Callable[[str], bool]) -> Part:
    code = one.part.code
    words = (word.decode("latin-1") for word in one.words | one.names)
    is_own = not (is_vendors(code.decode("latin-1")) or any(map(is_vendors, words)))
    return replace(
        one.part,
        code=b"",
        stays=False,
        lost=code if is_own else b"",
        is_data=False,
        sets=frozenset(path for path in one.part.sets if len(path) > 1),
        reads=frozenset(),
    )


def _drop_what_rests_upon_gone(
    found: list[_Statement], own: list[bool], stubbed: frozenset[bytes]
) -> None:
    """Take out of the site's own (`own`, by number) each statement that rests upon one that goes:
    on a name that it declares, on one that it uses and none that stays makes, or on a property.
    """
    by_declared: dict[bytes, list[int]] = {}
    by_touched: dict[bytes, list[int]] = {}
    by_property: dict[Path, list[int]] = {}
    made = Counter[bytes]()
    set_by_own = Counter[Path]()
    for number, one in enumerate(found):
        if not own[number]:
            continue
        made.update(one.makes)
        if one.part.name and not one.part.stays:
            continue  # a function: what it calls has a stub
        set_by_own.update(one.part.sets)
        is_stored = one.is_inert or not one.words
        for path in _with_owners(one.part.sets if is_stored else one.part.reads):
            by_property.setdefault(path, []).append(number)
        read = one.now | (one.later - stubbed)
        for name in one.names if is_stored else read:
            by_declared.setdefault(name, []).append(number)
        for name in () if is_stored else read - one.names:
            by_touched.setdefault(name, []).append(number)
    touched: set[bytes] = set()
    waiting = [number for number, is_own in enumerate(own) if not is_own]
    first = len(waiting)
    for place, number in enumerate(waiting):  # it grows
        one = found[number]
        if place >= first:
            made.subtract(one.makes)
            set_by_own.subtract(one.part.sets)
        new = one.words - _KNOWN
        touched |= new
        lost = [by_declared.pop(name, []) for name in one.declares - _KNOWN - _BROWSERS]
        lost += [by_touched.pop(name, []) for name in new | (one.makes & touched) if not made[name]]
        properties = (path for path in one.part.sets if len(path) > 1)
        lost += [by_property.pop(path, []) for path in properties if set_by_own[path] <= 0]
        for other in dict.fromkeys(chain.from_iterable(lost)):
            if own[other]:
                own[other] = False
                waiting.append(other)


def _with_owners(paths: Iterable[Path]) -> set[Path]:
    """Paths, and those that they are properties of."""
    return {path[:end] for path in paths for end in range(1, len(path) + 1)}


def _is_own(one: _Statement, is_vendors: Callable[[str], bool], stubbed: frozenset[bytes]) -> bool:
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
    if one.is_inert:
        return not any(is_vendors(name.decode("latin-1")) for name in one.names)
    if not one.now.isdisjoint(stubbed):
        return False
    handled = one.later & stubbed
    harmless = _OF_COMPONENTS if b"customElements" in one.now else frozenset[bytes]()
    return not any(
        (_LOADS.fullmatch(word) and word not in harmless)
        or (word not in handled and is_vendors(word.decode("latin-1")))
        for word in one.words
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
    if name is None or name.type not in _PATTERNS:
        return _statement(one, script, b"")
    path = _text(name, script)
    if name.type != "identifier":
        return _statement(one, script, code)
    if value is None or not _is_stored(value, path, script):
        is_inert = value is not None and _is_inert(value)
        return _statement(one, script, code, name=path, inert=(path,) if is_inert else ())
    return _data(one, code, path, (path,))


def _expression(one: Node, script: bytes) -> _Statement:
    left, value = one.child_by_field_name("left"), one.child_by_field_name("right")
    code = b"%s;" % _text(one, script)
    if one.type == "call_expression" and (path := _merged(one, script)):
        return _data(one, code, path[0] if len(path) == 1 else b"", path)
    if one.type != "assignment_expression" or left is None or value is None:
        return _statement(one, script, code)
    path = _path(left, script)
    if path is None:
        return _statement(one, script, code)
    name = path[0] if len(path) == 1 else b""
    if not _is_stored(value, _text(left, script), script):
        is_inert = path[0] not in _BROWSERS and not _SETTERS.fullmatch(path[-1])
        is_inert = is_inert and path[-1] != b"prototype" and _is_inert(value)
        return _statement(one, script, code, name=name, inert=path if is_inert else ())
    if len(path) == 1 and _SETTERS.fullmatch(name):
        return _statement(one, script, b"")
    if path[0] in _BROWSERS:
        return _statement(one, script, code)
    return _data(one, code, name, path)


def _data(node: Node, code: bytes, name: bytes, path: Path) -> _Statement:
    paths = frozenset({path[:_MAX_PATH]})
    part = Part(
        _name(name), node.start_byte, code, stays=True, is_data=True, sets=paths, reads=paths
    )
    declares = frozenset(path) if len(path) == 1 else frozenset[bytes]()
    return _Statement(part, frozenset(path[:2]), declares=declares)


def _statement(
    node: Node,
    script: bytes,
    code: bytes,
    *,
    name: bytes = b"",
    stays: bool = True,
    inert: Path = (),
) -> _Statement:
    """`inert` is the path to which it assigns functions, and so runs nothing; () for others."""
    uses = _uses(node, script)
    assigned = [inert] if inert else list(_assigned(node, script))
    names = frozenset(path[0] for path in assigned) | ({name} if name else frozenset())
    declares = frozenset(path[0] for path in assigned if len(path) == 1)
    # A list or an object may still be filled by others.
    is_declared = node.type in _FUNCTIONS or node.type == "variable_declarator"
    makes = declares if is_declared else frozenset[bytes]()
    part = Part(
        _name(name),
        node.start_byte,
        code,
        stays,
        sets=frozenset(path[:_MAX_PATH] for path in assigned),
        reads=frozenset(path for path in uses.paths if path[0] not in _KNOWN),
        defines=_defined(node, script),
    )
    return _Statement(
        part,
        names,
        frozenset(uses.words) or frozenset({b""}),
        frozenset(uses.now) - _KNOWN,
        frozenset(uses.later) - _KNOWN,
        declares | ({name} if name else frozenset()),
        makes,
        bool(inert),
    )


def _name(name: bytes) -> str:
    return name.decode() if name.isascii() else ""


def _is_inert(value: Node) -> bool:
    """Whether a value is a function, or a list or object of functions and data: nothing of it runs
    while it is assigned.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if one.type in _INERT:
            continue
        if one.type == "method_definition":
            waiting += [child for child in one.children if child.type == "computed_property_name"]
        elif one.type in {"object", "array", "pair", "parenthesized_expression"}:
            waiting += one.named_children
        elif not is_data(one):
            return False
    return True


def _is_stored(value: Node, path: bytes, script: bytes) -> bool:
    """Whether a value is data, or what the name holds already (`window.x = window.x || {}`)."""
    if _keeps_data(value, path, script):
        return True
    left, right = value.child_by_field_name("left"), value.child_by_field_name("right")
    if value.type != "binary_expression" or left is None or right is None:
        return False
    names = {path, *(b"%s.%s" % (window, path) for window in _WINDOW)}
    names |= {path.partition(b".")[2]} if path.partition(b".")[0] in _WINDOW else set()
    return is_data(right) and _text(left, script) in names


def _keeps_data(value: Node, path: bytes, script: bytes) -> bool:
    """Whether a value is data, some that is parsed or frozen, or some that is added to what the
    name holds already.
    """
    if value.type != "call_expression":
        return is_data(value)
    function, given = _function_and_arguments(value, script)
    if function in KEEPERS:
        return len(given) == 1 and is_data(given[0])
    if function not in MERGES:
        return False
    return all(is_data(one) or _is_stored(one, path, script) for one in given)


def _merged(call: Node, script: bytes) -> Path | None:
    """The path to which `Object.assign(path, {...})` adds data; None for any other call."""
    function, given = _function_and_arguments(call, script)
    if function not in MERGES:
        return None
    if given and given[0].type == "true":
        given = given[1:]  # deeply
    if len(given) < 2 or not all(is_data(one) for one in given[1:]):
        return None
    path = _path(given[0], script)
    if path is None or path[0] in _BROWSERS or path[-1] in _WINDOW | _BROWSERS:
        return None
    return path if all(is_plain_merge(path, one) for one in given[1:]) else None


def _function_and_arguments(call: Node, script: bytes) -> tuple[bytes, list[Node]]:
    function = call.child_by_field_name("function")
    arguments = call.child_by_field_name("arguments")
    if function is None or arguments is None or arguments.type != "arguments":
        return b"", []
    given = [one for one in arguments.named_children if one.type != "comment"]
    return _text(function, script), given


def _path(target: Node, script: bytes, most: int = _MAX_BYTES) -> Path | None:
    """The names of `window.a.b` or `a["b"]`, without the window; None for any other target, and
    for one of more than `most` names.
    """
    names: list[bytes] = []
    node: Node | None = target
    while node is not None:
        if len(names) == most:
            return None
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


@dataclass(slots=True)
class _Uses:
    words: set[bytes] = field(default_factory=set)
    """Of code, and short texts, which may be names (`x["y"]`); not those of events."""
    now: set[bytes] = field(default_factory=set)
    later: set[bytes] = field(default_factory=set)
    paths: set[Path] = field(default_factory=set)


def _uses(node: Node, script: bytes) -> _Uses:
    """What a statement reads, and what of it in functions that are given to others to call."""
    uses = _Uses()
    waiting = [(node, False)]
    while waiting:
        one, is_later = waiting.pop()
        # Of a leaf alone: all that is around a deep one is as long each time.
        text = b"" if one.child_count else _text(one, script)
        if one.type in _TEXTS:
            if _WORD.fullmatch(text):
                uses.words.add(text)
        elif one.type == "number" or one.type == "comment":
            continue
        elif one.type == "call_expression":
            waiting += _parts_of_call(one, script, is_later=is_later)
        elif one.type in {"member_expression", "subscript_expression"}:
            name = _global_name(one, script)
            if name:
                (uses.later if is_later else uses.now).add(name)
            if path := _path(one, script, _MAX_PATH):
                uses.paths.add(path)
            waiting += [(child, is_later) for child in one.children]
        elif one.children:
            waiting += [(child, is_later) for child in one.children]
        else:
            uses.words.update(_WORD.findall(text))
            if one.type in {"identifier", "shorthand_property_identifier"}:
                (uses.later if is_later else uses.now).add(text)
                uses.paths.add((text,))
    return uses


def _parts_of_call(call: Node, script: bytes, *, is_later: bool) -> Iterator[tuple[Node, bool]]:
    """What is left to read of a call, and whether it is run later."""
    function = call.child_by_field_name("function")
    arguments = call.child_by_field_name("arguments")
    method = _text(function, script).rpartition(b".")[2] if function is not None else b""
    for child in call.children:
        if child != arguments:
            yield child, is_later
            continue
        for one in child.children:
            if one.type == "string" and method in _LISTENS:
                continue
            yield one, is_later or one.type in _HANDLERS


def _global_name(access: Node, script: bytes) -> bytes:
    """`x` of `window.x` and `window["x"]`; "" of any other access."""
    of = access.child_by_field_name("object")
    name = access.child_by_field_name("property") or access.child_by_field_name("index")
    if of is None or name is None or of.child_count or _text(of, script) not in _WINDOW:
        return b""
    return _text(name, script).strip(b"\"'") if name.type != "identifier" else b""


def _assigned(node: Node, script: bytes) -> Iterator[Path]:
    """Paths that a statement declares, or assigns somewhere within."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        target = None
        if one.type == "assignment_expression":
            target = one.child_by_field_name("left")
        elif one.type == "variable_declarator" or one.type in _FUNCTIONS:
            target = one.child_by_field_name("name")
            if target is not None and target.type in _PATTERNS and target.type != "identifier":
                yield from ((name,) for name in _WORD.findall(_text(target, script)))
        path = _path(target, script) if target is not None else None
        if path:
            yield path
        waiting += one.children


def _defined(node: Node, script: bytes) -> frozenset[str]:
    """Globals that a statement makes within blocks, or within functions that it calls at once:
    `(function (w, d, n) {w.q = ...; w[n] = ...})(window, document, "name")`.

    Scopes are not told apart: a name too many gets a stub that the page's own replaces.
    """
    windows, texts = set(_WINDOW), dict[bytes, bytes]()
    accesses, found, local = list[Node](), set[bytes](), set[bytes]()
    waiting = [(node, False)]
    while waiting:
        one, is_within = waiting.pop()
        target = None
        if one.type == "call_expression":
            for parameter, value in _given(one, script):
                if value.type == "string":
                    texts[parameter] = _text(value, script)[1:-1]
                elif value.type == "this" or _text(value, script) in _WINDOW:
                    windows.add(parameter)
        elif one.type == "assignment_expression":
            target = one.child_by_field_name("left")
        elif one.type == "variable_declarator":
            target = one.child_by_field_name("name")
            if is_within and target is not None:
                local.update(_WORD.findall(_text(target, script)))
        elif one.type == "formal_parameters":
            local.update(_WORD.findall(_text(one, script)))
        if target is not None and target.type in {"member_expression", "subscript_expression"}:
            accesses.append(target)
        elif target is not None and target.type == "identifier":
            found.add(_text(target, script))
        is_within = is_within or one.type in _HANDLERS or one.type in _FUNCTIONS
        waiting += [(child, is_within) for child in one.children]
    found -= local
    for access in accesses:
        of = access.child_by_field_name("object")
        name = access.child_by_field_name("property") or access.child_by_field_name("index")
        if of is None or name is None or _text(of, script) not in windows:
            continue
        written = _text(name, script)
        found.add(texts.get(written, b"") if name.type == "identifier" else written.strip(b"\"'"))
    return frozenset(name.decode() for name in found if _IDENTIFIER.fullmatch(name))


_IDENTIFIER = lazy_pattern(rb"[A-Za-z_$][\w$]*")


def _given(call: Node, script: bytes) -> Iterator[tuple[bytes, Node]]:
    """The parameters of a function that is called where it is written, and what each is given."""
    function = call.child_by_field_name("function")
    arguments = call.child_by_field_name("arguments")
    while function is not None and function.type == "parenthesized_expression":
        function = function.named_children[0] if function.named_children else None
    if function is None or function.type not in _HANDLERS or arguments is None:
        return
    if arguments.type != "arguments":
        return
    parameters = function.child_by_field_name("parameters")
    names = parameters.named_children if parameters is not None else []
    if (alone := function.child_by_field_name("parameter")) is not None:
        names = [alone]
    for name, value in zip(names, arguments.named_children, strict=False):
        yield _text(name, script), value


def _text(node: Node, script: bytes) -> bytes:
    return script[node.start_byte : node.end_byte]
