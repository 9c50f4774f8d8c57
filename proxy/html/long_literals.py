"""Long literals of JSON in a script, with something short in their place.

A page's state may have several hundred KB, of which the syntax tree takes 450 times as many bytes.
That of a literal adds nothing to what is known of it: where code has an expression, JSON is data.
Whether a place has one, the tree of the shortened script tells: up to there it is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from proxy.html.script_syntax import Node

_MIN_SCRIPT = 32_768
_MIN_LITERAL = 2048
_MAX_READ_AGAIN = 2
"""How often the length of a script is read at most for what turns out to be no JSON."""
_LONGEST_WORD = len("-Infinity")
# Not those among other arguments: with what a function is given, the keys may matter.
_BEFORE = re.compile(r"[=:]\s*(?=[{\[])|JSON\.parse\(\s*(?=\")")
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
    """A script with its long literals of JSON shortened; the texts that name a vendor stay."""
    if len(script) < _MIN_SCRIPT or _MARK in script:
        return Shortened(script)
    parts: list[str] = []
    pairs: list[tuple[str, str]] = []
    position = 0
    for start, end, value in _literals(script):
        literal = script[start:end]
        texts = list(_naming(value, names_vendor)) if names_vendor(literal) else []
        if isinstance(value, str) and texts:
            continue
        written = _stand_in(f"{_MARK}{len(pairs)}", texts, is_text=isinstance(value, str))
        pairs.append((written, literal))
        parts += [script[position:start], written]
        position = end
    return Shortened("".join((*parts, script[position:])), tuple(pairs))


def _stand_in(mark: str, texts: list[str], *, is_text: bool) -> str:
    if is_text:
        return f'"{mark}"'
    named = {mark: 0} | {f"{mark}-{number}": text for number, text in enumerate(texts)}
    return json.dumps(named, ensure_ascii=False)


def _literals(script: str) -> Iterator[tuple[int, int, Any]]:
    position = 0
    left = _MAX_READ_AGAIN * len(script)
    while left > 0 and (found := _BEFORE.search(script, position)):
        start = position = found.end()
        if not _may_be_long(script[start : start + _MIN_LITERAL]):
            continue
        try:
            value, end = _DECODER.raw_decode(script, start)
        except json.JSONDecodeError as error:
            left -= error.pos  # it counts the lines from the script's start
            continue
        except (ValueError, RecursionError):  # a number of thousands of digits; too deep
            left -= len(script) - start
            continue
        if end - start >= _MIN_LITERAL:
            yield start, end, value
        position = end


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
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            # Half a pair of surrogates, as a text that was cut ends with, has no bytes.
            text = one if one.isascii() else one.encode("utf-8", "replace").decode("utf-8")
            if names_vendor(text):
                yield text
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
