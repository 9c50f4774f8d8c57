"""Literals of JavaScript that are data: objects and lists of texts, numbers and words.

A state that a template writes has keys without quotes, texts in single ones, a comma behind the
last entry, `undefined` and `!0`: no JSON. What is read here every browser reads as the same
literal: no code, no comment, no name of a variable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from consent_rules.lazy_pattern import lazy_pattern

_SPACE = r"[ \t\r\n]*"
_TEXT = r"""(?:"[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*"|'[^'\\\r\n]*(?:\\[^\r\n][^'\\\r\n]*)*')"""
_NUMBER = r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_PLAIN = rf"(?:{_NUMBER}|true|false|null|undefined|![01]|void 0)"
_VALUE = rf"(?:(?P<text>{_TEXT})|{_PLAIN})"
_KEY = rf"(?:[A-Za-z_$][\w$]*|(?:0|[1-9][0-9]*)|{_TEXT})"
# A whole value with the comma behind it, the start of one that has parts, or the end.
_REST = rf"(?:{_VALUE}{_SPACE}(?:,|(?=[\]}}]))|(?P<opens>[{{\[]))"
_MANY = rf"(?:{_PLAIN}{_SPACE},{_SPACE})*"
_IN_LIST = lazy_pattern(rf"{_SPACE}{_MANY}(?:(?P<ends>\])|{_REST})", re.ASCII)
_IN_OBJECT = lazy_pattern(rf"{_SPACE}(?:(?P<ends>\}})|{_KEY}{_SPACE}:{_SPACE}{_REST})", re.ASCII)
_AFTER = lazy_pattern(rf"{_SPACE}(?:,|(?=[\]}}]))")
_STRING = lazy_pattern(_TEXT)


@dataclass(frozen=True, slots=True)
class ScriptLiteral:
    """A literal, or what seemed to be one: `end` is where it ends, or where it is none any more.
    `texts` are its values that are texts as the script has them, with their quotes.
    """

    end: int
    texts: tuple[str, ...] = ()
    is_whole: bool = True


def read_literal(script: str, start: int, end: int) -> ScriptLiteral:
    """The literal of an object or a list that starts at `start`, and ends before `end`."""
    texts: list[str] = []
    around = [script[start] == "{"]
    """Whether each of what is open is an object."""
    at = start + 1
    while True:
        found = (_IN_OBJECT if around[-1] else _IN_LIST).match(script, at, end)
        if found is None:
            return ScriptLiteral(at, is_whole=False)
        at = found.end()
        if opens := found["opens"]:
            around.append(opens == "{")
        elif found["ends"] is not None:
            around.pop()
            if not around:
                return ScriptLiteral(at, tuple(texts))
            after = _AFTER.match(script, at, end)
            if after is None:
                return ScriptLiteral(at, is_whole=False)
            at = after.end()
        elif (text := found["text"]) is not None:
            texts.append(text)


def read_text(script: str, start: int) -> ScriptLiteral:
    """The literal of a text that starts at `start`."""
    found = _STRING.match(script, start)
    if found is None:
        return ScriptLiteral(start, is_whole=False)
    return ScriptLiteral(found.end(), (found[0],))
