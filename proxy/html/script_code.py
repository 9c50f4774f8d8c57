"""What of an inline script is code, and what is only text in it.

A vendor's signature is looked for in what a script does, not in what it carries: the state that a
framework writes into a page, the flight of React's server components, an allow-list, a code sample.
To take such a script for the vendor's would take the page's own script away, and with some
frameworks the page.

In doubt it is code: a script that cannot be parsed, is too long, or can turn text into code or ask
for an address (`eval`, `innerHTML`, `createElement`, ...) is judged by all of its text, as far as
it does more with that than store it. What a script of the site's own does later with text that it
finds is held by the policy header.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from consent_rules.matching.vendor_index import VendorIndex
from proxy.html.inline_remnants import Node, is_data, parse_script

MAX_BYTES = 400_000
"""Bytes. Longer scripts are judged by all of their text: a tree takes up to 450 times as much."""
_MAX_NODES = 60_000
"""Nodes of the syntax tree that are looked at: some 50 ms."""
_MAX_STORED = 1_000_000
"""Bytes of literals that are looked through for whether they are data."""

# What makes code or a request of text: by a name that is not to be written otherwise but in
# brackets, where it is seen as well.
_ACTS = re.compile(
    r"\b(?:eval|Function|constructor|Reflect|Proxy|execScript|createElement\w*|Image|Audio|importScripts"
    r"|sendBeacon|fetch|XMLHttpRequest|ActiveXObject|setAttribute\w*|insertAdjacent\w+|innerHTML"
    r"|outerHTML|setHTML\w*|srcdoc|EventSource|WebSocket|WebTransport|\w*Worker|serviceWorker"
    r"|setTimeout|setInterval|setImmediate|createContextualFragment|DOMParser|parseFromString"
    r"|parseHTML\w*|Blob|File|createObjectURL|insertBefore|insertAfter|importNode|cloneNode|getScript"
    r"|getJSON|import|with|document\s*\.\s*write\w*|write\w*\s*\()\b"
    r"|\.\s*(?:src|srcset|href|text|data|action|cssText|html|append\w*|prepend\w*"
    r"|before|after|replace(?:With|Child|Children|All)?|wrap\w*|load\w*|open|ajax|get|post|globalEval)"
    r"\s*(?:=(?!=)|\+=|\()"
    r"|\blocation\s*=(?!=)|\blocation\s*\.\s*assign|\bopen\s*\(|[$\w]*jQuery\s*\(|\$\s*\("
)
# Of an element's text only a script's is run, and that one is made or named.
_TEXT_OF_SCRIPT = re.compile(r"\.\s*(?:textContent|innerText)\s*\+?=(?!=)")

# What no address holds. A text without it that has a dot or a slash may be one.
_NO_ADDRESS = re.compile(r"[\s\"'<>{}\\|]")
_WORD = re.compile(rb"[\w$\x80-\xff]+")
_OWN_PATH = re.compile(r"(?:/(?![/\\])|\.{1,2}/)[\w./@~%?=&#+-]*")
_NO_HOLDERS = frozenset(
    {
        "location", "name", "status", "cookie", "src", "srcset", "srcdoc", "href", "text", "data",
        "textContent", "innerText", "innerHTML", "outerHTML", "action", "cssText", "value",
    }
)  # fmt: skip
"""What does more than keep a list that is assigned to it: it is made a text, and that is used."""

_NO_CODE = frozenset({"comment", "html_comment", "regex"})


def vendors_of_script(script: str, index: VendorIndex) -> tuple[str, ...]:
    """The ids of the vendors whose code an inline script holds."""
    vendors = index.vendors_of_text(script)
    if not vendors or len(script) > MAX_BYTES:
        return vendors
    code = script.encode("utf-8", "replace")
    found = _read(code)
    if found is None:
        return vendors
    judged = _without(code, found.stored)
    outside = _without(judged, found.silent)
    if not _acts(outside.decode("utf-8", "replace"), code, found):
        judged = _without(judged, _carried(code, found.strings, index))
    return index.vendors_of_text(judged.decode("utf-8", "replace"))


def _acts(outside: str, code: bytes, found: _Found) -> bool:
    """Whether a script may run a text or load what one names. `outside` is it without its texts."""
    # A backslash outside of texts spells a name otherwise: `\\u0065val`.
    if found.is_dynamic or "\\" in outside or _ACTS.search(outside):
        return True
    return b"script" in code.lower() and _TEXT_OF_SCRIPT.search(outside) is not None


_Span = tuple[int, int]
_Placed = tuple[Node, "_Placed | None"]
"""A node and what is around it: to ask a node for its parent costs as much as it lies deep."""


@dataclass(slots=True)
class _Found:
    """Spans of a script, in bytes. `stored` are comments, and texts in lists and objects that it
    puts somewhere and does not look at again; `silent` is what holds no name of anything that acts;
    `strings` are strings with whether they are one of much data. `is_dynamic`: it calls or assigns
    something by a name that is made while it runs. `words` counts all words of the script;
    `literal_bytes` is what was looked through of literals.
    """

    words: Counter[bytes]
    literal_bytes: int = 0
    stored: list[_Span] = field(default_factory=list)
    silent: list[_Span] = field(default_factory=list)
    strings: list[tuple[_Span, bool]] = field(default_factory=list)
    is_dynamic: bool = False


def _read(code: bytes) -> _Found | None:
    root = parse_script(code)
    if root is None:
        return None
    found = _Found(Counter(_WORD.findall(code)))
    waiting: list[_Placed] = [(root, None)]
    for _ in range(_MAX_NODES):
        if not waiting:
            return found
        placed = node, around = waiting.pop()
        kind = node.type
        span = (node.start_byte, node.end_byte)
        if kind in _NO_CODE:
            found.stored.append(span)
        elif kind == "string" or (kind == "template_string" and _is_plain(node)):
            _take_string(placed, span, found)
        elif (holder := _holder(node, code)) is not None and _is_stored(holder, found):
            # Its texts; what stands between them may be a part of a signature: `settings = {`.
            found.stored += _texts_in(holder[1])
            left = node.child_by_field_name("left")
            waiting += [(left, placed)] if left is not None else []
        else:
            if kind == "call_expression":
                found.silent += _harmless_name(node, code)
            elif kind == "subscript_expression":
                found.is_dynamic |= _is_dynamic(node, around)
            waiting += [(child, placed) for child in node.children]
    return None


def _take_string(placed: _Placed, span: _Span, found: _Found) -> None:
    node, parent = placed
    around = parent[0].type if parent is not None else ""
    if around == "subscript_expression":
        return  # a name: `window["eval"]`
    found.silent.append(span)
    if node.type == "string" or around != "call_expression":  # not the text of a tagged template
        found.strings.append((span, _is_one_of_many(parent)))


_LITERALS = frozenset({"array", "object", "pair"})
_KEEPING = frozenset({"assignment_expression", "variable_declarator", "parenthesized_expression"})


def _is_one_of_many(around: _Placed | None) -> bool:
    """Whether a string is an item of data. Not where the list or object that it stands in is handed
    to a function from elsewhere, which may load it: `require({js: "//..."})`.
    """
    depth = 0
    while around is not None and around[0].type in _LITERALS:
        depth += around[0].type != "pair"
        if depth > 1:
            return True
        around = around[1]
    if around is None or around[0].type != "arguments":
        return depth > 0
    call = around[1]
    # What is made of it by a function of this very script, and kept: Nuxt's state.
    if call is None or call[1] is None or call[1][0].type not in _KEEPING:
        return False
    function = call[0].child_by_field_name("function")
    while function is not None and function.type == "parenthesized_expression":
        function = function.named_children[0] if function.named_children else None
    return function is not None and function.type in {"function_expression", "arrow_function"}


def _texts_in(literal: Node) -> Iterator[_Span]:
    waiting = [literal]
    while waiting:
        node = waiting.pop()
        if node.type in {"string", "template_string"}:
            yield node.start_byte, node.end_byte
        else:
            waiting += node.children


def _is_plain(node: Node) -> bool:
    return all(child.type != "template_substitution" for child in node.children)


def _holder(node: Node, code: bytes) -> tuple[str, Node, bool] | None:
    """Where a declaration or assignment puts a list or object: its name, the literal, and whether
    it is a list. None for anything else.
    """
    if node.type == "variable_declarator":
        target, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    elif node.type == "assignment_expression":
        target, value = node.child_by_field_name("left"), node.child_by_field_name("right")
    else:
        return None
    if target is None or value is None or value.type not in {"array", "object"}:
        return None
    name: Node | None = target
    if target.type == "member_expression":
        name = target.child_by_field_name("property")
    elif target.type == "subscript_expression":
        name = target.child_by_field_name("index")
    if name is None or name.type not in {"identifier", "property_identifier", "string"}:
        return None
    written = code[name.start_byte : name.end_byte].decode("utf-8", "replace").strip("\"'")
    return written, value, value.type == "array"


def _is_stored(holder: tuple[str, Node, bool], found: _Found) -> bool:
    """Whether a literal is data that nothing else in the script looks at."""
    name, value, is_list = holder
    if is_list and (name in _NO_HOLDERS or name.startswith("on")):
        return False
    if found.words[name.encode()] != 1:
        return False
    found.literal_bytes += value.end_byte - value.start_byte
    return found.literal_bytes <= _MAX_STORED and is_data(value)


def _harmless_name(call: Node, code: bytes) -> Iterator[_Span]:
    """The name of a call that would act if it were given something else: `import("/own.js")`,
    `setTimeout(function () {...})`.
    """
    function = call.child_by_field_name("function")
    arguments = call.child_by_field_name("arguments")
    if function is None or arguments is None:
        return
    first = next((node for node in arguments.children if node.is_named), None)
    if first is None:
        return
    name = code[function.start_byte : function.end_byte]
    if name in {b"import", b"fetch", b"window.fetch"}:
        address = code[first.start_byte + 1 : first.end_byte - 1].decode("utf-8", "replace")
        harmless = first.type == "string" and _OWN_PATH.fullmatch(address) is not None
    elif name in {b"setTimeout", b"setInterval", b"window.setTimeout", b"window.setInterval"}:
        harmless = first.type in {"function_expression", "arrow_function"}
    else:
        return
    if harmless:
        yield function.start_byte, function.end_byte


def _is_dynamic(subscript: Node, around: _Placed | None) -> bool:
    """Whether something is called or assigned by a name that cannot be read: `window[e]()`."""
    index = subscript.child_by_field_name("index")
    if index is None or index.type in {"string", "number"}:
        return False
    parent = around[0] if around is not None else None
    if parent is None or parent.type not in {"call_expression", "assignment_expression"}:
        return index.type == "binary_expression"
    used = parent.child_by_field_name("function") or parent.child_by_field_name("left")
    return used is not None and used.start_byte == subscript.start_byte


def _carried(code: bytes, strings: list[tuple[_Span, bool]], index: VendorIndex) -> Iterator[_Span]:
    """Strings in which a vendor is named, of a script that runs no text and loads nothing itself.
    Not one that is a signature as a whole (`{'gtm.start': 1}`), nor one that may be an address
    which it hands to another script.
    """
    for (start, end), is_item in strings:
        content = code[start + 1 : end - 1].decode("utf-8", "replace")
        if not index.names_a_vendor(content):
            continue
        if any(signature == content for _, signature in index.match_text(content)):
            continue
        may_be_address = ("." in content or "/" in content) and not _NO_ADDRESS.search(content)
        if is_item or not may_be_address:
            yield start, end


def _without(code: bytes, spans: Iterator[_Span] | list[_Span]) -> bytes:
    """The code with blanks in place of spans."""
    parts: list[bytes] = []
    position = 0
    for start, end in sorted(spans):
        if end > position:
            start = max(start, position)
            parts += [code[position:start], b" " * (end - start)]
            position = end
    return b"".join((*parts, code[position:]))
