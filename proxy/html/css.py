"""URLs in style sheets: `url()`, `@import`, `image-set()` and `src()`, escapes included.

https://drafts.csswg.org/css-syntax-3/#tokenization. Comments and other strings are skipped.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

# Without one of these no URL in a style sheet leaves the page's own host.
_SCHEME = re.compile(r"https?:|wss?:|ftp:", re.IGNORECASE)


def _may_leave(text: str) -> bool:
    return "//" in text or "\\" in text or _SCHEME.search(text) is not None


def _escaped(letter: str) -> str:
    """A letter, written plainly or as a CSS escape."""
    low, high = f"{ord(letter):x}", f"{ord(letter.upper()):x}"
    hexadecimal = rf"\\0{{0,4}}(?:{low}|{high})[ \t\n\f\r]?"
    plain = f"{letter}{letter.upper()}"
    if letter in "abcdef":  # `\a` to `\f` are hexadecimal escapes, not letters
        return rf"(?:[{plain}]|{hexadecimal})"
    return rf"(?:[{plain}]|\\[{plain}]|{hexadecimal})"


def _name(word: str) -> str:
    return "".join(_escaped(c) if c.isalpha() else re.escape(c) for c in word)


_STRING = r"\"(?:[^\"\\\n]|\\[\s\S])*(?:\"|$|\n)|'(?:[^'\\\n]|\\[\s\S])*(?:'|$|\n)"
_TOKEN = re.compile(
    rf"(?P<skip>/\*[\s\S]*?(?:\*/|\Z))"
    rf"|(?P<url>(?<![\w-]){_name('url')}\([ \t\n\f\r]*(?:(?P<quoted>{_STRING})"
    rf"|(?P<bare>(?:[^\s\"'()\\]|\\[\s\S])*))[ \t\n\f\r]*\)?)"
    rf"|(?P<import>@{_name('import')}(?:[ \t\n\f\r]|/\*[\s\S]*?\*/)*(?P<imported>{_STRING}))"
    rf"|(?P<set>(?:{_name('image-set')}|(?<![\w-]){_name('src')}|{_name('image')})\()"
    rf"|(?P<string>{_STRING})"
)
_SET_STRING = re.compile(_STRING)
_ESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})[ \t\n\f\r]?|\n|([\s\S]))")


@dataclass(frozen=True, slots=True)
class CssUrl:
    """One URL: its value, and the span of what is written between quotes or parentheses."""

    url: str
    start: int
    end: int
    imported: bool


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        if match[1]:
            number = int(match[1], 16)
            return chr(number) if 0 < number <= 0x10FFFF else "\ufffd"
        return match[2] or ""

    return _ESCAPE.sub(character, text)


# An escape that spells a letter: only then can a name be written so that its text does not show
# it. The escapes of icon fonts (`\\f101`) are not of that kind.
_DISGUISED = re.compile(r"\\(?:0{0,4}[4-7][0-9a-fA-F](?![0-9a-fA-F])|[g-zG-Z])")


def css_urls(text: str) -> list[CssUrl]:
    """Every URL of a style sheet or declaration list that may lead to another host, in order."""
    if not _may_leave(text):
        return []
    if "\\" in text and _DISGUISED.search(text) is not None:
        return _tokenized(text)
    lowered = text.lower()
    if "image-set(" in lowered or "image(" in lowered:
        return _tokenized(text)
    comments = _comments(text)
    found: dict[int, CssUrl] = {}
    for name in ("url(", "src(", "@import"):
        at = lowered.find(name)
        while at >= 0:
            url = None if _within(comments, at) else _url_at(text, at)
            # `@import url(...)` is found by both of its names.
            if url is not None:
                found[url.start] = url
            at = lowered.find(name, at + len(name))
    return sorted(found.values(), key=lambda url: url.start)


def _comments(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = text.find("/*")
    while start >= 0:
        end = text.find("*/", start + 2)
        end = len(text) if end < 0 else end + 2
        spans.append((start, end))
        start = text.find("/*", end)
    return spans


def _within(spans: list[tuple[int, int]], at: int) -> bool:
    index = bisect_right(spans, (at, len(spans))) - 1
    return index >= 0 and spans[index][0] <= at < spans[index][1]


def _url_at(text: str, at: int) -> CssUrl | None:
    """The URL behind the name at `at`, found by a plain search: many times faster than reading
    every token. Strings are not told apart: a `url(` within a string is taken for one.
    """
    match = _TOKEN.match(text, at)
    if match is None:
        return None
    if match["url"] is not None:
        group = "quoted" if match["quoted"] is not None else "bare"
        if text.startswith("data:", match.start(group)) or not _may_leave(match[group]):
            return None
        return _css_url(match, group, imported=_after_import(text, at))
    if match["imported"] is not None:
        return _css_url(match, "imported", imported=True)
    string = _SET_STRING.match(text, match.end()) if match["set"] is not None else None
    if string is None:
        return None
    start, end = string.start() + 1, string.end() - 1
    return CssUrl(_unescape(text[start:end]), start, end, False)


def _tokenized(text: str) -> list[CssUrl]:
    found: list[CssUrl] = []
    position = 0
    set_depth = 0
    while (match := _TOKEN.search(text, position)) is not None:
        position = match.end()
        if match["url"] is not None:
            group = "quoted" if match["quoted"] is not None else "bare"
            found.append(_css_url(match, group, imported=_after_import(text, match.start())))
        elif match["imported"] is not None:
            found.append(_css_url(match, "imported", imported=True))
        elif match["set"] is not None:
            set_depth = position
        elif match["string"] is not None and set_depth:
            if _inside(text, set_depth, match.start()):
                found.append(_css_url(match, "string", imported=False))
            else:
                set_depth = 0
        if position == match.start():
            position += 1
    return found


def _inside(text: str, opened: int, at: int) -> bool:
    """Whether no more parentheses closed than opened between the two offsets."""
    between = _SET_STRING.sub("", text[opened:at])
    depth = 1
    for character in between:
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return False
    return True


_IMPORT_BEFORE = re.compile(rf"@{_name('import')}(?:\s|/\*[\s\S]*?\*/)*\Z")


def _after_import(text: str, at: int) -> bool:
    return _IMPORT_BEFORE.search(text, max(0, at - 64), at) is not None


def _css_url(match: re.Match[str], group: str, *, imported: bool) -> CssUrl:
    start, end = match.span(group)
    raw = match[group]
    if raw[:1] in {'"', "'"}:
        start += 1
        if len(raw) > 1 and raw[-1] == raw[0]:
            end -= 1
        raw = match.string[start:end]
    return CssUrl(_unescape(raw), start, end, imported)
