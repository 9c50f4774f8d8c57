"""The vendors whose code an inline script contains, without those that it only has as data.

The state that a framework writes into a page, React's flight, an allow-list, a shown code sample
may contain a vendor's host without running any of its code. To attribute such a script to the
vendor would remove the page's own script, and with some frameworks the page.

A text that contains a signature is ignored only where the syntax tree shows that the script stores
it and does not read it again:

* in a comment, unless it is all that a function contains: such a function is read as a text;
* in a list or object that is assigned to a name which the script never reads, neither by itself
  nor among the properties of the window or another object;
* as a text that is assigned so, passed to a framework as the state of its page (Next.js, React
  Router, SvelteKit), or part of a function's call that makes such a state (Nuxt): unless the script
  also does what could run or load it (`innerHTML`, `createElement` ...).

Everything else counts: a URL, an argument of an external function (Next.js runs what is pushed to
`__next_s`), a script with syntax errors. What other scripts of the site do with such a text is
restricted by the policy header.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html.long_literals import Shortened, shortened
from proxy.html.script_syntax import MERGES, Node, is_plain_merge, parse_script

_MAX_LENGTH = 400_000
"""Characters. A syntax tree takes up to 450 times as many bytes."""
_MAX_NODES = 60_000
"""Nodes of the syntax tree that are analysed: some 50 ms."""

_Span = tuple[int, int]
"""Start and end in bytes, quotes included."""


class _Use(Enum):
    """The position in which a script uses a text."""

    STORED = auto()
    """In a name that it never reads."""
    QUEUED = auto()
    """In a framework's queue, which the script never reads."""
    STARTING = auto()
    """In the arguments that start a framework."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A string within data. `depth` counts the lists and objects around it; `names` are those that
    must not be read elsewhere for it to be inert; `is_made`: a function of the script is called
    with it, or returns it.
    """

    span: _Span
    use: _Use
    depth: int
    names: tuple[bytes, ...]
    is_made: bool = False
    is_added: bool = False
    """It is in an object that is added to what the names hold."""


@dataclass(slots=True)
class _Script:
    """The result of analysing a script.

    `words` counts all its words, texts included; `written` those that are only assigned to, or are
    a queue that is pushed to; `names` are the names of variables and properties, `makers` those of
    `_MAKERS` that data is made with.
    """

    code: bytes
    words: Counter[bytes]
    written: Counter[bytes] = field(default_factory=Counter)
    names: set[bytes] = field(default_factory=set)
    makers: set[bytes] = field(default_factory=set)
    members: Counter[bytes] = field(default_factory=Counter)
    """How often a property of what a name holds is named, other than to assign it."""
    given: set[bytes] = field(default_factory=set)
    """Names that hold what has another name, too, or comes from a call."""
    hands_window: bool = False
    """The window is passed on, or has another name."""
    has_made_index: bool = False
    """Something is read by a computed name."""
    runs_made_text: bool = False
    """A timer gets a computed text."""
    comments: list[_Span] = field(default_factory=list)
    texts: list[_Text] = field(default_factory=list)
    left: int = _MAX_NODES

    def text(self, node: Node) -> bytes:
        return self.code[node.start_byte : node.end_byte]


class _UnreadableError(Exception):
    """Code and data of a script cannot be distinguished."""


# Properties with a side effect: assigning runs, shows or loads the value.
_SETTERS = lazy_pattern(
    rb"on\w+|location|href|src|srcset|srcdoc|imagesrcset|data|data[sS]rc|action|form[aA]ction|code"
    rb"|codebase|poster|ping|background\w*|style|cssText|content|text|textContent|innerText|html"
    rb"|innerHTML|outerHTML|nodeValue|value|name|status|cookie|domain|hash|search|pathname|host"
    rb"|hostname|port|protocol|prototype|__proto__|className|attributionSrc|\w*[uU]rl|\w*URL"
    rb"|baseVal|animVal|lowsrc|imageSrcset|outerText|lazy\w*|cursor|filter|clipPath|shapeOutside"
    rb"|(?:listStyle|borderImage|mask|webkit)\w*|adoptedStyleSheets|__next_s"
)
_ELEMENTS = frozenset({b"style", b"href", b"attributes", b"dataset", b"location", b"cssRules"})
"""What has one of these is an element: what is set further in may be such a setter."""
_SHOWN = frozenset({b"textContent", b"innerText"})
"""Of these only a script's or a style sheet's is run."""

# With these names a script can read other names indirectly.
_READS = lazy_pattern(
    rb"eval|execScript|Function|constructor|prototype|__proto__|Reflect|Proxy|globalEval|keys|values"
    rb"|entries|getOwnProperty\w*|define\w+|arguments|valueOf"
)
# With these it can run or load a text.
_ACTS = lazy_pattern(
    rb"write(?:ln)?|innerHTML|outerHTML|srcdoc|set\w*HTML\w*|insert\w+|parseHTML\w*|parseFromString|DOMParser"
    rb"|create(?:Element\w*|ContextualFragment|ObjectURL|Script|HTML\w*)|importNode|cloneNode|Blob"
    rb"|File|Image|Audio|\w*Worker|importScripts|sendBeacon|XMLHttpRequest|ActiveXObject|EventSource"
    rb"|WebSocket\w*|WebTransport|setAttribute\w*|append\w*|prepend\w*|replaceWith|replaceChild\w*"
    rb"|getScript|jQuery|ajax"
)
_WORDS_THAT_LOAD = lazy_pattern(rb"src|script|style|import|fetch|on\w+|location")
_TIMERS = frozenset({b"setTimeout", b"setInterval", b"setImmediate"})
_WALKS = frozenset({b"each", b"forIn", b"forOwn", b"assign", b"extend", b"merge", b"stringify"})
"""With these a script enumerates an object's properties."""
_OWN_SCRIPT = frozenset({b"currentScript", b"scripts"})
_SELECTS = frozenset({b"getElementsByTagName", b"querySelector", b"querySelectorAll"})
_TEXT_OF = frozenset(
    {
        b"text", b"textContent", b"innerText", b"innerHTML", b"outerHTML", b"nodeValue",
        b"childNodes", b"firstChild", b"lastChild",
    }
)  # fmt: skip
"""With these a script can read its own text."""
_GLOBALS = frozenset({b"window", b"self", b"globalThis", b"top", b"parent", b"frames", b"this"})
_OF_WINDOW = frozenset({b"window", b"self", b"globalThis"})

_QUEUES = {b"__next_f": b"push", b"streamController": b"enqueue"}
"""Next.js, React Router: the last name of the queue, and how it is filled."""
_STARTS = frozenset({b"kit.start"})
"""SvelteKit. What is deep in what it gets is the page's state."""
_NUMBERS = frozenset({b"NaN", b"Infinity", b"undefined"})
_MAKERS = frozenset(
    {
        b"JSON.parse",
        b"Object.freeze",
        b"Array",
        b"Object.create",
        b"Map",
        b"Set",
        b"Date",
        b"RegExp",
        b"URL",
    }
)
"""What may stand in data: it keeps what it is given."""
_OTHERS_MAKERS = frozenset({b"Map", b"Set", b"URL"})
"""Of these, names that libraries give to functions of their own."""
_PLAIN = frozenset(
    {
        "array", "object", "pair", "number", "true", "false", "null", "undefined", "regex",
        "unary_expression", "binary_expression", "parenthesized_expression", "arguments",
    }
)  # fmt: skip
_FUNCTIONS = frozenset({"function_expression", "arrow_function"})
_DECLARED = frozenset({"variable_declaration", "lexical_declaration"})

_WORD = lazy_pattern(rb"[\w$\x80-\xff]+")
_LINE_ENDS = lazy_pattern(r"[\n\r\u2028\u2029]")
# Characters that no URL has. A text without them that has a dot or a slash may be one.
_NO_ADDRESS = lazy_pattern(r"[\s\"'<>{}\\|]")


def vendors_of_script(script: str, index: VendorIndex) -> tuple[str, ...]:
    """The ids of the vendors whose code an inline script contains."""
    vendors = index.vendors_of_text(script)
    if not vendors or "\0" in script:
        return vendors
    short = shortened(script, lambda text: bool(index.vendors_named(text)))
    if short.pairs and index.vendors_named(short.code) != index.vendors_named(script):
        short = Shortened(script)
    if len(short.code) > _MAX_LENGTH:
        return vendors
    code = short.code.encode("utf-8", "replace")
    root = parse_script(code)
    if root is None or not short.is_read_alike(root):
        return vendors
    if _all_run(frozenset(index.match_text(short.code)), root, code):
        return vendors
    try:
        carried = _carried(_read(root, code), index)
    except _UnreadableError:
        return vendors
    if not carried:
        return vendors
    rest = _without(code, carried)
    # The code that loads from a host may be in the ignored part.
    found = index.vendors_named(rest)
    return tuple(vendor for vendor in vendors if vendor in found) or (vendors if found else ())


_IN_TEXT = frozenset(
    {"string", "string_fragment", "escape_sequence", "template_string", "comment", "html_comment"}
)


def _all_run(matches: Iterable[tuple[str, str]], root: Node, code: bytes) -> bool:
    """Whether each vendor has a signature outside of texts and comments, as its snippets have: then
    no further analysis is needed.
    """
    running: set[str] = set()
    named: set[str] = set()
    for vendor, signature in matches:
        named.add(vendor)
        if vendor not in running:
            searched = signature.encode("utf-8", "replace")
            at = code.find(searched)
            node = root.descendant_for_byte_range(at, at + len(searched)) if at >= 0 else None
            if node is not None and node.type not in _IN_TEXT:
                running.add(vendor)
    return running == named


def _without(code: bytes, spans: Iterable[_Span]) -> str:
    parts: list[bytes] = []
    position = 0
    for start, end in sorted(spans):
        parts.append(code[position:start])
        position = end
    return b" ".join((*parts, code[position:])).decode("utf-8", "replace")


def _carried(script: _Script, index: VendorIndex) -> list[_Span]:
    """Comments, and inert texts that contain a signature."""
    if _reads_unnamed(script):
        return script.comments
    acts = any(map(_ACTS.fullmatch, script.names))
    lowered = script.code.lower()
    runs_text = b"script" in lowered or b"style" in lowered
    found = list(script.comments)
    for text in script.texts:
        start, end = text.span
        written = script.code[start + 1 : end - 1]
        content = written.decode("utf-8", "replace")
        if not index.vendors_named(content) or not _stays(text, content, script, acts=acts):
            continue
        if not _SHOWN.isdisjoint(text.names) and (runs_text or _may_load(written)):
            continue
        # A signature as a whole is no text: `{'gtm.start': 1}`.
        if all(signature != content for _, signature in index.match_text(content)):
            found.append(text.span)
    return found


def _reads_unnamed(script: _Script) -> bool:
    """Whether a script can read stored values without their names."""
    names = script.names
    if any(map(_READS.fullmatch, names)) or script.runs_made_text:
        return True
    if not script.makers.isdisjoint(names & _OTHERS_MAKERS):
        return True
    if script.hands_window and (script.has_made_index or not names.isdisjoint(_WALKS)):
        return True
    has_script = not names.isdisjoint(_OWN_SCRIPT) or (
        script.words[b"script"] and not names.isdisjoint(_SELECTS)
    )
    return bool(has_script and not names.isdisjoint(_TEXT_OF))


def _may_load(code: bytes) -> bool:
    """Whether a text, if it were run, could load something."""
    return b"//" in code or any(
        _ACTS.fullmatch(word) or _WORDS_THAT_LOAD.fullmatch(word) for word in _WORD.findall(code)
    )


def _stays(text: _Text, content: str, script: _Script, *, acts: bool) -> bool:
    """Whether a text is inert: never read again."""
    # To name another property of the first does not read this one.
    root = text.names[-1] if text.use is _Use.STORED and len(text.names) > 1 else b""
    within = Counter(_WORD.findall(script.code[slice(*text.span)]))
    for name in text.names:
        # A method may hand on all that its object has.
        members = script.members[name] if name == root and not script.hands_window else 0
        if script.words[name] - within[name] != script.written[name] + members:
            return False
    if text.is_added and (acts or not script.given.isdisjoint(text.names)):
        return False
    if text.use is _Use.STORED and text.depth and not text.is_made and len(text.names) == 1:
        return True
    # What has a property set may have another name, too.
    if acts:
        return False
    may_be_address = ("." in content or "/" in content) and not _NO_ADDRESS.search(content)
    match text.use:
        case _Use.STORED:
            return text.is_made or text.depth > 0 or not may_be_address
        case _Use.QUEUED:
            return text.depth > 1 or not may_be_address
        case _Use.STARTING:
            return text.depth > 1


def _read(root: Node, code: bytes) -> _Script:
    """Analyse a script. Raises _UnreadableError where a browser may parse it otherwise, or it is
    too large.
    """
    script = _Script(code, Counter(_WORD.findall(code)))
    waiting = [root]
    while waiting:
        node = waiting.pop()
        _count(script)
        waiting += _parts(node, script)
    return script


def _count(script: _Script) -> None:
    script.left -= 1
    if script.left < 0:
        raise _UnreadableError


def _parts(node: Node, script: _Script) -> Iterable[Node]:
    """Record a node, and return the children that are still to be analysed."""
    match node.type:
        case "comment":
            _comment(node, script)
        case "html_comment" | "with_statement":
            # The first is code in a module; in the second a name may be anybody's.
            raise _UnreadableError
        case (
            "identifier"
            | "property_identifier"
            | "private_property_identifier"
            | "shorthand_property_identifier"
            | "shorthand_property_identifier_pattern"
        ):
            _name(node, script)
        case "string":
            pass
        case "this":
            script.hands_window = True
        case "for_in_statement":
            script.has_made_index = True
            return node.children
        case "statement_block" | "class_body" if _is_comment(node):
            pass
        case "member_expression":
            root = _root(node, script)
            if root is not None:
                script.members[root] += 1
            return _member(node)
        case "subscript_expression":
            _subscript(node, script)
            return node.children if script.text(node.children[0]) not in _GLOBALS else ()
        case "variable_declarator":
            return _declaration(node, script)
        case "expression_statement":
            return _statement(node, script)
        case "call_expression":
            return _call(node, script)
        case _:
            return node.children
    return ()


def _comment(node: Node, script: _Script) -> None:
    text = script.text(node)
    if text.startswith(b"//") and _LINE_ENDS.search(text.decode("utf-8", "replace")):
        raise _UnreadableError
    script.comments.append((node.start_byte, node.end_byte))


def _name(node: Node, script: _Script) -> None:
    name = script.text(node)
    if b"\\" in name:
        raise _UnreadableError  # another name than it seems: `\u0065val`
    script.names.add(name)
    if name in _GLOBALS and node.type != "property_identifier":
        script.hands_window = True


def _is_comment(body: Node) -> bool:
    """Whether the body of a function or class has comments only: a multi-line text may be written
    so (`f.toString()`).
    """
    children = body.named_children
    return bool(children) and all(child.type == "comment" for child in children)


def _root(access: Node, script: _Script) -> bytes | None:
    """`a` of `a.b` and `window.a.b`."""
    of = access.child_by_field_name("object")
    if of is None:
        return None
    if of.type == "member_expression":
        window = of.child_by_field_name("object")
        if window is None or script.text(window) not in _OF_WINDOW:
            return None
        of = of.child_by_field_name("property")
    name = script.text(of) if of is not None and "identifier" in of.type else b""
    return name if name and name not in _GLOBALS else None


def _root_of_path(access: Node, script: _Script) -> bytes | None:
    """`a` of `a.b`, `a.b.c` and longer ones."""
    node: Node | None = access
    while node is not None and node.type == "member_expression":
        _count(script)
        root = _root(node, script)
        if root is not None:
            return root
        node = node.child_by_field_name("object")
    return None


def _member(node: Node) -> Iterable[Node]:
    """A property access: of `window.x` the window does not count as passed on."""
    of = node.child_by_field_name("object")
    children = node.children
    if of is None or of.type not in {"identifier", "this"}:
        return children
    return children[1:] if of.type == "this" or (of.text or b"") in _GLOBALS else children


def _subscript(node: Node, script: _Script) -> None:
    """`window["eval"]` counts as `window.eval`. A computed name of the window may be any name."""
    index, of = node.child_by_field_name("index"), node.child_by_field_name("object")
    if index is None or of is None:
        raise _UnreadableError
    if index.type == "string":
        name = script.text(index)[1:-1]
        if b"\\" in name:
            raise _UnreadableError
        script.names.add(name)
    elif index.type != "number":
        if script.text(of) in _GLOBALS or _makes_name(index):
            raise _UnreadableError
        script.has_made_index = True


def _makes_name(index: Node) -> bool:
    """Whether an index may be a computed string: `x["ev" + "al"]`, not `x[x.length - 1]`."""
    if index.type == "binary_expression":
        return any(child.type == "+" for child in index.children)
    return index.type == "template_string"


def _declaration(node: Node, script: _Script) -> Iterable[Node]:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is None or value is None or name.type != "identifier":
        return node.children
    names = (script.text(name),)
    script.written[names[0]] += 1
    return (name, *_value(value, names, script))


def _statement(node: Node, script: _Script) -> Iterable[Node]:
    """Assignments whose value is not used: `a = 1, b.c = {...};`."""
    rest: list[Node] = []
    waiting = list(node.children)
    while waiting:
        one = waiting.pop()
        _count(script)
        if one.type == "sequence_expression":
            waiting += one.children
        elif one.type == "assignment_expression":
            rest += _assignment(one, script)
        else:
            rest.append(one)
    return rest


def _assignment(node: Node, script: _Script) -> Iterable[Node]:
    left, value = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or value is None:
        return node.children
    names = _path(left, script)
    if names is None:
        shown = left.child_by_field_name("property")
        if shown is None or script.text(shown) not in _SHOWN:
            return node.children
        names = (script.text(shown),)
    root = _root_of_path(left, script)
    if root is not None:
        script.members[root] -= 1  # it is among the written
    if value.type == "binary_expression" and _is_default(value, names, script):
        script.written.update(names)
        return (left,)
    # A queue that is another's, or whose `push` is, is read by it.
    if _QUEUES.keys().isdisjoint(names) or script.text(value) == b"[]":
        script.written.update(names)
    return (left, *_value(value, names, script))


def _path(target: Node, script: _Script) -> tuple[bytes, ...] | None:
    """The names of `window.a.b`, without the window; None for any other expression."""
    names: list[bytes] = []
    node: Node | None = target
    while node is not None:
        _count(script)
        match node.type:
            case "identifier":
                name = script.text(node)
                return tuple(names) if name in _OF_WINDOW and names else (*names, name)
            case "member_expression":
                name_node = node.child_by_field_name("property")
                names.append(script.text(name_node) if name_node is not None else b"")
            case "subscript_expression":
                index = node.child_by_field_name("index")
                if index is None or index.type != "string":
                    return None
                names.append(script.text(index)[1:-1])
            case _:
                return None
        node = node.child_by_field_name("object")
    return None


def _value(value: Node, names: tuple[bytes, ...], script: _Script) -> Iterable[Node]:
    """The parts of a value assigned to `names` that are still to be analysed."""
    final = names[0]
    if value.type == "binary_expression" and _is_default(value, names, script):
        return ()
    if not _ELEMENTS.isdisjoint(names[1:]) or (_SETTERS.fullmatch(final) and final not in _SHOWN):
        return (value,)
    texts = _texts(value, _Use.STORED, names, script)
    if texts is None:
        texts = _made(value, names, script)
    if texts is None and value.type == "call_expression":
        texts = _merged(value, names, script)
    if texts is None or (final in _SHOWN and value.type != "string"):
        script.given.update(names)
        return (value,)
    script.texts += texts
    return ()


def _is_default(value: Node, names: tuple[bytes, ...], script: _Script) -> bool:
    """`a = a || []`: reads the name without using it."""
    left, right = value.child_by_field_name("left"), value.child_by_field_name("right")
    if left is None or right is None or script.text(right) not in {b"[]", b"{}"}:
        return False
    if all(child.type not in {"||", "??"} for child in value.children):
        return False
    if _path(left, script) != names:
        return False
    script.written.update(names)
    return True


def _texts(
    value: Node, use: _Use, names: tuple[bytes, ...], script: _Script, *, is_made: bool = False
) -> list[_Text] | None:
    """The strings of data; None for anything else: a function within it may read the rest."""
    found: list[_Text] = []
    identifiers: list[bytes] = []
    waiting = [(value, 0)]
    while waiting:
        node, depth = waiting.pop()
        _count(script)
        kind = node.type
        if not node.is_named:
            continue
        if kind == "comment":
            _comment(node, script)
        elif kind == "string" or (kind == "template_string" and _is_plain(node)):
            span = (node.start_byte, node.end_byte)
            found.append(_Text(span, use, depth, names, is_made))
        elif kind == "pair":
            key, item = node.child_by_field_name("key"), node.child_by_field_name("value")
            if key is None or item is None or key.type == "computed_property_name":
                return None
            waiting.append((item, depth))
        elif kind in {"identifier", "shorthand_property_identifier"}:
            identifiers.append(script.text(node))
        elif kind == "member_expression":
            path = _path(node, script)
            if path is None:
                return None
            identifiers += path
        elif kind in {"call_expression", "new_expression"}:
            arguments = _maker_arguments(node, script)
            if arguments is None:
                return None
            waiting.append((arguments, depth))
        elif kind in _PLAIN:
            depth += kind in {"array", "object"}
            waiting += [(child, depth) for child in node.children]
        else:
            return None
    if any(b"\\" in name for name in identifiers):
        raise _UnreadableError
    script.names.update(identifiers)
    if identifiers:
        script.given.update(names)
    script.hands_window = script.hands_window or not _GLOBALS.isdisjoint(identifiers)
    return found


def _maker_arguments(node: Node, script: _Script) -> Node | None:
    """The arguments of a call or `new` of `_MAKERS`; None for any other."""
    function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
    arguments = node.child_by_field_name("arguments")
    if function is None or script.text(function) not in _MAKERS:
        return None
    if arguments is None or arguments.type != "arguments":
        return None
    script.makers.add(script.text(function))
    # With a second one, a function looks at all that is parsed.
    is_parse = script.text(function) == b"JSON.parse"
    return None if is_parse and len(arguments.named_children) > 1 else arguments


def _is_plain(template: Node) -> bool:
    return all(child.type != "template_substitution" for child in template.children)


def _made(value: Node, names: tuple[bytes, ...], script: _Script) -> list[_Text] | None:
    """The strings of `(function (a, b) {a.x = b; return {...}})(...)`, as Nuxt writes its state."""
    value = _unwrapped(value)
    if value.type != "call_expression":
        return None
    function = value.child_by_field_name("function")
    arguments = value.child_by_field_name("arguments")
    if function is None or arguments is None or arguments.type != "arguments":
        return None
    function = _unwrapped(function)
    body = function.child_by_field_name("body") if function.type in _FUNCTIONS else None
    if body is None or body.type != "statement_block":
        return None
    parameters = _parameters(function, script)
    given = _texts(arguments, _Use.STORED, names, script, is_made=True)
    if given is None or not _is_unnamed(arguments, script):
        return None  # what it sets a property of may be more than data
    found = given
    for part in _returned_and_set(body, parameters, script):
        texts = _texts(part, _Use.STORED, names, script, is_made=True) if part else None
        if texts is None:
            return None
        found += texts
    return found


def _parameters(function: Node, script: _Script) -> frozenset[bytes]:
    parameters = function.child_by_field_name("parameters")
    return frozenset(
        script.text(one)
        for one in (parameters.named_children if parameters is not None else ())
        if one.type == "identifier"
    )


def _is_unnamed(data: Node, script: _Script) -> bool:
    """Whether data consists of literals only."""
    waiting = [data]
    while waiting:
        node = waiting.pop()
        _count(script)
        if node.type in {"call_expression", "new_expression"}:
            arguments = _maker_arguments(node, script)
            waiting += arguments.children if arguments is not None else ()
        elif node.type == "member_expression" or (
            node.type in {"identifier", "shorthand_property_identifier"}
            and script.text(node) not in _NUMBERS
        ):
            return False
        else:
            waiting += node.children
    return True


def _returned_and_set(
    body: Node, parameters: frozenset[bytes], script: _Script
) -> Iterator[Node | None]:
    """The values in a body that only returns and sets properties of its parameters; None for any
    other.
    """
    for statement in body.named_children:
        _count(script)
        if statement.type == "return_statement":
            yield from statement.named_children
            continue
        one = statement.named_children[0] if statement.named_children else None
        if statement.type != "expression_statement" or one is None:
            yield None
            return
        left = one.child_by_field_name("left") if one.type == "assignment_expression" else None
        path = _path(left, script) if left is not None else None
        if path is None or len(path) < 2 or path[-1] not in parameters:
            yield None
            return
        yield one.child_by_field_name("right")


def _unwrapped(node: Node) -> Node:
    while node.type == "parenthesized_expression" and len(node.named_children) == 1:
        node = node.named_children[0]
    return node


def _call(node: Node, script: _Script) -> Iterable[Node]:
    """A call that pushes to a queue, starts a framework, or any other call."""
    function = node.child_by_field_name("function")
    arguments = node.child_by_field_name("arguments")
    if function is None or arguments is None or arguments.type != "arguments":
        return node.children
    first = arguments.named_children[:1]
    if script.text(function).rpartition(b".")[2] in _TIMERS and first and _is_made_text(first[0]):
        script.runs_made_text = True
    if function.type != "member_expression":
        return node.children
    method = function.child_by_field_name("property")
    receiver = function.child_by_field_name("object")
    if method is None or receiver is None:
        return node.children
    if script.text(function) in MERGES:
        return _merge(node, script)
    texts = None
    queue = _queue(receiver, script.text(method), script)
    if queue is not None:
        texts = _texts(arguments, _Use.QUEUED, queue, script)
    elif script.text(function) in _STARTS:
        texts = _texts(arguments, _Use.STARTING, (), script)
    if texts is None:
        return node.children
    script.texts += texts
    return (function,)


def _merge(call: Node, script: _Script) -> Iterable[Node]:
    """`Object.assign(a.b, {...})`: data that is added to what a name holds."""
    arguments = call.child_by_field_name("arguments")
    given = arguments.named_children if arguments is not None else []
    if given and given[0].type == "true":
        given = given[1:]
    names = _path(given[0], script) if given else None
    # Its value is not used: else it has another name.
    if names is None or call.parent is None or call.parent.type != "expression_statement":
        return call.children
    if names[0] in _GLOBALS or names[-1] in _GLOBALS or not _ELEMENTS.isdisjoint(names):
        return call.children
    texts = _added(given[1:], names, script)
    if texts is None:
        return call.children
    script.written.update(names)
    script.texts += texts
    return ()


def _merged(value: Node, names: tuple[bytes, ...], script: _Script) -> list[_Text] | None:
    """The strings of `Object.assign({}, {...})`, or of one that begins with what the name holds."""
    function = value.child_by_field_name("function")
    arguments = value.child_by_field_name("arguments")
    if function is None or arguments is None or script.text(function) not in MERGES:
        return None
    given = arguments.named_children
    if given and given[0].type == "true":
        given = given[1:]
    if given and given[0].type == "binary_expression" and _is_default(given[0], names, script):
        given = given[1:]
    return _added(given, names, script)


def _added(given: list[Node], names: tuple[bytes, ...], script: _Script) -> list[_Text] | None:
    found: list[_Text] = []
    for one in given:
        if not is_plain_merge(names, one):
            return None
        texts = _texts(one, _Use.STORED, names, script)
        if texts is None:
            return None
        found += texts
    return [replace(text, is_added=True) for text in found]


def _is_made_text(node: Node) -> bool:
    """Whether a value may be a computed text: code whose names are unknown."""
    return _unwrapped(node).type in {"binary_expression", "template_string", "call_expression"}


def _queue(receiver: Node, method: bytes, script: _Script) -> tuple[bytes, ...] | None:
    """The names of a framework's queue that is pushed to: `self.q`, or `(self.q =
    self.q || [])`.
    """
    node = _unwrapped(receiver)
    value = None
    if node.type == "assignment_expression":
        value = node.child_by_field_name("right")
        node = node.child_by_field_name("left") or node
    names = _path(node, script)
    if names is None or _QUEUES.get(names[0]) != method:
        return None
    if value is not None and not (
        value.type == "binary_expression" and _is_default(value, names, script)
    ):
        return None
    script.written.update(names)
    return names
