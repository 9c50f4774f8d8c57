"""CommonMark, as the repository's pages are written, for a renderer that is Python-Markdown.

Python-Markdown reads four things otherwise: what belongs to a list item stands four columns in,
whatever the marker's width; a list, a table, a fence and an item after one of several blocks begin
after an empty line; the info string of a fence has attributes (`title="..."`), not words; in a
table's code a `|` has no backslash. markdown-it-py says where they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark").enable("table")
_ITEM_COLUMNS = 4
_AFTER_AN_EMPTY_LINE = {"bullet_list_open", "ordered_list_open", "table_open", "fence"}
_LINK = re.compile(r"(\]\()([^)\s]+)(?=[)\s])")
_CODE_SPAN = re.compile(r"(`+).+?\1")


def for_python_markdown(text: str) -> str:
    """The same page, in the dialect of Python-Markdown."""
    tokens = _PARSER.parse(text)
    lines = text.splitlines()
    _title_fences(tokens, lines)
    _unescape_pipes(tokens, lines)
    indents = _indents(tokens, lines)
    separated = _separated(tokens, lines)
    out: list[str] = []
    for number, line in enumerate(lines):
        if number in separated and out and out[-1].strip():
            out.append("")
        was, wanted = indents[number]
        # A paragraph may go on without its indentation.
        blanks = len(line) - len(line.lstrip(" "))
        out.append(" " * wanted + line[min(was, blanks) :] if line.strip() else "")
    return "\n".join(out) + "\n"


def _separated(tokens: list[Token], lines: list[str]) -> set[int]:
    """Lines before which an empty one has to stand."""
    found: set[int] = set()
    items: list[int] = []  # first lines of the items around a token
    for token in tokens:
        if token.type == "list_item_close":
            items.pop()
        if token.map is None:
            continue
        first, end = token.map
        # A block that begins on the line of its item's marker cannot be torn off it.
        if token.type in _AFTER_AN_EMPTY_LINE and first not in items[-1:]:
            found.add(first)
        if token.type == "list_item_open":
            items.append(first)
            # What follows an item of several blocks would belong to its last one.
            if any(not line.strip() for line in lines[first:end]):
                found.add(end)
    return found


def _indents(tokens: list[Token], lines: list[str]) -> list[tuple[int, int]]:
    """For each line: columns of indentation by the lists it is in, as written and as wanted."""
    found = [(0, 0)] * len(lines)
    for token in tokens:
        if token.type != "list_item_open" or token.map is None:
            continue
        first, end = token.map
        outer_was, outer_wanted = found[first]
        body = lines[first][outer_was:]
        marker = re.match(r" *(?:[-*+]|\d+[.)]) +", body)
        if marker is None:
            raise ValueError(f"line {first + 1} begins no list item: {lines[first]}")
        for number in range(first + 1, end):
            found[number] = (outer_was + marker.end(), outer_wanted + _ITEM_COLUMNS)
    return found


def _title_fences(tokens: list[Token], lines: list[str]) -> None:
    """```toml NAME -> ```toml title="NAME"."""
    for token in tokens:
        if token.type != "fence" or token.map is None:
            continue
        language, _, name = token.info.strip().partition(" ")
        if name:
            line = lines[token.map[0]]
            head = line[: line.index(token.markup) + len(token.markup)]
            lines[token.map[0]] = f'{head}{language} title="{name.strip()}"'


def _unescape_pipes(tokens: list[Token], lines: list[str]) -> None:
    r"""In a table's code span GitHub asks for `\|`; Python-Markdown would show the backslash."""
    for token in tokens:
        if token.type == "table_open" and token.map is not None:
            for number in range(*token.map):
                lines[number] = _CODE_SPAN.sub(
                    lambda span: span[0].replace("\\|", "|"), lines[number]
                )


def map_links(text: str, target_of: Callable[[str], str]) -> str:
    """The page with each link's and image's target replaced; code is left as it is."""
    lines = text.splitlines()
    code = {
        number
        for token in _PARSER.parse(text)
        if token.type in {"fence", "code_block"} and token.map is not None
        for number in range(*token.map)
    }
    for number, line in enumerate(lines):
        if number not in code:
            lines[number] = _in_prose(line, target_of)
    return "\n".join(lines) + "\n"


def _in_prose(line: str, target_of: Callable[[str], str]) -> str:
    out, end = [], 0
    for span in _CODE_SPAN.finditer(line):
        # A link's text may be code: what is skipped is code that holds the whole link.
        if _LINK.search(span[0]):
            out += [_mapped(line[end : span.start()], target_of), span[0]]
            end = span.end()
    return "".join([*out, _mapped(line[end:], target_of)])


def _mapped(text: str, target_of: Callable[[str], str]) -> str:
    return _LINK.sub(lambda found: found[1] + target_of(found[2]), text)
