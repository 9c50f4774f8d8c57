"""Long literals of data in a script, with something short in their place.

A page's state may have several hundred KB, of which the syntax tree takes 450 times as many bytes.
That of a literal adds nothing to what is known of it: where code has an expression, JSON is data,
and so is what JavaScript writes without quotes around its keys (`script_literals`).
Whether a place has one, the tree of the shortened script tells: up to there it is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from proxy.html.script_literals import ScriptLiteral, read_literal, read_text
from proxy.html.script_syntax import Node

_MIN_SCRIPT = 32_768
_MIN_LITERAL = 2048
_MAX_READ_AGAIN = 2
"""How often the length of a script is read at most for what turns out to be no literal."""
_MAX_SLOWLY = 600_000
"""Characters that are read at most of objects and lists that are no JSON: some 0.3 s."""
_LONGEST_WORD = len("-Infinity")
# Not those among other arguments: with what a function is given, the keys may matter.
_BEFORE = re.compile(r"[=:]\s*(?=[{\[])|JSON\.parse\(\s*(?=[\"'])")
_DECODER = json.JSONDecoder()
_MARK = "consent-literal-"


@dataclass(frozen=True, slots=True)
class Shortened:
    """A script, with what stands in it for each literal (`pairs`: that, and the literal)."""

    code: str
    pairs: tuple[tuple[str, str], ...] = ()

    def restored(self, code: bytes) -> bytes:
        """Code of this script as it was."""
        for written, literal in self.pairs:
            code = code.replace(written.encode("utf-8"), literal.encode("utf-8"))
        return code

    def is_read_alike(self, root: Node) -> bool:
        """Whether the tree has a literal wherever one was taken out: no part of a text, say."""
        wanted = {written.encode("utf-8") for written, _ in self.pairs}
        found = 0
        waiting = [root] if wanted else []
        while waiting:
            one = waiting.pop()
            if one.type in {"object", "string"} and one.text in wanted:
                found += 1
            else:
                waiting += one.children
        return found == len(wanted)


def shortened(script: str, names_vendor: Callable[[str], bool]) -> Shortened:
    """A script with its long literals shortened; the texts that name a vendor stay."""
    if len(script) < _MIN_SCRIPT or _MARK in script:
        return Shortened(script)
    parts: list[str] = []
    pairs: list[tuple[str, str]] = []
    position = 0
    for start, end, value in _literals(script):
        literal = script[start:end]
        is_text = literal[0] in "\"'"
        texts = list(_naming(value, names_vendor)) if names_vendor(literal) else []
        if is_text and texts:
            continue
        written = _stand_in(f"{_MARK}{len(pairs)}", texts, is_text=is_text)
        pairs.append((written, literal))
        parts += [script[position:start], written]
        position = end
    return Shortened("".join((*parts, script[position:])), tuple(pairs))


def _stand_in(mark: str, texts: list[str], *, is_text: bool) -> str:
    if is_text:
        return f'"{mark}"'
    named = (f',"{mark}-{number}":{text}' for number, text in enumerate(texts))
    return f'{{"{mark}":0{"".join(named)}}}'


def _literals(script: str) -> Iterator[tuple[int, int, Any]]:
    position = 0
    left = _MAX_READ_AGAIN * len(script)
    slowly_left = _MAX_SLOWLY
    while left > 0 and (found := _BEFORE.search(script, position)):
        start = position = found.end()
        if _may_be_long(script[start : start + _MIN_LITERAL]):
            try:
                value, position = _DECODER.raw_decode(script, start)
            except json.JSONDecodeError as error:
                left -= error.pos  # it counts the lines from the script's start
            except (ValueError, RecursionError):  # a number of thousands of digits; too deep
                left -= len(script) - start
            else:
                if position - start >= _MIN_LITERAL:
                    yield start, position, value
                continue
        if script[start] in "\"'":
            literal = read_text(script, start)
        else:
            literal = read_literal(script, start, start + slowly_left)
            slowly_left -= literal.end - start
        if literal.is_whole:
            position = literal.end
            if position - start >= _MIN_LITERAL:
                yield start, position, literal


def _may_be_long(beginning: str) -> bool:
    """Whether a text of `_MIN_LITERAL` characters may be the beginning of a longer literal."""
    try:
        _DECODER.raw_decode(beginning)
    except json.JSONDecodeError as error:
        # What is cut off within a text, a word, a number or an escape is not the script's fault.
        is_cut = error.msg.startswith("Unterminated") or error.pos >= len(beginning) - _LONGEST_WORD
        return is_cut and len(beginning) == _MIN_LITERAL
    except (ValueError, RecursionError):
        return True
    return False


def _naming(value: Any, names_vendor: Callable[[str], bool]) -> Iterator[str]:
    """The texts of a literal that name a vendor, as code."""
    if isinstance(value, ScriptLiteral):
        yield from filter(names_vendor, value.texts)
        return
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            # Half a pair of surrogates, as a text that was cut ends with, has no bytes.
            text = one if one.isascii() else one.encode("utf-8", "replace").decode("utf-8")
            if names_vendor(text):
                yield json.dumps(text, ensure_ascii=False)
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
