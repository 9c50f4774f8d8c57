"""Words and punctuation of messages for people."""

from __future__ import annotations

import re
from collections.abc import Iterable

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def printable(text: str, *, lines: bool = False) -> str:
    """Text from outside, safe to print: terminal control, bidirectional and invisible characters
    are escaped. `lines`: line breaks are not.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def quoted(text: str) -> str:
    """The text in double quotes, cut when long, safe on a terminal."""
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return '"' + CONTROL_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", shown) + '"'


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def spreadsheet_text(text: str) -> str:
    """A cell of a CSV file that no spreadsheet runs as a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def category_words(category: str) -> str:
    """The category in words: "session replay"."""
    return category.replace("_", " ")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 tag`, `2 entries`. `many` is the plural where an s does not make
    it.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def leaf_count(number: int) -> str:
    """`1 leaf`, `2 leaves`: how long a log is."""
    return counted(number, "leaf", "leaves")


def join_and(words: Iterable[str]) -> str:
    """`a, b and c`; "" for no words."""
    return _joined(words, "and")


def join_or(words: Iterable[str]) -> str:
    """`a, b or c`; "" for no words."""
    return _joined(words, "or")


def _joined(words: Iterable[str], last: str) -> str:
    *most, final = [str(word) for word in words] or [""]
    return f"{', '.join(most)} {last} {final}" if most else final
