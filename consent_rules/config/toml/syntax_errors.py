"""tomllib's syntax errors in plain words."""

from __future__ import annotations

import re

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_BARE_VALUE = re.compile(r"\s*[\w.\"'-]+\s*=\s*([^\s\"'\[{][^#]*?)\s*(?:#.*)?\Z")
_TRUTH = {
    "True": "true",
    "False": "false",
    "yes": "true",
    "no": "false",
    "on": "true",
    "off": "false",
}

# 11/02/2027 and 2.11.2027, as people write dates.
_OTHER_DATE = re.compile(r"=\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\s*(?:#|$)")

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


def explain_syntax(error: ValueError, text: str) -> tuple[int, int, str]:
    """Line, column and sentence of an error of `tomllib.loads(text)`."""
    lines = text.split("\n")
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
    sentence = next((s for start, s in _SENTENCES if message.startswith(start)), None)
    shown = lines[min(line, len(lines)) - 1]
    if message.startswith("Expected newline") and _OTHER_DATE.search(shown):
        sentence = "a date is year-month-day, 2027-11-02"
    if sentence is None:
        sentence = _invalid_value(shown) if message == "Invalid value" else message
    return line, column, f"not valid TOML: {sentence}"


def _invalid_value(line: str) -> str:
    bare = _BARE_VALUE.match(line)
    if bare is None:
        return "a value is missing or cannot be read here; text stands in quotes"
    value = bare[1]
    if value in _TRUTH:
        return f"write {_TRUTH[value]} for a yes or no, not {value}"
    return f'text stands in quotes: write "{value[:60]}"'
