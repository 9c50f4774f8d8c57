"""tomllib's syntax errors in plain words: all of a text, where they can be told apart."""

from __future__ import annotations

import contextlib
import json
import re
import tomllib

from consent_rules.lazy_pattern import lazy_pattern

_PLACE = lazy_pattern(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_MAX_ERRORS = 20
_MAX_STATEMENT_LINES = 200

_ASSIGNMENT = lazy_pattern(r"\s*([\w.\"'-]+)\s*([=:])\s*([^#]*?)\s*(?:#.*)?\Z")
_STATEMENT = lazy_pattern(r"\s*(?:\[|[\w.\"'-]+\s*=|#|\Z)")
_TYPOGRAPHIC = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a\u2039\u203a"
"""Quotation marks that word processors and chat programs put in place of straight ones."""
_UNSEEN = lazy_pattern("[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]")
_OTHER_COMMENT = lazy_pattern(r"\s*(//|;|--|/\*|<!--|')")
_TRUTH = {
    "True": "true",
    "False": "false",
    "yes": "true",
    "no": "false",
    "on": "true",
    "off": "false",
}

# 11/02/2027 and 2.11.2027, as people write dates.
_OTHER_DATE = lazy_pattern(r"=\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\s*(?:#|$)")

_SENTENCES = (
    ("Invalid statement", 'this is neither a table ("[policy]") nor a key ("name = value")'),
    ("Expected '=' after a key", 'a key is followed by "=" and its value'),
    ("Expected newline or end of document", "there is more on the line after the value ended"),
    ("Unclosed array", 'a list is not closed; put "]" at its end and commas between its items'),
    ("Unclosed inline table", 'a table in braces is not closed on its line; put "}" at its end'),
    ("Unterminated string", "a text is not closed; put the same quotes at its end"),
    ("Illegal character '\\n'", "a text is not closed; put the same quotes at its end"),
    ("Illegal character", "there is a control character here; remove it"),
    ("Found invalid character", "there is a control character here; remove it"),
    ("Unescaped '\\' in a string", 'write "\\\\" for one backslash, or use single quotes'),
    ("Escaped character is not", "this escape names no character"),
    ("Invalid hex value", '"\\u" needs four hexadecimal digits, "\\U" eight'),
    ("Invalid date or datetime", "there is no such day; a date is year-month-day, 2027-11-02"),
    ("Cannot declare", "this table is already given above; put its keys there, or use [[...]]"),
    ("Cannot overwrite a value", "this key is already given above; remove one of them"),
    ("Duplicate inline table key", "this key stands twice in the table"),
    ("Cannot mutate immutable", "this table was written in braces above and cannot be added to"),
    ("Cannot redefine namespace", "this table is already given above; put its keys there"),
    ("Expected ']' at the end", 'the header of a table ends with "]"'),
    ("Expected ']]' at the end", 'this header begins with "[[" and so ends with "]]"'),
    ("Invalid initial character", "a key is missing here, or needs quotes"),
)


def explain_syntax(error: ValueError, text: str) -> list[tuple[int, int, str]]:
    """Line, column and sentence of the mistakes in `text`, of which `error` is the first.

    tomllib stops at the first: a statement that has one is taken out, and the rest is read again.
    """
    lines = text.split("\n")
    found: list[tuple[int, int, str]] = []
    first: ValueError | None = error
    while first is not None and len(found) < _MAX_ERRORS:
        place = _explain(first, lines)
        if any(place[0] == line for line, _, _ in found):
            break
        found.append(place)
        if not _take_out(lines, place[0] - 1, len(found)):
            break
        first = None
        try:
            tomllib.loads("\n".join(lines))
        except RecursionError:
            break
        except ValueError as another:
            first = another
    return found


def _take_out(lines: list[str], at: int, number: int) -> bool:
    """Remove the statement that has a mistake in a line. Whether it is known where it begins."""
    first = next(
        (
            line
            for line in range(at, max(at - _MAX_STATEMENT_LINES, -1), -1)
            if _is_toml("\n".join(lines[:line]))
        ),
        None,
    )
    if first is None:
        return False
    last = at
    if first < at:
        # Either a value that was never closed, and the next statement, or a mistake within it.
        if _STATEMENT.match(lines[at]):
            last = at - 1
        else:
            last = next(
                (n for n in range(at, len(lines)) if lines[n].rstrip(" ,").endswith(("]", "}"))), at
            )
    header = lines[first].lstrip().startswith("[")
    for line in range(first, last + 1):
        lines[line] = ""
    if header:  # what follows is not in the table above
        lines[first] = f"[not-read-{number}]"
    return True


def _is_toml(text: str) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        tomllib.loads(text)
        return True
    return False


def _explain(error: ValueError, lines: list[str]) -> tuple[int, int, str]:
    place = _PLACE.search(str(error))
    message = str(error)[: place.start()] if place else str(error)
    if place is None:
        # Not of the parser but of Python: a number of more digits than it reads.
        return 1, 1, "a value cannot be read; is a number far too long?"
    if place[1] is None:
        last = next((i for i in range(len(lines), 0, -1) if lines[i - 1].strip()), 1)
        line, column = last, len(lines[last - 1]) + 1
    else:
        line, column = int(place[1]), int(place[2])
    shown = lines[min(line, len(lines)) - 1]
    sentence = _seen_in(shown)
    if sentence is None and message.startswith(_VALUE_MESSAGES):
        sentence = _invalid_value(shown)
    if sentence is None:
        sentence = next((s for start, s in _SENTENCES if message.startswith(start)), message)
    return line, column, f"not valid TOML: {sentence}"


_VALUE_MESSAGES = (
    "Invalid value",
    "Expected newline",
    "Expected '=' after a key",
    "Unterminated string",
    "Illegal character '\\n'",
    "Unescaped '\\' in a string",
    "Escaped character is not",
    "Invalid hex value",
)


def _seen_in(line: str) -> str | None:
    """What the line itself shows to be wrong with it."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", line)
    if line.lstrip().startswith("<") and not line.lstrip().startswith("<!--"):
        return (
            "this is HTML; a vendor's code stays on the site's pages, and is approved by "
            "[[tag]] with vendor = its id (consent-proxy catalogue search finds it)"
        )
    if _OTHER_COMMENT.match(line):
        return 'a comment begins with "#"'
    unseen = _UNSEEN.search(bare)
    if unseen is not None:
        return (
            f"there is a space here that is none (U+{ord(unseen[0]):04X}, as copied from a page or "
            "a chat); write a plain space"
        )
    return None


def _invalid_value(line: str) -> str | None:
    assigned = _ASSIGNMENT.match(line)
    if assigned is None or _is_toml(line):
        return None
    key, sign, value = assigned[1], assigned[2], assigned[3]
    if sign == ":":
        meant = value if _is_toml(f"{key} = {value}") else _in_quotes(value)
        return f'a key is followed by "=" and its value: write {key} = {meant}'
    if not value:
        return "a value is missing here; text stands in quotes"
    if _OTHER_DATE.search(line):
        return "a date is year-month-day, 2027-11-02"
    if value in _TRUTH:
        return f"write {_TRUTH[value]} for a yes or no, not {value}"
    quotes = value[0]
    if quotes in _TYPOGRAPHIC or any(mark in value for mark in _TYPOGRAPHIC):
        straight = _straight(value)
        if straight is not None:
            return f"the quotes are typographic ones; write straight ones: {key} = {straight}"
    if quotes in "[{":
        return None
    if quotes in "\"'":
        if quotes == '"' and "\\" in value and value.endswith('"'):
            return f'"\\\\" stands for one backslash in a text: write {_in_quotes(value[1:-1])}'
        if len(value) > 1 and value[-1] == quotes:  # quotes within quotes: 'Acme's'
            return f"a text ends at its next quote: write {_in_quotes(value[1:-1])}"
        return None
    return f"text stands in quotes: write {_in_quotes(value)}"


def _straight(value: str) -> str | None:
    """A value with straight quotes in place of typographic ones, if that makes it one."""
    swapped = value.translate({ord(mark): '"' for mark in _TYPOGRAPHIC})
    for candidate in (swapped, _in_quotes(value.strip(_TYPOGRAPHIC + "\"'"))):
        if _is_toml(f"a = {candidate}"):
            return candidate
    return None


def _in_quotes(value: str) -> str:
    return json.dumps(value[:200], ensure_ascii=False)
